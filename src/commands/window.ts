import type { Target, WindowGap, WindowLine } from '../core/contracts.ts';
import type { ExitName } from '../core/errors.ts';
import { policyOf } from '../core/retention.ts';
import { gathered } from '../ops/gathered.ts';
import type { WindowNote } from '../ops/window.ts';
import { formatInstant, formatTable } from '../report/format.ts';
import { type Session, worst } from './session.ts';

type Line = WindowLine & { target: string };
type Note = WindowNote & { target: string };

const isPoint = ({ segments, toIs }: WindowLine): boolean => segments === 0 && toIs === 'backup';

/** To the second, rounded down: later is not within reach. */
const toOf = (line: Line): string =>
  isPoint(line) ? 'its own end only' : `${formatInstant(new Date(line.to))}${line.toIs === 'stored' ? ' (stored)' : ''}`;

const stateOf = ({ live, gaps }: Line): string => {
  if (live) return 'live';
  const [gap] = gaps;
  return gap && !gap.expected ? 'GAP' : '';
};

const table = (lines: readonly Line[]): string[] =>
  formatTable(
    ['TARGET', 'STORE', 'LINEAGE', 'TIMELINES', 'FROM', 'TO', 'LSN', 'SEGMENTS', 'BACKUPS', 'STATE'],
    lines.map(line => [
      line.target,
      line.store,
      line.lineage,
      line.timelines.map(({ timeline }) => timeline).join(' > '),
      formatInstant(new Date(line.from)),
      toOf(line),
      `${line.fromLsn} - ${line.toLsn}`,
      String(line.segments),
      String(line.backups.length),
      stateOf(line),
    ]),
  );

function gapText({ first, last, segments, from, breaks, next }: WindowGap): string {
  const what = segments === 1 ? `WAL ${first} is missing` : `WAL ${first} to ${last} is missing (${segments} segments)`;
  const broken = breaks.length > 0 ? `: backup ${breaks.join(', ')} can be rolled forward to LSN ${from} only` : '';
  return `${what}${broken}; ${next ? `it goes on with the end of backup ${next.backup}, ${next.at}` : 'nothing goes on behind it until there is a new backup'}`;
}

const switches = ({ timelines }: WindowLine): string[] =>
  timelines.flatMap(({ timeline, until }, n) =>
    until === undefined ? [] : [`timeline ${timeline} was left for ${timelines[n + 1]?.timeline ?? 'another'} at LSN ${until}`],
  );

/** What a line cannot say in its columns; a lineage's origin is told once per store. */
function sentences(lines: readonly Line[]): string[] {
  const told = lines.flatMap(line => {
    const place = `${line.target} in ${line.store}, lineage ${line.lineage}`;
    return [
      ...(line.parent ? [`${place}: restored from lineage ${line.parent.lineage} at LSN ${line.parent.lsn}`] : []),
      ...switches(line).map(text => `${place}: ${text}`),
      ...line.gaps.filter(({ expected }) => !expected).map(gap => `${place}: ${gapText(gap)}`),
    ];
  });
  return [...new Set(told)];
}

const legend = (lines: readonly Line[]): string[] => [
  ...(lines.some(({ toIs, segments }) => toIs === 'stored' && segments > 0)
    ? ['(stored): when the store got the last segment; the last commit in it is older, and --target-time says how much']
    : []),
  ...(lines.some(({ live }) => !live) ? ['what is not live is chosen by its backup: --from-backup ID --target-time TIME'] : []),
];

const WORD: Readonly<Record<WindowNote['state'], string>> = { note: 'note', unproven: 'UNPROVEN' };

const text = (lines: readonly Line[], notes: readonly Note[], env: string): string[] => [
  ...(lines.length > 0 ? table(lines) : [`no window in ${env}: there is no whole backup yet`]),
  ...sentences(lines),
  ...notes.map(({ target, store, state, text: told }) => `${WORD[state]}  ${target} in ${store}: ${told}`),
  ...legend(lines),
];

/** The targets that have windows; where none of those that were asked for has, BkpError('usage') names the kinds that do. */
async function chosen(session: Session, kind: string | undefined, name: string | undefined, from: { from?: string }) {
  const { registry } = await import('../app.ts');
  const { checkWindowed, hasWindows } = await import('../ops/window.ts');
  const targets = registry.kinds as unknown as Readonly<Record<string, Target>>;
  const all = session.app.select(session.options.env, kind, name);
  const some = all.filter(each => hasWindows(targets[each.kind]!));
  return (some.length > 0 ? some : all.slice(0, 1)).map(each => {
    const target = checkWindowed(targets[each.kind]!, Object.values(targets));
    return { ...session.app.target(session.options.env, each.kind, each.name, from), target };
  });
}

/**
 * `bkp list --window`: from when to when every instant can be reached, by store. Exit 3 when a store or a manifest keeps something from
 * being seen; a gap is shown and is no failure here: `bkp verify` is what fails.
 */
export async function showWindows(session: Session, kind?: string, name?: string, options: { from?: string } = {}): Promise<ExitName> {
  const { windowsOfTarget } = await import('../ops/window.ts');
  const lines: Line[] = [];
  const notes: Note[] = [];
  const ends: ExitName[] = [];
  for (const { target, ctx, entry } of await chosen(session, kind, name, options)) {
    const { window } = policyOf(entry.retention);
    const seen = await windowsOfTarget(target, ctx, window === undefined ? {} : { window });
    const label = `${ctx.kind}/${ctx.name}`;
    lines.push(...seen.lines.map(line => ({ target: label, ...line })));
    notes.push(...seen.notes.map(note => ({ target: label, ...note })));
    for (const { store, key, error } of gathered(seen.problems))
      session.report.emit({ type: 'warning', text: `${label}, store ${store}${key ? `, ${key}` : ''}: ${error}` });
    ends.push(seen.problems.length > 0 ? 'partial' : 'done');
  }
  const env = session.app.env(session.options.env).name;
  session.result({ env, windows: lines, notes }, text(lines, notes, env));
  return worst(ends);
}
