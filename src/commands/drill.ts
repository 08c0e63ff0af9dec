import { randomBytes } from 'node:crypto';
import { Command, Option } from 'commander';
import type { Environment } from '../core/config/types.ts';
import { parseDuration } from '../core/duration.ts';
import { BkpError, type ExitName } from '../core/errors.ts';
import type { DrillResult, Evidence, TargetEvidence } from '../core/evidence.ts';
import { checkId } from '../core/id.ts';
import { environmentSection } from '../core/key.ts';
import type { Entry } from '../ops/drill/index.ts';
import type { Drilled } from '../ops/drill/one.ts';
import { FULL_DR, isFullDr } from './fulldr/parts.ts';
import { noticed, type Run, type Session } from './session.ts';

interface Flags {
  store?: string;
  random?: boolean;
  fromBackup?: string;
  report?: string;
  force?: boolean;
}

const EXIT_OF: Readonly<Record<DrillResult, ExitName>> = { passed: 'done', unproven: 'partial', failed: 'verifyFailed' };

/** The RPO is what the environment promises whose backups they are. */
const promised = (origin: Environment, own: Environment, kind: string, name: string): number =>
  parseDuration((origin.targets[kind]?.[name] ?? own.targets[kind]![name]!).rpo);

/** The entries that are to be tried. Throws BkpError('verifyFailed') where all of them are left out of full-dr. */
function entriesOf({ app, options }: Session, kind: string, name: string | undefined): Entry[] {
  const env = app.env(options.env);
  const origin = env.restoresFrom ? app.env(env.restoresFrom) : env;
  const whole = kind === FULL_DR;
  const entries = app.select(options.env, whole ? undefined : kind, name).flatMap((each): Entry[] => {
    const entry = env.targets[each.kind]![each.name]!;
    // Kinds with one way of backing up have no setting for it.
    const engine = (entry as { engine?: string }).engine ?? 'native';
    const open = (): Drilled => {
      const { target, ctx } = app.target(options.env, each.kind, each.name, { backupsOf: origin.name });
      return { target, ctx, engine, rpoMs: promised(origin, env, each.kind, each.name) };
    };
    return whole && entry.fullDr.skip ? [] : [{ ...each, after: entry.fullDr.after, engine, open }];
  });
  if (entries.length > 0) return entries;
  throw new BkpError('verifyFailed', `every entry of environment ${env.name} has fullDr.skip, so nothing was tried`);
}

function checkFlags(kind: string, name: string | undefined, flags: Flags): void {
  if (isFullDr(kind) && name !== undefined) throw new BkpError('usage', `${FULL_DR} is every entry of the environment, so no one is named`);
  if (flags.fromBackup !== undefined && flags.random) throw new BkpError('usage', '--from-backup and --random both say which backup');
}

/** A store that nobody has is a slip of the pen, and none of the backups' faults. */
function checkStore({ name, stores }: Environment, { store }: Flags): void {
  if (store === undefined || store === 'each' || Object.hasOwn(stores, store)) return;
  throw new BkpError('usage', `environment ${name} has no store "${store}"`, {
    next: `--store with each, or one of: ${Object.keys(stores).join(', ')}`,
  });
}

function checkOne(entries: readonly Entry[], { fromBackup }: Flags): void {
  if (fromBackup === undefined || fromBackup === 'latest') return;
  checkId(fromBackup);
  if (entries.length > 1)
    throw new BkpError('usage', 'a backup is of one entry, and this drill is of several', {
      next: entries.map(({ kind, name }) => `bkp drill ${kind} ${name} --from-backup ${fromBackup}`),
    });
}

/** Every store of the environment that a target of it was opened with gets the record. */
async function keep(session: Session, evidence: Evidence, opened: readonly Drilled[]): Promise<string[]> {
  const [{ keepDrill }, { storesOf }] = await Promise.all([import('../ops/records/drill.ts'), import('../ops/report/gather.ts')]);
  const [first] = opened;
  if (!first) {
    session.report.emit({ type: 'warning', text: 'this drill is recorded in no store, since none could be opened' });
    return [];
  }
  const { base, keys, report, redact } = first.ctx;
  return keepDrill(storesOf(opened.map(({ ctx }) => ctx)), evidence, { section: environmentSection(base, 'drills'), keys, report, redact });
}

const outcomeOf = ({ kind, name, result, skipped, checks }: TargetEvidence) => ({
  target: `${kind}/${name}`,
  exit: EXIT_OF[result],
  message: skipped ?? checks.find(({ state }) => state === 'fail' || state === 'unproven')?.text ?? 'it comes back',
});

async function show(session: Session, kind: string, name: string | undefined, flags: Flags): Promise<ExitName> {
  const [{ drill }, { drillText }] = await Promise.all([import('../ops/drill/index.ts'), import('../report/drillText.ts')]);
  checkFlags(kind, name, flags);
  const { app, options, report, signal, version } = session;
  const env = app.env(options.env);
  checkStore(env.restoresFrom ? app.env(env.restoresFrom) : env, flags);
  const entries = entriesOf(session, kind, name);
  checkOne(entries, flags);
  const { evidence, opened } = await drill(entries, {
    env: env.restoresFrom ?? env.name,
    drilledIn: env.name,
    scope: kind === FULL_DR ? FULL_DR : name === undefined ? kind : `${kind}/${name}`,
    tool: `bkp ${version}`,
    store: flags.store,
    pick: {
      backup: flags.fromBackup === 'latest' ? undefined : flags.fromBackup,
      ...(flags.random ? { random: () => randomBytes(4) } : {}),
    },
    random: randomBytes,
    clock: { now: () => new Date() },
    report,
    signal,
  });
  const recordedIn = await keep(session, evidence, opened);
  const exit = EXIT_OF[evidence.result];
  for (const each of evidence.targets) session.outcome(outcomeOf(each));
  // What was found stands, whatever becomes of its pages.
  const directory = flags.report === undefined ? undefined : { path: flags.report, force: flags.force ?? false };
  const { drillPages } = await import('./drillPages.ts');
  const pages = await drillPages(
    session,
    evidence,
    opened.map(({ ctx }) => ctx),
    directory,
  );
  session.result({ exit, drill: evidence, recordedIn, pages }, [...drillText(evidence), ...pages]);
  return exit;
}

/** `bkp drill <target> [name]` and `bkp drill full-dr`: restored for real, tried, and removed again. */
export const drillCommand = (run: Run): Command =>
  new Command('drill')
    .description(
      'rehearse a restore: backups brought back on servers of their own, tried, timed, removed again; the result is kept in the stores',
    )
    .argument('<target>', `kind of target, or \`${FULL_DR}\` = every entry of the environment, in the order in which the stack comes back`)
    .argument('[name]', 'entry of that kind')
    .addOption(
      new Option('--store <name>', 'out of this store alone, or `each`: once out of every store; default: the first that has the backup'),
    )
    .option('--random', 'one of the good backups at random; default: the newest')
    .option('--from-backup <id>', 'this backup, for one entry; or `latest`')
    .option('--report <dir>', 'write the page, Markdown, JUnit XML and JSON of it there, too')
    .option('--force', 'with --report: write over files of these names that bkp did not make')
    .action((kind: string, name: string | undefined, flags: Flags) =>
      noticed(run, { verb: 'drill', kind, name })(session => show(session, kind, name, flags)),
    );
