import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Id, Known, Reached, RestoreRequest } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { exclusive } from '../../../flow/exclusive.ts';
import { freeBytes } from '../../../flow/place.ts';
import { type Databases, differences, inWords, leastDatabases, readBaseline } from './baseline.ts';
import { Borrowed } from './borrowed.ts';
import { type Cli, type Context, openCli, withCli } from './cli.ts';
import { logOf } from './dump.ts';
import { type Feeder, feed } from './feeder.ts';
import { formatName, nameOf, reads } from './formats.ts';
import { isHere } from './here.ts';
import { markerOf } from './identity.ts';
import { type Info, keysIn, keyspace, numberOf } from './info.ts';
import { called, infoOf, isReplica, type Live, liveState, NO_WRITES, refuseParts, settingsOf, untilInfo } from './live.ts';
import { refuseModules } from './modules.ts';
import { persist } from './persist.ts';
import { HORIZON_MS } from './prove.ts';
import type { Rdb } from './rdb/reader.ts';
import { type Chosen, choose, chosenInWords, fetchDump, type Read } from './restore.ts';

/** The running server in words. */
export const online = (ctx: Context): string => `the running server at ${ctx.config.host}:${ctx.config.port}`;

const LOOPBACK = '127.0.0.1';
/** How long a server has to come for the dump; it tries once a second. */
const COMES_MS = 30_000;
/** How long one that has dropped its link may be silent, as while it is busy. */
const SILENT_MS = 15_000;

/** Where the server fetches the dump. Throws BkpError('refused') when it is elsewhere and no address is named. */
async function addressFor(ctx: Context): Promise<string> {
  if (ctx.config.listen) return ctx.config.listen;
  if (ctx.config.where === 'local' && (await isHere(ctx.config.host))) return LOOPBACK;
  throw new BkpError('refused', `${called(ctx)} is not on this host, and nothing says where it can fetch the data`, {
    next: [
      `listen: ADDRESS   # of this host, which the server reaches, in redis/${ctx.name}`,
      'or restore there, into its directory, with the server stopped',
    ],
  });
}

async function refuseWatched(ctx: Context, cli: Cli): Promise<void> {
  const [, count] = (await cli.ask('PUBSUB', 'NUMSUB', '__sentinel__:hello')).split('\n');
  if (Number(count) > 0)
    throw new BkpError('refused', `${called(ctx)} is watched by ${count} Sentinel(s), which would fail over while it is restored`, {
      next: 'stop the Sentinels, or SENTINEL REMOVE NAME on each, until the restore is done',
    });
}

/** TLS between servers would want a certificate of ours: on this host none is needed, elsewhere the dump would travel in the clear. */
async function refuseClear(ctx: Context, cli: Cli, live: Live, address: string): Promise<boolean> {
  const tls = (await settingsOf(cli, live, ['tls-replication']))?.get('tls-replication') === 'yes';
  if (tls && address !== LOOPBACK)
    throw new BkpError('refused', `${called(ctx)} has tls-replication on, and bkp hands the data over in the clear`, {
      next: 'run bkp on the host of the server, or restore into its directory with the server stopped',
    });
  return tls;
}

/** A server ends itself over a database that it does not have, in the middle of the hand-over. */
async function refuseNarrow(ctx: Context, cli: Cli, live: Live, wanted: number): Promise<void> {
  const has = (await settingsOf(cli, live, ['databases']))?.get('databases');
  if (has === undefined || Number(has) >= wanted) return;
  throw new BkpError('refused', `${called(ctx)} has ${has} databases, and the dump has keys in database ${wanted - 1}`, {
    next: [`databases ${wanted}   # at least, in its configuration; then restart it`, 'bkp restore redis --to DIR'],
  });
}

/** Connections and buffers of the source count in what it says it used: a server that is full by its own limit takes its data back. */
const SPARE = 1.1;

