import { Chalk, type ChalkInstance } from 'chalk';
import type { DrillStatus, KitStatus, State, StatusReport, StoreStatus, TargetStatus, Verb, Why } from '../core/status/types.ts';
import { partsOf } from '../core/status/verdict.ts';
import { formatAge, formatBytes, formatDuration, formatInstant, formatTable } from './format.ts';
import { terminalWidth, wrapWords } from './table.ts';

const NONE = '-';
const RED: ReadonlySet<State> = new Set(['late', 'failing']);

/** `2 h ago (2026-01-15 02:00:00Z)`. */
function when(instant: string | undefined, now: Date): string {
  if (instant === undefined) return NONE;
  const at = new Date(instant);
  return `${formatAge(at, now)} (${formatInstant(at)})`;
}

function lagOf({ log }: StoreStatus): string {
  if (!log) return NONE;
  const bytes = log.lagBytes === undefined ? '?' : formatBytes(log.lagBytes);
  return log.lagBytes === 0 ? 'none' : `${formatDuration(log.lagSeconds * 1000)}, ${bytes}`;
}

function sizeOf({ newest }: StoreStatus): string {
  if (!newest) return NONE;
  const { bytes, trendPercent } = newest;
  return `${formatBytes(bytes)}${trendPercent === undefined ? '' : ` (${trendPercent < 0 ? '' : '+'}${trendPercent} %)`}`;
}

const keptOf = ({ backups, bytes, hidden }: StoreStatus): string =>
  `${backups}, ${formatBytes(bytes)}${hidden ? ` and ${formatBytes(hidden.bytes)} hidden` : ''}`;

const targetOf = ({ kind, name }: TargetStatus): string => `${kind}/${name}`;

const stateRows = (target: TargetStatus, now: Date): string[][] => [
  ...target.stores.map(store => [
    store.state,
    targetOf(target),
    store.store,
    when(store.newest?.startedAt, now),
    when(store.recoveryPointAt, now),
    lagOf(store),
  ]),
  ...(target.source ? [[target.source.state, targetOf(target), '(source)']] : []),
];

/** One line per store that answers. */
const storeRows = (targets: readonly TargetStatus[], cells: (store: StoreStatus) => string[]): string[][] =>
  targets.flatMap(target => target.stores.filter(({ up }) => up).map(store => [targetOf(target), store.store, ...cells(store)]));

const RUNS: readonly Verb[] = ['verify', 'prune', 'drill'];

/** What is kept and what ran; a table without a line is left out. */
function furtherTables({ targets }: StatusReport, now: Date): string[] {
  const kept = storeRows(targets, store => [sizeOf(store), keptOf(store), when(store.nextDue, now)]);
  const ran = storeRows(targets, ({ runs }) => RUNS.map(verb => when(runs[verb]?.successAt, now)));
  const some = ran.some(row => row.slice(2).some(cell => cell !== NONE));
  return [
    ...(kept.length > 0 ? ['', ...formatTable(['TARGET', 'STORE', 'SIZE', 'KEPT', 'NEXT DUE'], kept)] : []),
    ...(some ? ['', ...formatTable(['TARGET', 'STORE', 'LAST GOOD VERIFY', 'PRUNE', 'DRILL'], ran)] : []),
  ];
}

/** A sentence per finding, in one line whatever a native tool said. */
function findings(target: TargetStatus): { state: State; text: string }[] {
  const { stores } = target;
  return partsOf(target).flatMap(({ why }, n) => {
    const place = stores[n] ? `${targetOf(target)} in ${stores[n].store}` : targetOf(target);
    return why.map(({ state, text }: Why) => ({ state, text: `${place}: ${text.replace(/\s+/g, ' ')}` }));
  });
}

/** A notifier that fails is found by nobody else. */
const deaf = ({ notifiers = [] }: StatusReport): { state: State; text: string }[] =>
  notifiers.flatMap(({ name, state, failures, error }) =>
    state === 'failing' ? [{ state, text: `notifier ${name}: ${failures} message(s) in a row did not arrive: ${error}` }] : [],
  );

