import { existsSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatAge } from '../../../core/age.ts';
import type { Bytes, Known, PieceRef, Reached, RestoreRequest, Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { formatLsn, historyName, parseLsn } from '../../../core/postgres/lsn.ts';
import { confValue } from '../../../core/shell.ts';
import { assertOpens } from '../../../flow/age.ts';
import { readFirstWhole } from './archive.ts';
import type { PostgresConfig } from './config.ts';
import { Feeder } from './feeder.ts';
import { formatMarker } from './lineage.ts';
import { complete, freeBytes, INCOMPLETE, inspect, occupy, ownerOf } from './place.ts';
import { planRestore, type RestorePlan } from './plan.ts';
import {
  askPrivate,
  controlData,
  type Owner,
  type Private,
  postgresCommand,
  prepare,
  privateSettings,
  restoreCommand,
  serve,
  stopClean,
  untilReady,
} from './private.ts';
import { refuseClosed } from './surroundings.ts';
import { checkMember, TarScan } from './tarScan.ts';
import { serverTools } from './tools.ts';

type Context = TargetContext<PostgresConfig>;
type Read = (piece: PieceRef, from: readonly Store[]) => Bytes;

const pieceOf = (known: Known): PieceRef => {
  const piece = known.manifest.pieces.find(p => p.name === 'base.tar');
  if (!piece || !('objects' in piece))
    throw new BkpError('verifyFailed', `backup ${known.manifest.id} has no base.tar`, { next: 'restore another one: bkp list postgres' });
  return piece;
};

/** Everything a person should know before saying yes. */
function told(ctx: Context, request: RestoreRequest, plan: RestorePlan, aside: boolean, owner: Owner | undefined): string[] {
  const { manifest } = plan.known;
  const [setting, value] = Object.entries(plan.target)[0] ?? ['the end of the WAL', ''];
  return [
    `postgres/${ctx.name} of ${ctx.env} → ${request.to}${owner ? ` (owner uid ${owner.uid})` : ''}`,
    `backup ${manifest.id}, ended ${manifest.recoveryPointAt} (${formatAge(new Date(manifest.recoveryPointAt), ctx.clock.now())}), PostgreSQL ${manifest.versions['server']}, lineage ${plan.lineage}`,
    `WAL ${plan.reach.segments[0]} to ${plan.reach.segments.at(-1)} (${plan.reach.segments.length} segments), timeline ${plan.reach.timeline}`,
    `target: ${setting}${value ? ` = ${value}` : ''}${plan.last ? ` (last commit within reach: ${plan.last.text})` : ''}`,
    ...(aside ? [`what is in ${request.to} now is moved aside, not removed`] : []),
  ];
}

/** Every object of the base has to be there at its size, in one store or another, before the target is touched. */
async function refuseMissing(ctx: Context, plan: RestorePlan): Promise<void> {
  for (const object of pieceOf(plan.known).objects) {
    const seen = await Promise.allSettled(ctx.stores.map(store => store.stat(object.key)));
    if (seen.some(result => result.status === 'fulfilled' && result.value?.bytes === object.bytes)) continue;
    const silent = seen.find(result => result.status === 'rejected');
    if (silent) throw silent.reason;
    throw new BkpError(
      'verifyFailed',
      `backup ${plan.known.manifest.id} cannot be restored: object ${object.key} is in no store at its size of ${object.bytes} bytes`,
      {
        next: 'restore another one: bkp list postgres',
      },
    );
  }
}

async function preflight(ctx: Context, request: RestoreRequest, plan: RestorePlan): Promise<void> {
  await refuseMissing(ctx, plan);
  const { line, recipients } = plan.known.manifest;
  if (line.includes('age')) await assertOpens(ctx.keys.identity(), recipients);
  const segmentBytes = plan.reach.base.segmentBytes;
  const needed = pieceOf(plan.known).bytes + Math.min(plan.reach.segments.length, 256) * segmentBytes;
  const free = await freeBytes(request.to);
  if (free < needed) {
    throw new BkpError('refused', `${request.to} has ${free} bytes free, and the restore needs about ${needed}`, {
      next: 'free some space, or restore elsewhere with --to',
    });
  }
}

/** The tar goes through our own eyes first: nothing in it may lead out of the directory. */
async function* watched(source: Bytes): Bytes {
  const scan = new TarScan(checkMember);
  for await (const chunk of source) {
    scan.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    yield chunk;
  }
  if (!scan.ended) throw new BkpError('verifyFailed', 'the base backup is cut short: its end mark is missing');
}

/** tar may end before the last bytes have passed, and the proof of the hash comes with the last: the rest is read after it. */
async function extract(ctx: Context, place: Private, bytes: Bytes): Promise<void> {
  const source = watched(bytes)[Symbol.asyncIterator]();
  const { out, done } = ctx.run.pipeline(
    [{ file: 'tar', args: ['-x', '-p', '-f', '-', '-C', place.dataDir], cwd: place.dataDir, ...(place.owner ?? {}) }],
    { input: { [Symbol.asyncIterator]: () => ({ next: () => source.next() }) }, signal: ctx.signal },
  );
  out.resume();
  try {
    await done;
    while (!(await source.next()).done);
  } finally {
    await source.return?.();
  }
}

/** The exact server path has to hold a whole cluster of the right identity before anything is started on it. */
async function checkExtracted(ctx: Context, place: Private, plan: RestorePlan): Promise<void> {
  const version = (await readFile(join(place.dataDir, 'PG_VERSION'), 'utf8').catch(() => '')).trim();
  if (Number(version) !== place.tools.major)
    throw new BkpError('verifyFailed', `${place.dataDir} has no PG_VERSION of ${place.tools.major} after unpacking (it says "${version}")`);
  const identifier = (await controlData(ctx, place)).get('Database system identifier');
  const wanted = plan.known.manifest.identity['systemIdentifier'];
  if (identifier !== wanted)
    throw new BkpError('verifyFailed', `backup ${plan.known.manifest.id} holds cluster ${identifier}, and its manifest names ${wanted}`);
}

const own = async (path: string, owner: Owner | undefined): Promise<void> => {
  if (owner) await chown(path, owner.uid, owner.gid);
};

async function recover(ctx: Context, place: Private, plan: RestorePlan): Promise<{ log: string[]; fork: bigint; timeline: number }> {
  await rm(join(place.dataDir, 'standby.signal'), { force: true });
  await rm(join(place.dataDir, 'postmaster.pid'), { force: true });
  await writeFile(join(place.dataDir, 'recovery.signal'), '', { mode: 0o600 });
  await own(join(place.dataDir, 'recovery.signal'), place.owner);
  const immediate = plan.target['recovery_target'] === 'immediate';
  const feeder = new Feeder(
    {
      reach: plan.reach,
      read: async name => {
        const copies = immediate ? undefined : plan.held.copies.get(name);
        return copies && readFirstWhole(ctx, plan.lineage, copies);
      },
    },
    place.dir,
    place.owner,
  );
  await feeder.listen();
  const log: string[] = [];
  const command = postgresCommand(place, {
    ...privateSettings(place),
    ...targetSettings(plan.target),
    recovery_target_inclusive: 'on',
    recovery_target_action: 'promote',
    recovery_target_timeline: String(plan.reach.timeline),
    restore_command: await restoreCommand(ctx, place, feeder.socket),
  });
  const child = ctx.run.start(command);
  const stop = () => child.kill('SIGINT');
  ctx.signal.addEventListener('abort', stop, { once: true });
  try {
    await untilReady(child, log, line => tellReplay(ctx, line, feeder, plan));
    if (feeder.trouble) throw feeder.trouble;
    const inRecovery = await askPrivate(ctx, place, 'select pg_is_in_recovery()');
    if (inRecovery !== 'f') throw new BkpError('failed', 'the private server says that it is still in recovery');
    await stopClean(ctx, place, child);
  } catch (error) {
    child.kill('SIGQUIT');
    await child.ended.catch(() => {});
    ctx.signal.throwIfAborted();
    throw feeder.trouble ?? unreached(error, log, plan);
  } finally {
    ctx.signal.removeEventListener('abort', stop);
    await feeder.close();
  }
  return { log, ...(await forkOf(place, log)) };
}

/** A transaction or a name can lie before the base, where no replay on top of it gets: that is said, with the bases to try. */
function unreached(error: unknown, log: readonly string[], plan: RestorePlan): unknown {
  const [setting, value] = Object.entries(plan.target)[0] ?? [];
  if (!setting || !log.some(line => /recovery ended before configured recovery target was reached/.test(line))) return error;
  return new BkpError(
    'notFound',
    `${setting} = ${value} is not in the WAL from backup ${plan.known.manifest.id} to ${formatLsn(plan.reach.end)}`,
    {
      next: [...plan.older.map(id => `--from-backup ${id}   # an older base`), 'bkp list postgres shows all'],
      cause: error,
    },
  );
}

/** Blanks what the cluster's own files may still set. The one that counts comes last: PostgreSQL refuses any assignment after it, even of ''. */
function targetSettings(target: RestorePlan['target']): Record<string, string> {
  const blank = ['recovery_target', 'recovery_target_name', 'recovery_target_time', 'recovery_target_xid', 'recovery_target_lsn'].filter(
    name => !(name in target),
  );
  return { ...Object.fromEntries(blank.map(name => [name, ''])), ...target };
}

function tellReplay(ctx: Context, line: string, feeder: Feeder, plan: RestorePlan): void {
  if (/restored log file/.test(line))
    ctx.report.emit({
      type: 'progress',
      what: 'replay',
      bytes: feeder.served * plan.reach.base.segmentBytes,
      total: plan.reach.segments.length * plan.reach.base.segmentBytes,
    });
}

/** The promotion wrote a history file, whose last line says where the old timeline was left. */
async function forkOf(place: Private, log: readonly string[]): Promise<{ fork: bigint; timeline: number }> {
  const timeline = Number(log.map(line => /selected new timeline ID: (\d+)/.exec(line)?.[1]).findLast(Boolean));
  if (!timeline) throw new BkpError('failed', 'the private server did not say which timeline it began');
  const text = await readFile(join(place.dataDir, 'pg_wal', historyName(timeline)), 'utf8');
  const last = /^\d+\s+([0-9A-F]+\/[0-9A-F]+)/.exec(text.trim().split('\n').at(-1) ?? '')?.[1];
  if (!last) throw new BkpError('failed', `${historyName(timeline)} does not say where its timeline began`);
  return { fork: parseLsn(last), timeline };
}

/** PostgreSQL promotes silently at damaged WAL; where it stopped has to be where the plan ends. */
function checkReached(plan: RestorePlan, fork: bigint, log: readonly string[]): void {
  const { reach, target } = plan;
  const stopped = log.some(line => /recovery stopping (before|after|at)/.test(line) || /consistent recovery state reached/.test(line));
  if (fork < reach.base.to)
    throw new BkpError('failed', `recovery ended at ${formatLsn(fork)}, before the end of the backup (${formatLsn(reach.base.to)})`);
  const toTheEnd = Object.keys(target).length === 0;
  if (toTheEnd && fork < reach.end - BigInt(reach.base.segmentBytes)) {
    throw new BkpError(
      'failed',
      `recovery ended at ${formatLsn(fork)} although WAL up to ${formatLsn(reach.end)} is there: a WAL record is damaged`,
      { next: 'bkp restore with an earlier --target-lsn, or another --from store' },
    );
  }
  if (!toTheEnd && !log.some(line => /recovery stopping/.test(line)))
    throw new BkpError(
      'failed',
      `recovery ended without reaching ${Object.entries(target).join()}${stopped ? '' : ' and without a consistent state'}`,
    );
}

const commitTime = (log: readonly string[]): Date | undefined => {
  const text = log.map(line => /last completed transaction was at log time (\S+ \S+?)(?:\+00| UTC|$)/.exec(line)?.[1]).findLast(Boolean);
  return text ? new Date(`${text.replace(' ', 'T').replace(/(\.\d{3})\d*/, '$1')}Z`) : undefined;
};

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
  await ctx.run.text({ file: place.tools.path('initdb'), args: ['-S', '-D', place.dataDir], cwd: '/', ...(place.owner ?? {}) });
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
export async function restore(ctx: Context, request: RestoreRequest, known: readonly Known[], read: Read): Promise<Reached | undefined> {
  const plan = await planRestore(ctx, request, known);
  const tools = await serverTools(ctx, Number.parseInt(plan.known.manifest.versions['server'] ?? '', 10));
  const aside = await inspect(ctx, request.to, request.force);
  await preflight(ctx, request, plan);
  const owner = await ownerOf(ctx, request);
  await refuseClosed(request.to, owner);
  const lines = told(ctx, request, plan, aside, owner);
  if (request.dryRun) {
    for (const text of lines) ctx.report.emit({ type: 'note', text });
    return undefined;
  }
  await request.confirm(lines);
  const dir = await privateDir(owner);
  const moved = await occupy(ctx, request.to, aside, owner);
  try {
    const place: Private = {
      dataDir: request.to,
      dir,
      tools,
      owner,
      superuser: plan.known.manifest.versions['superuser'] ?? 'postgres',
      maxPrepared: 0,
    };
    const reached = await bringBack(ctx, request, plan, place, read, moved);
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

async function bringBack(
  ctx: Context,
  request: RestoreRequest,
  plan: RestorePlan,
  place: Private,
  read: Read,
  moved: string | undefined,
): Promise<Reached> {
  const holders = ctx.stores.filter(store => plan.known.stores.includes(store.name));
  ctx.report.emit({ type: 'started', what: `unpack ${plan.known.manifest.id}` });
  await extract(ctx, place, read(pieceOf(plan.known), holders));
  await checkExtracted(ctx, place, plan);
  place.maxPrepared = Number((await controlData(ctx, place)).get('max_prepared_xacts setting') ?? 0);
  await prepare(place);
  ctx.report.emit({ type: 'started', what: 'replay' });
  const { log, fork, timeline } = await recover(ctx, place, plan);
  checkReached(plan, fork, log);
  const { randomBytes } = await import('node:crypto');
  await settle(ctx, place, plan, fork, randomBytes(16).toString('hex'));
  await complete(place.dataDir);
  const at = commitTime(log);
  if (request.serve) await serve(ctx, place);
  return {
    ...(at ? { at } : {}),
    lsn: formatLsn(fork),
    facts: {
      backup: plan.known.manifest.id,
      lineage: plan.lineage,
      timeline,
      dataDir: place.dataDir,
      ...(moved ? { movedAside: moved } : {}),
      ...(request.serve ? { socket: place.dir } : {}),
    },
    next: [...(moved ? [`what was there before is in ${moved}`] : []), ...(request.serve ? served(place) : started(place, ctx.name))],
  };
}

/** Root may not run PostgreSQL's programs, so what is printed is typed as the owner. */
const as = ({ owner }: Private): string => (owner ? `setpriv --reuid=${owner.uid} --regid=${owner.gid} --clear-groups ` : '');

const served = (place: Private): string[] => [
  `${as(place)}psql -h ${place.dir} -p 5432 -U ${place.superuser} postgres`,
  `${as(place)}pg_dump -h ${place.dir} -p 5432 -U ${place.superuser} -t TABLE DATABASE | psql …`,
  `${as(place)}${place.tools.path('pg_ctl')} -D ${place.dataDir} stop   # when you are done; then: rm -r ${place.dir}`,
];

/** Debian keeps the configuration outside the data directory, where a backup does not see it. */
const started = (place: Private, name: string): string[] => [
  existsSync(join(place.dataDir, 'postgresql.conf'))
    ? `${as(place)}${place.tools.path('pg_ctl')} -D ${place.dataDir} start   # archiving is off in it`
    : `pg_ctlcluster ${place.tools.major} NAME start   # its configuration is not in the data directory; archiving is off in it`,
  "once it is to be the new primary: ALTER SYSTEM SET archive_mode = 'on', restart it; it then archives into a lineage of its own",
  `bkp backup postgres ${name}   # right after: a base of the new lineage`,
];