/** A server that has loaded more than it may keep throws keys away at once, or takes no writes, whichever its policy is. */
function refuseSmall(ctx: Context, live: Live, { aux }: Rdb): void {
  const [may, used] = [numberOf(live.info, 'maxmemory'), Number(aux.get('used-mem') ?? 0)];
  if (may === 0 || used <= may * SPARE) return;
  const policy = live.info.get('maxmemory_policy') ?? 'its policy';
  throw new BkpError(
    'refused',
    `${called(ctx)} may use ${formatBytes(may)} (maxmemory, ${policy}), and the data of the dump took ${formatBytes(used)}`,
    { next: ['CONFIG SET maxmemory …   # higher, and in its configuration too', 'bkp restore redis --to DIR'] },
  );
}

/** Everything that speaks against it, before anything changes. RD08: both versions are named. */
async function preflight(
  ctx: Context,
  cli: Cli,
  chosen: Chosen,
  request: RestoreRequest,
): Promise<{ live: Live; address: string; tls: boolean }> {
  const live = await liveState(ctx, cli);
  refuseParts(ctx, live);
  if (reads(live, chosen.format) === 'no')
    throw new BkpError(
      'refused',
      `${called(ctx)} is ${nameOf(live)}, which cannot read the dump: ${formatName(chosen.format)}, of ${nameOf(chosen.source)}`,
      {
        next: [`a server of ${nameOf(chosen.source)} or newer reads it`, 'bkp restore redis --to DIR'],
      },
    );
  if (isReplica(live))
    throw new BkpError('refused', `${called(ctx)} is a replica of ${live.info.get('master_host')}:${live.info.get('master_port')}`, {
      next: ['restore into the master: its replicas follow', 'if that master was a restore that was killed: REPLICAOF NO ONE'],
    });
  const recorded = readBaseline(chosen.manifest.baseline);
  await refuseNarrow(ctx, cli, live, leastDatabases(recorded));
  refuseModules(ctx, live, recorded?.moduleTypes ?? [], recorded);
  await refuseWatched(ctx, cli);
  await refuseOther(ctx, cli, live, chosen, request.force);
  const address = await addressFor(ctx);
  return { live, address, tls: await refuseClear(ctx, cli, live, address) };
}

/** What holds another database is not written over by mistake; a server that lost its data has no marker either. */
async function refuseOther(ctx: Context, cli: Cli, live: Live, { manifest }: Chosen, force: boolean): Promise<void> {
  const wanted = manifest.identity['marker'];
  if (wanted === undefined || ctx.config.marker === undefined || force || keysIn(live.info) === 0) return;
  const found = await markerOf(ctx, cli);
  if (found === wanted) return;
  throw new BkpError(
    'refused',
    `${called(ctx)} holds another database: its marker is ${found === undefined ? 'not there' : `"${found}"`}, and the backup is of "${wanted}"`,
    {
      next: ['check `host:` and `port:`', '--force if that is meant; what is there is backed up first'],
    },
  );
}

/**
 * Restores into the running server: what it holds is backed up, then it is made a replica of a dump, for as long as that takes. Functions,
 * times to live and all databases come along, and its own replicas follow.
 * @returns undefined after a dry run
 * @throws BkpError('refused' | 'notFound') before anything changes; later ones say which backup holds what was there
 */
export async function restoreOnline(
  ctx: Context,
  request: RestoreRequest,
  known: readonly Known[],
  read: Read,
  begin: (id: Id) => Promise<void>,
): Promise<Reached | undefined> {
  const chosen = await choose(ctx, request, known);
  const { host, port, where } = ctx.config;
  const free = await exclusive('redis', [where, host, port], `${called(ctx)}: a restore into it is running on this host already`);
  try {
    return await withCli(ctx, cli => into(ctx, cli, chosen, request, begin, read));
  } finally {
    await free();
  }
}

