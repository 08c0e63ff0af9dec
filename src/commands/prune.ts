import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { parseDuration } from '../core/duration.ts';
import { BkpError, type ExitName, sentence } from '../core/errors.ts';
import type { Elsewhere } from '../ops/prune/elsewhere.ts';
import type { Pruned } from '../ops/prune/index.ts';
import type { Leaving, Line } from '../ops/prune/plan.ts';
import type { PrunedRecords } from '../ops/prune/records.ts';
import type { Removal } from '../ops/prune/remove.ts';
import { formatAge, formatBytes, formatTable } from '../report/format.ts';
import { noticed, partly, type Run, type Session, worst } from './session.ts';

interface Flags {
  confirm?: boolean;
  force?: boolean;
  confirmEnv?: string;
  from?: string;
}

type Row = Pruned & { target: string };

const sum = (items: readonly { bytes: number }[]): string => formatBytes(items.reduce((total, { bytes }) => total + bytes, 0));

/** Rows that stay and are alike by the hundred say little; all of them are shown with --verbose and --json. */
const MANY = 60;

function linesOf(lines: readonly Line[], verbose: boolean, now: Date): string[] {
  const shown = verbose || lines.length <= MANY ? lines : lines.filter(({ keep }) => !keep);
  if (shown.length === 0) return [];
  return formatTable(
    ['', 'ID', 'AGE', 'SIZE', 'WHY'],
    shown.map(line => [
      line.keep ? 'stays' : 'GOES',
      line.id,
      line.startedAt ? formatAge(new Date(line.startedAt), now) : '?',
      formatBytes(line.bytes),
      line.reasons.join('; '),
    ]),
  );
}

const beside = (what: string, items: readonly Leaving[]): string[] =>
  items.length === 0 ? [] : [`${items.length} ${what} (${sum(items)}) go: ${[...new Set(items.map(({ reason }) => reason))].join('; ')}`];

function ended({ removal, hidden }: Pruned): string[] {
  if (!removal) return [];
  return [
    `removed: ${removal.gone.length} backup(s), ${removal.removed} object(s), ${formatBytes(removal.bytes)}`,
    ...removal.spared.map(({ id, reason }) => `stays after all: ${id}: ${reason}`),
    ...removal.locked.map(({ key, reason }) => `locked: ${key}: ${reason ?? 'held by the store'}`),
    ...removal.failed.map(({ key, reason }) => `NOT REMOVED: ${key}: ${reason}`),
    ...(hidden && hidden.objects > 0
      ? [`${hidden.objects} old version(s), ${formatBytes(hidden.bytes)}, show in no listing and go on billing: a lifecycle rule ends them`]
      : []),
  ];
}

function told(row: Row, verbose: boolean, now: Date): string[] {
  const { plan } = row;
  const title = `${row.target} in store ${row.store}`;
  if (!plan) return [`${title}: FAILED: ${row.error}`, ...(row.next ?? []).map(line => `  → ${line}`)];
  const going = plan.lines.filter(({ keep }) => !keep);
  return [
    `${title}: ${plan.lines.length} backup(s), ${going.length} of them (${sum(going)}) go`,
    ...[
      ...linesOf(plan.lines, verbose, now),
      ...beside('part(s) of the log', plan.log),
      ...beside('piece(s) without a backup', plan.orphans),
      ...plan.notes.map(text => `note: ${text}`),
      ...plan.halts.map(why => `HALTED, nothing goes: ${why}`),
      ...ended(row),
    ].map(line => `  ${line}`),
  ];
}

const toldElsewhere = (target: string, { holder, going, released, locked, failed, error }: Elsewhere): string[] => [
  `${target} at ${holder}: ${error ?? `${going.length} (${sum(going)}) that no backup needs any more`}`,
  ...going.map(({ text, reason }) => `  GOES  ${text}: ${reason}`),
  ...released.map(text => `  released: ${text}`),
  ...locked.map(({ text, reason }) => `  protected: ${text}: ${reason}`),
  ...failed.map(({ text, reason }) => `  NOT RELEASED: ${text}: ${reason}`),
];

const toldRecords = ({ sets, drills, kits, removed, locked, failed, error }: PrunedRecords, env: string, confirmed: boolean): string[] => [
  error === undefined
    ? `${env}: ${sets.length} set(s) and ${drills.length} record(s) of drills${kits.length > 0 ? ` and ${kits.length} of kits` : ''} go`
    : `${env}: sets, drills and kits stay: ${error}`,
  ...sets.map(({ id, reason }) => `  GOES  set ${id}: ${reason}`),
  ...drills.map(({ id, reason }) => `  GOES  drill ${id}: ${reason}`),
  ...kits.map(({ id, reason }) => `  GOES  record of a kit ${id}: ${reason}`),
  ...(confirmed && error === undefined ? [`  removed: ${removed} object(s)`] : []),
  ...locked.map(({ key, reason }) => `  locked: ${key}: ${reason ?? 'held by the store'}`),
  ...failed.map(({ key, reason }) => `  NOT REMOVED: ${key}: ${reason}`),
];

const faultsOf = ({ store, error, plan, removal }: Pruned): string[] =>
  [error, ...(plan?.halts ?? []), ...(removal?.failed.map(({ key, reason }) => `${key}: ${reason}`) ?? [])].flatMap(text =>
    text === undefined ? [] : [`store ${store}: ${text}`],
  );