const painter =
  ({ green, red, yellow }: ChalkInstance) =>
  (state: State): ChalkInstance =>
    ({ ok: green, unknown: yellow, late: red, failing: red })[state];

const WORD: Readonly<Record<State, string>> = { ok: 'note', unknown: 'unknown', late: 'late', failing: 'failing' };

/** The last drill of the environment in one line. */
function drillLine({ last }: DrillStatus, now: Date): string[] {
  if (!last) return [];
  const where = last.drilledIn;
  return ['', `last drill: ${last.scope} in ${where}, ${last.result}, ${when(last.finishedAt, now)}`];
}

const sealedBy = ({ seal }: NonNullable<KitStatus['exported']>): string =>
  seal?.by === 'recipient' ? ` for ${seal.count} recipient(s)` : seal ? ' with a passphrase' : '';

/** The newest kit and when one was last tried, in one line. */
function kitLine(kit: KitStatus | undefined, now: Date): string[] {
  if (!kit?.exported && !kit?.proven) return [];
  const { exported, proven, failed } = kit;
  const made = exported ? `${exported.kit}, sealed${sealedBy(exported)} ${when(exported.at, now)}` : NONE;
  const tried = proven
    ? `${proven.deep ? 'restored with' : 'opened'} ${when(proven.at, now)}`
    : failed
      ? 'never found good'
      : 'never checked';
  return [`last kit: ${made}; ${tried}`];
}

/** What stands at the end: how much of what was looked at is red. */
function summary(report: StatusReport): string {
  const { everySeconds, state } = report.drills;
  const states = [
    ...report.targets.flatMap(target => partsOf(target).map(each => each.state)),
    ...(everySeconds === undefined ? [] : [state]),
    ...(report.kit?.everySeconds === undefined ? [] : [report.kit.state]),
    ...(report.notifiers ?? []).map(each => each.state),
  ];
  const red = states.filter(each => RED.has(each)).length;
  const unknown = states.filter(each => each === 'unknown').length;
  const tail = unknown > 0 ? `, ${unknown} unknown` : '';
  return red > 0 ? `${red} of ${states.length} red${tail}` : `nothing is late and nothing fails in ${report.env}${tail}`;
}

/**
 * A status for a person: a line per store and source, when verify, prune and drill last succeeded, and a sentence per finding.
 * Ages are beside exact instants in UTC. Colours repeat what words say.
 */
export function statusText(report: StatusReport, options: { color: boolean; width?: number }): string[] {
  const width = options.width ?? terminalWidth();
  const now = new Date(report.at);
  const paint = painter(new Chalk({ level: options.color ? 1 : 0 }));
  const painted = (line: string, state: State): string => line.replace(/^\S+/, word => paint(state)(word));
  const rows = report.targets.flatMap(target => stateRows(target, now));
  const [head, ...lines] = formatTable(['STATE', 'TARGET', 'STORE', 'NEWEST BACKUP', 'RECOVERY POINT', 'LOG BEHIND'], rows);
  const told = [
    ...report.targets.flatMap(findings),
    ...report.drills.why.map(({ state, text }) => ({ state, text: `drills: ${text}` })),
    ...(report.kit?.why ?? []).map(({ state, text }) => ({ state, text: `kit: ${text}` })),
    ...deaf(report),
  ];
  const ordered = [...told.filter(({ state }) => !RED.has(state)), ...told.filter(({ state }) => RED.has(state))];
  return [
    head!,
    ...lines.map((line, n) => painted(line, rows[n]![0] as State)),
    ...furtherTables(report, now),
    ...drillLine(report.drills, now),
    ...kitLine(report.kit, now),
    '',
    ...ordered.map(({ state, text }) => painted(wrapWords(`${WORD[state].padEnd(7)}  ${text}`, width, 9), state)),
    summary(report),
  ];
}