async function into(
  ctx: Context,
  cli: Cli,
  chosen: Chosen,
  request: RestoreRequest,
  begin: (id: Id) => Promise<void>,
  read: Read,
): Promise<Reached | undefined> {
  const { live, address, tls } = await preflight(ctx, cli, chosen, request);
  const scratch = await roomFor(ctx, chosen);
  const followers = numberOf(live.info, 'connected_slaves');
  const killed = live.settings?.get('min-replicas-to-write') === NO_WRITES;
  const plan = [
    `redis/${ctx.name} of ${ctx.env} → ${request.to}, ${nameOf(live)}`,
    ...chosenInWords(ctx, chosen),
    `what is there now (${inWords(keyspace(live.info))}) is backed up first, then replaced; until it is done the server refuses writes`,
    ...(killed ? [LEFT_CLOSED] : []),
    ...(followers > 0 ? [`its ${followers} replica(s) follow`] : []),
  ];
  if (request.dryRun) {
    for (const text of plan) ctx.report.emit({ type: 'note', text });
    return undefined;
  }
  await request.confirm(plan);
  await begin(chosen.manifest.id);
  const path = join(scratch, 'dump.rdb');
  const rdb = await fetchDump(ctx, chosen, path, read, HORIZON_MS);
  refuseSmall(ctx, live, rdb);
  refuseModules(ctx, live, rdb.moduleTypes, readBaseline(chosen.manifest.baseline));
  return await replace(ctx, cli, { live, address, tls, killed, chosen, rdb, path, secure: request.secure! });
}

async function roomFor(ctx: Context, { piece }: Chosen): Promise<string> {
  const dir = await ctx.scratch();
  const free = await freeBytes(dir);
  if (free >= piece.bytes) return dir;
  throw new BkpError('refused', `the dump has ${formatBytes(piece.bytes)}, and ${dir} has ${formatBytes(free)} free`, {
    next: '`temp:` in the config names a directory with more room',
  });
}

interface Work {
  live: Live;
  address: string;
  tls: boolean;
  /** An earlier restore was killed, and left its own settings there. */
  killed: boolean;
  chosen: Chosen;
  rdb: Rdb;
  path: string;
  secure: () => Promise<Id>;
}

/** A password as this makes one. */
const OURS = /^[0-9a-f]{48}$/;

/** What was set before that restore nobody knows any more; the server's own configuration does, since nothing is written there. */
const LEFT_CLOSED =
  'a restore that was killed had left it refusing writes; min-replicas-to-write becomes 0. Where its configuration says otherwise of that, of masterauth or of tls-replication, restart it, or set them';

async function replace(ctx: Context, cli: Cli, work: Work): Promise<Reached> {
  const borrowed = new Borrowed(ctx);
  const password = randomBytes(24).toString('hex');
  let secured: Id | undefined;
  let turned = false;
  let feeder: Feeder | undefined;
  try {
    await borrowed.set(cli, work.live, 'min-replicas-to-write', NO_WRITES, before => (work.killed ? '0' : before));
    secured = await work.secure();
    ctx.report.emit({ type: 'note', text: `what was there is backup ${secured}` });
    feeder = await feed({ path: work.path, bytes: work.rdb.bytes }, work.address, password, randomBytes(20).toString('hex'));
    if (work.tls) await borrowed.set(cli, work.live, 'tls-replication', 'no');
    await borrowed.set(cli, work.live, 'masterauth', password, before => (work.killed && OURS.test(before) ? '' : before));
    turned = true;
    await cli.ask('REPLICAOF', work.address, String(feeder.port));
    await inStep(ctx, cli, feeder, work.live);
    await cli.ask('REPLICAOF', 'NO', 'ONE');
    turned = false;
    const found = await compared(ctx, cli, work);
    const left = await borrowed.putBack(cli);
    if (left.length > 0)
      throw new BkpError('failed', `${called(ctx)} holds the restored data, and not all of its settings are back`, { next: left });
    await persist(ctx, cli);
    return reached(ctx, work, secured, found);
  } catch (error) {
    throw await undone(ctx, borrowed, turned, secured, work, error);
  } finally {
    await feeder?.close();
  }
}

