import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatAge } from '../../../core/age.ts';
import type { Id, Known, Reached, RestoreRequest, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { formatLsn, parseSegment, segmentAt } from '../../../core/postgres/lsn.ts';
import { confValue, pasted } from '../../../core/shell.ts';
import { assertOpens } from '../../../flow/age.ts';
import { complete, INCOMPLETE, type Owner, occupy, own, refuseClosed, refuseFull } from '../../../flow/place.ts';
import { isWalg, type Read, refuseMissing } from './base.ts';
import { bring, combinedBytes, combinedSpaceBytes, type Part, verifyCombined } from './combine.ts';
import type { PostgresConfig } from './config.ts';
import { lacksFiles } from './libraries.ts';
import { formatMarker } from './lineage.ts';
import { measureLoss } from './loss.ts';
import { inspect, ownerOf } from './place.ts';
import { planRestore, type RestorePlan, readPlanned } from './plan.ts';
import { databaseOf, type Private, prepare, serve } from './private.ts';
import { driftsOf, preparedIn, REBUILD } from './proveCopy.ts';
import { unlikeSource } from './proveServer.ts';
import { checkReached, commitTime, type Recovery, recover } from './recover.ts';
import { completeTablespaces, inspectTablespaces, type Mapped, occupyTablespaces, redirect } from './tablespaces.ts';
import { serverTools, type Tools } from './tools.ts';
import { refuseNewSpaces, refuseSpacesInside } from './walSpaces.ts';

type Context = TargetContext<PostgresConfig>;

/** Segments read ahead of replay where the config does not say. */
const AHEAD = 8;

/** Everything a person should know before saying yes. */
function told(
  ctx: Context,
  request: RestoreRequest,
  plan: RestorePlan,
  aside: boolean,
  owner: Owner | undefined,
  spaces: readonly Mapped[],
): string[] {
  const { manifest } = plan.known;
  const [setting, value] = Object.entries(plan.target)[0] ?? ['the end of the WAL', ''];
  return [
    `postgres/${ctx.name} of ${ctx.env} → ${request.to}${owner ? ` (owner uid ${owner.uid})` : ''}`,
    `backup ${manifest.id}, ended ${manifest.recoveryPointAt} (${formatAge(new Date(manifest.recoveryPointAt), ctx.clock.now())}), PostgreSQL ${manifest.versions['server']}, lineage ${plan.lineage}`,
    `WAL ${plan.reach.segments[0]} to ${plan.reach.segments.at(-1)} (${plan.reach.segments.length} ${plan.reach.segments.length === 1 ? 'segment' : 'segments'}), timeline ${plan.reach.timeline}`,
    `target: ${setting}${value ? ` = ${value}` : ''}${plan.last ? ` (last commit within reach: ${plan.last.text})` : ''}`,
    ...(plan.parents.length > 0 ? [`combined with what it builds on: ${plan.parents.map(each => each.manifest.id).join(', ')}`] : []),
    ...(aside ? [`what is in ${request.to} now is moved aside, not removed`] : []),
    ...spaces.map(
      ({ name, location, to, aside: full }) =>
        `tablespace ${name}, there in ${location} → ${to}${full ? ', and what is in it now is moved aside' : ''}`,
    ),
  ];
}

async function preflight(ctx: Context, request: RestoreRequest, plan: RestorePlan, spaces: readonly Mapped[]): Promise<void> {
  await refuseMissing(ctx, plan);
  const { line, recipients } = plan.known.manifest;
  if (line.includes('age')) await assertOpens(ctx.keys.identity(), recipients);
  const segmentBytes = plan.reach.base.segmentBytes;
  const parents = plan.parents.map(({ manifest }) => manifest);
  const needed = combinedBytes(parents, plan.known.manifest) + Math.min(plan.reach.segments.length, 256) * segmentBytes;
  await refuseFull(request.to, needed, '--to');
  for (const space of spaces) await refuseFull(space.to, combinedSpaceBytes(parents, plan.known.manifest, space), '--tablespace');
}

/**
 * For one table a copy without its extensions does; what is to run here needs them.
 * @returns what is lacking, to be told
 * @throws BkpError('refused') for what is to run here, unless forced
 */
async function refuseLacking(ctx: Context, { toRun, force }: RestoreRequest, { known }: RestorePlan, tools: Tools): Promise<string[]> {
  const { lacks, unchecked } = await lacksFiles(ctx, tools, known.manifest);
  const open = toRun ? unchecked.map(text => `not looked at beforehand: ${text}`) : [];
  if (lacks.length === 0) return open;
  const text = `PostgreSQL ${tools.major} of this host lacks what the source had: ${lacks.join(', ')}`;
  if (!toRun || force) return [`${text}: it comes back all the same, and is to be installed before it is used`, ...open];
  throw new BkpError('refused', text, { next: ['install the packages that have it', '--force restores it all the same'] });
}

/** Archiving off, and the marker by which the copy's first archive begins a lineage of its own. */
async function settle(ctx: Context, place: Private, plan: RestorePlan, fork: bigint, nonce: string): Promise<void> {
  const file = join(place.dataDir, 'postgresql.auto.conf');
  const before = await readFile(file, 'utf8');
  const kept = before.split('\n').filter(line => !/^\s*(bkp\.restored|archive_mode|recovery_target\w*)\s*=/.test(line));
  const marker = formatMarker({ nonce, parent: plan.lineage, lsn: formatLsn(fork) });
  const lines = [
    ...kept.filter((line, n) => line !== '' || n < kept.length - 1),
    `archive_mode = 'off'`,
    `bkp.restored = ${confValue(marker)}`,
    '',
  ];
  await writeFile(file, lines.join('\n'));
  await own(file, place.owner);
  await sync(ctx, place);
}

/** Sees to it that all files, tablespaces too, are on the disk. Files that come and go meanwhile do not disturb it. Throws BkpError('failed'). */
async function sync(ctx: Context, place: Private): Promise<void> {
  const command = { file: place.tools.path('initdb'), args: ['-S', '-D', place.dataDir], cwd: '/', ...(place.owner ?? {}) };
  await ctx.run.text(command, { signal: ctx.signal });
}

async function privateDir(owner: Owner | undefined): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'bkp-pg-'));
  await own(dir, owner);
  return dir;
}