/** What the notifiers hear of one target. */
function heardOf(target: string, results: readonly Pruned[], elsewhere: Elsewhere | undefined): Parameters<Session['outcome']>[0] {
  const faults = [
    ...results.flatMap(faultsOf),
    ...(elsewhere?.error ? [elsewhere.error] : []),
    ...(elsewhere?.failed ?? []).map(({ text, reason }) => `${text}: ${reason}`),
  ];
  const gone = results.reduce((sum, { removal }) => sum + (removal?.gone.length ?? 0), 0);
  const exit = worst([...results, ...(elsewhere ? [elsewhere] : [])].map(each => each.exit));
  return { target, exit, message: [`${gone} backup(s) removed`, ...faults].join('; ') };
}

function refuseUnsure(session: Session, flags: Flags): void {
  const env = session.app.env(session.options.env);
  if (!flags.confirm || !flags.force || !env.protected || flags.confirmEnv === env.name) return;
  throw new BkpError('refused', `environment ${env.name} is protected, and --force lets more go than the config allows`, {
    next: `--confirm --force --confirm-env ${env.name}`,
  });
}

async function recordsOf(session: Session, rows: readonly Row[], confirm: boolean): Promise<PrunedRecords> {
  const { pruneRecords } = await import('../ops/prune/records.ts');
  const { drills, name } = session.app.env(session.options.env);
  const records = await pruneRecords(session.app.stack(name, { shut: 'all' }), rows, parseDuration(drills.keep), confirm);
  const { sets, failed, exit, error } = records;
  if (confirm && exit !== 'done')
    session.outcome({
      target: 'full-dr',
      exit,
      message: error ?? `${sets.length} set(s) were to go; ${failed[0]?.key}: ${failed[0]?.reason}`,
    });
  return records;
}

type Begun = (where: string, removal: Removal) => void;

/** Ended by a signal, it says what is gone by then: that cannot be undone, and nothing else would tell it. */
async function stoppable(session: Session, work: (begun: Begun) => Promise<ExitName>): Promise<ExitName> {
  const removals: [string, Removal][] = [];
  try {
    return await work((where, removal) => void removals.push([where, removal]));
  } catch (error) {
    const gone = removals.filter(([, { removed }]) => removed > 0);
    if (!session.signal.aborted || gone.length === 0) throw error;
    throw new BkpError('interrupted', sentence(error), {
      next: [
        ...gone.map(([where, removal]) => `gone from ${where} by then: ${removal.gone.length} backup(s), ${removal.removed} object(s)`),
        'bkp prune shows what is left to do',
      ],
      cause: error,
    });
  }
}

async function carryOut(
  session: Session,
  kind: string | undefined,
  name: string | undefined,
  flags: Flags,
  begun: Begun,
): Promise<ExitName> {
  const { pruneTarget } = await import('../ops/prune/index.ts');
  const { pruneElsewhere } = await import('../ops/prune/elsewhere.ts');
  const rows: Row[] = [];
  const others: (Elsewhere & { target: string })[] = [];
  for (const { target, ctx, entry } of session.app.targets(session.options.env, kind, name, flags)) {
    const called = `${ctx.kind}/${ctx.name}`;
    const options = {
      confirm: flags.confirm ?? false,
      force: flags.force ?? false,
      random: randomBytes,
      begun: (store: string, removal: Removal) => begun(`${called} in store ${store}`, removal),
    };
    const results = await pruneTarget(target, ctx, entry, options);
    rows.push(...results.map(result => ({ target: called, ...result })));
    const elsewhere = await pruneElsewhere(target, ctx, entry, results, options.confirm);
    if (elsewhere) others.push({ target: called, ...elsewhere });
    session.outcome(heardOf(called, results, elsewhere));
  }
  // One target, or one store, does not say what is left of a set.
  const whole = kind === undefined && flags.from === undefined;
  const records = whole ? await recordsOf(session, rows, flags.confirm ?? false) : undefined;
  const exit = partly([...rows, ...others, ...(records ? [records] : [])].map(row => row.exit));
  const verbose = session.options.verbose ?? false;
  session.result(
    {
      exit,
      confirmed: flags.confirm ?? false,
      stores: rows,
      ...(others.length > 0 ? { elsewhere: others } : {}),
      ...(records ? { records } : {}),
    },
    [
      ...rows.flatMap(row => told(row, verbose, new Date())),
      ...others.flatMap(each => toldElsewhere(each.target, each)),
      ...(records ? toldRecords(records, session.app.env(session.options.env).name, flags.confirm ?? false) : []),
      ...(flags.confirm ? [] : ['this is a plan: nothing was removed; --confirm carries it out']),
    ],
  );
  return exit;
}

/** `bkp prune [target] [name]`: what the retention of the config no longer keeps, shown; with --confirm removed. */
export const pruneCommand = (run: Run): Command =>
  new Command('prune')
    .description('show what retention no longer keeps, with a reason for each backup; with --confirm remove it')
    .argument('[target]', 'kind of target')
    .argument('[name]', 'entry of that kind')
    .option('--confirm', 'remove what the plan lets go')
    .option('--force', 'let more go than `pruneShare` allows; lifts no other halt')
    .option('--confirm-env <name>', 'name of a protected environment, with --force')
    .option('--from <store>', 'in this store only')
    .action((kind: string | undefined, name: string | undefined, flags: Flags) =>
      noticed(
        run,
        flags.confirm ? { verb: 'prune', kind, name } : undefined,
      )(async session => {
        refuseUnsure(session, flags);
        return stoppable(session, begun => carryOut(session, kind, name, flags, begun));
      }),
    );