/** Until the server has loaded the dump and every byte that followed it. */
async function inStep(ctx: Context, cli: Cli, feeder: Feeder, live: Live): Promise<void> {
  ctx.report.emit({ type: 'started', what: 'hand over' });
  const began = ctx.clock.now().getTime();
  const until = began + parseDuration(ctx.config.timeout);
  let silentSince: number | undefined;
  const done = (info: Info | undefined): boolean => {
    const failure = feeder.failure();
    if (failure) throw failure;
    if (info && info.get('run_id') !== live.info.get('run_id')) throw new Gone('was started again while it took the data');
    const now = ctx.clock.now().getTime();
    silentSince = info || !feeder.left() ? undefined : (silentSince ?? now);
    if (silentSince !== undefined && now - silentSince > SILENT_MS) throw new Gone('has ended while it took the data');
    if (feeder.state() === 'waiting' && ctx.clock.now().getTime() - began > COMES_MS)
      throw new BkpError(
        'refused',
        `${called(ctx)} did not come for the data within ${COMES_MS / 1000} s: it does not reach this host there`,
        {
          next: [
            `listen: ADDRESS   # of this host, which the server reaches, in redis/${ctx.name}`,
            'a server in a container has a loopback of its own',
          ],
        },
      );
    if (!info || feeder.state() !== 'sent' || info.get('loading') === '1' || info.get('master_link_status') !== 'up') return false;
    return numberOf(info, 'slave_repl_offset') >= feeder.offset();
  };
  await untilInfo(ctx, cli, 'the data were not loaded', until, done).catch(async error => {
    throw error instanceof Gone ? await fallen(ctx, cli, live, error) : error;
  });
}

/** The server is not the one any more that was made a replica. */
class Gone extends Error {}

/** What its log says of that. It may lie on its disk already, instead of what was there. */
async function fallen(ctx: Context, cli: Cli, live: Live, { message }: Gone): Promise<BkpError> {
  const log = await logOf(ctx, cli, live);
  return new BkpError('failed', `${called(ctx)} ${message}${log ? `; its log says: ${log}` : ''}`, {
    next: [
      'look into its log, and whether it starts',
      `where it does not: its ${live.settings?.get('dbfilename') ?? 'dump'} is that of the backup, and has to be moved away`,
    ],
  });
}

async function compared(ctx: Context, cli: Cli, { chosen, rdb }: Work): Promise<Databases> {
  const found = keyspace(await infoOf(cli));
  const faults = differences(rdb, readBaseline(chosen.manifest.baseline), found, false, true);
  if (faults.length === 0) return found;
  throw new BkpError('verifyFailed', `${called(ctx)} does not hold what the backup does: ${faults.slice(0, 5).join('; ')}`);
}

function reached(ctx: Context, { chosen, rdb, killed }: Work, secured: Id, found: Databases): Reached {
  return {
    at: new Date(chosen.manifest.recoveryPointAt),
    facts: { backup: chosen.manifest.id, before: secured, rdb: formatName(rdb), databases: found },
    next: [
      `it holds ${inWords(found)}, and they are saved on its disk`,
      ...(killed ? [LEFT_CLOSED] : []),
      `what was there before is backup ${secured}: bkp restore redis ${ctx.name} --from-backup ${secured} --online`,
    ],
  };
}

/** Lets the server be a master with its own settings again, also when this run was ended by a signal. */
async function undone(
  ctx: Context,
  borrowed: Borrowed,
  turned: boolean,
  secured: Id | undefined,
  { chosen }: Work,
  error: unknown,
): Promise<unknown> {
  const calm = { ...ctx, signal: new AbortController().signal };
  const left: string[] = [];
  let holds = '';
  const cli = await openCli(calm);
  try {
    if (turned)
      await cli.ask('REPLICAOF', 'NO', 'ONE').catch(cause => left.push(`REPLICAOF NO ONE   # could not be said: ${sentence(cause)}`));
    left.push(...(await borrowed.putBack(cli)));
    if (secured)
      holds = await infoOf(cli).then(
        info => `it holds ${inWords(keyspace(info))} now`,
        cause => `what it holds now it does not tell: ${sentence(cause)}`,
      );
  } finally {
    await cli.site.close();
  }
  const next = [
    ...left,
    ...(holds ? [holds] : []),
    ...(secured ? [`what was there before is backup ${secured}: bkp restore redis ${ctx.name} --from-backup ${secured} --online`] : []),
    ...(secured ? [`to try again: --from-backup ${chosen.manifest.id}; --latest would be ${secured}`] : []),
  ];
  if (!(error instanceof BkpError)) return error;
  const exit = secured && error.exit === 'refused' ? 'failed' : error.exit;
  return new BkpError(exit, error.message, { next: [...error.next, ...next], cause: error });
}