/**
 * Restores a cluster into an empty directory, replays on a private server up to the target, and leaves it shut down clean.
 * @returns undefined after a dry run
 * @throws BkpError('refused' | 'notFound') before anything changes; any later error leaves the directory marked incomplete
 */
export async function restore(
  ctx: Context,
  request: RestoreRequest,
  known: readonly Known[],
  read: Read,
  begin: (id: Id) => Promise<void> = async () => {},
): Promise<Reached | undefined> {
  const plan = await planRestore(ctx, request, known);
  const tools = await serverTools(ctx, Number.parseInt(plan.known.manifest.versions['server'] ?? '', 10));
  const aside = await inspect(ctx, request.to, request.force);
  const owner = await ownerOf(ctx, request);
  const spaces = await inspectTablespaces(ctx, plan.known.manifest, request, owner);
  await preflight(ctx, request, plan, spaces);
  await refuseClosed(request.to, owner);
  const lines = [...told(ctx, request, plan, aside, owner, spaces), ...(await refuseLacking(ctx, request, plan, tools))];
  if (request.dryRun) {
    for (const text of lines) ctx.report.emit({ type: 'note', text });
    return undefined;
  }
  await request.confirm(lines);
  await begin(plan.known.manifest.id);
  const dir = await privateDir(owner);
  const moved = await occupy(ctx, request.to, aside, owner);
  try {
    const place: Private = {
      dataDir: request.to,
      dir,
      tools,
      owner,
      superuser: plan.known.manifest.versions['superuser'] ?? 'postgres',
    };
    const reached = await bringBack(ctx, request, plan, place, spaces, read, moved);
    if (!request.serve) await rm(dir, { recursive: true, force: true });
    return reached;
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    if (error instanceof BkpError)
      throw new BkpError(error.exit, error.message, {
        next: [...error.next, `${request.to} is incomplete (${INCOMPLETE}); --force moves it aside`],
        cause: error,
      });
    throw error;
  }
}

/** To its own end a backup needs what it has inside; one of WAL-G has no WAL inside, and needs the archive up to its end. */
function isNeeded({ target, known, reach: { base } }: RestorePlan, name: string): boolean {
  if (target['recovery_target'] !== 'immediate') return true;
  const number = parseSegment(name, base.segmentBytes)?.number ?? 0;
  return isWalg(known.manifest) && number <= segmentAt(base.to - 1n, base.segmentBytes);
}

/** The recovery that a plan asks of a private server. */
export function recoveryOf(ctx: Context, plan: RestorePlan, place: Private): Recovery {
  const read = async (name: string): Promise<Buffer | undefined> => (isNeeded(plan, name) ? readPlanned(ctx, plan, name) : undefined);
  return {
    id: plan.known.manifest.id,
    reach: plan.reach,
    target: plan.target,
    older: plan.older,
    ahead: ctx.config.wal.prefetch ?? AHEAD,
    read,
    check: refuseNewSpaces(ctx, place, plan.reach.segments, read),
  };
}

async function bringBack(
  ctx: Context,
  request: RestoreRequest,
  plan: RestorePlan,
  place: Private,
  spaces: readonly Mapped[],
  read: Read,
  moved: string | undefined,
): Promise<Reached> {
  const partOf = ({ manifest, stores }: Known): Part => ({ manifest, holders: ctx.stores.filter(({ name }) => stores.includes(name)) });
  ctx.report.emit({ type: 'started', what: `unpack ${plan.known.manifest.id}` });
  const aside = await occupyTablespaces(ctx, place, spaces);
  await bring(ctx, place, plan.parents.map(partOf), partOf(plan.known), spaces, read);
  if (plan.parents.length > 0) await verifyCombined(ctx, place, spaces);
  await redirect(place, spaces);
  await refuseSpacesInside(ctx, place);
  await prepare(ctx, place);
  ctx.report.emit({ type: 'started', what: 'replay' });
  const began = ctx.clock.now().getTime();
  const recovery = recoveryOf(ctx, plan, place);
  let faults: string[] = [];
  let drifts: string[] = [];
  let prepared = 0;
  const use = async (): Promise<void> => {
    ctx.report.emit({ type: 'finished', what: 'replay', ms: ctx.clock.now().getTime() - began });
    const questions = [unlikeSource(ctx, place, plan.known.manifest), driftsOf(ctx, place), preparedIn(ctx, place)] as const;
    const [unlike, drifted, count] = await Promise.all(questions);
    faults = unlike;
    drifts = [...drifted.values()];
    prepared = count;
  };
  // What was unpacked goes to the disk meanwhile: at the end only what was replayed is left to be written.
  const [replayed, synced] = await Promise.allSettled([recover(ctx, place, recovery, use), sync(ctx, place)]);
  if (replayed.status === 'rejected') throw replayed.reason;
  // A disk tells of a failure once, so it is not left to the second time.
  if (synced.status === 'rejected') throw synced.reason;
  const recovered = replayed.value;
  for (const text of drifts)
    ctx.report.emit({ type: 'warning', text: `${text}: its indexes may be in another order than this host sorts` });
  checkReached(recovery, recovered);
  // What was replayed on top of the backup may have dropped it since.
  const differs = plan.target['recovery_target'] === 'immediate' ? faults : [];
  for (const text of differs)
    ctx.report.emit({ type: 'warning', text: `not as it was when backup ${plan.known.manifest.id} was taken: ${text}` });
  const { log, fork, timeline } = recovered;
  const { randomBytes } = await import('node:crypto');
  await settle(ctx, place, plan, fork, randomBytes(16).toString('hex'));
  await completeTablespaces(spaces);
  await complete(place.dataDir);
  const at = commitTime(log);
  const heartbeat = Object.keys(plan.target).length === 0 ? await measureLoss(ctx, plan.lineage, fork, at) : undefined;
  if (request.serve) await serve(ctx, place);
  return {
    ...(at ? { at } : {}),
    lsn: formatLsn(fork),
    ...(differs.length > 0 ? { differs } : {}),
    facts: {
      backup: plan.known.manifest.id,
      lineage: plan.lineage,
      timeline,
      dataDir: place.dataDir,
      ...(heartbeat ? { heartbeat } : {}),
      ...(moved ? { movedAside: moved } : {}),
      ...(spaces.length > 0 ? { tablespaces: Object.fromEntries(spaces.map(({ name, to }) => [name, to])) } : {}),
      ...(request.serve ? { socket: place.dir } : {}),
    },
    next: [
      ...[...(moved ? [moved] : []), ...aside].map(path => `what was there before is in ${path}`),
      ...(prepared > 0
        ? [
            `${prepared} prepared transaction(s) came back and hold their locks: SELECT * FROM pg_prepared_xacts; then COMMIT PREPARED or ROLLBACK PREPARED each`,
          ]
        : []),
      ...(drifts.length > 0 ? [`${REBUILD}   # where it runs with other collations than the source had`] : []),
      ...(request.serve ? served(place) : started(place, ctx.name)),
    ],
  };
}

/** Root may not run PostgreSQL's programs, so what is printed is typed as the owner. */
const as = ({ owner }: Private): string => (owner ? `setpriv --reuid=${owner.uid} --regid=${owner.gid} --clear-groups ` : '');

const served = (place: Private): string[] => [
  `${as(place)}psql -h ${pasted(place.dir)} -p 5432 -U ${pasted(place.superuser)} ${pasted(databaseOf(place))}`,
  `${as(place)}pg_dump -h ${pasted(place.dir)} -p 5432 -U ${pasted(place.superuser)} -t TABLE DATABASE | psql …`,
  `${as(place)}${place.tools.path('pg_ctl')} -D ${pasted(place.dataDir)} stop   # when you are done; then: rm -r ${pasted(place.dir)}`,
];

/** Debian keeps the configuration outside the data directory, where a backup does not see it. */
const started = (place: Private, name: string): string[] => [
  existsSync(join(place.dataDir, 'postgresql.conf'))
    ? `${as(place)}${place.tools.path('pg_ctl')} -D ${pasted(place.dataDir)} start   # archiving is off in it`
    : `pg_ctlcluster ${place.tools.major} NAME start   # its configuration is not in the data directory; archiving is off in it`,
  "once it is to be the new primary: ALTER SYSTEM SET archive_mode = 'on', restart it; it then archives into a lineage of its own",
  `bkp backup postgres ${name}   # right after: a base of the new lineage`,
];
