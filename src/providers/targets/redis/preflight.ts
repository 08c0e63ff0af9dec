import type { RestoreRequest } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { leastDatabases, readBaseline } from './baseline.ts';
import type { Cli, Context } from './cli.ts';
import { formatName, nameOf, reads } from './formats.ts';
import { isHere } from './here.ts';
import { markerOf } from './identity.ts';
import { keysIn, numberOf } from './info.ts';
import { called, isReplica, type Live, liveState, refuseParts, settingsOf } from './live.ts';
import { refuseModules } from './modules.ts';
import type { Rdb } from './rdb/reader.ts';
import type { Chosen } from './restore.ts';

const LOOPBACK = '127.0.0.1';

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

/** A server that has loaded more than it may keep throws keys away at once, or takes no writes, whichever its policy is. @throws BkpError('refused') */
export function refuseSmall(ctx: Context, live: Live, { aux }: Rdb): void {
  const [may, used] = [numberOf(live.info, 'maxmemory'), Number(aux.get('used-mem') ?? 0)];
  if (may === 0 || used <= may * SPARE) return;
  const policy = live.info.get('maxmemory_policy') ?? 'its policy';
  throw new BkpError(
    'refused',
    `${called(ctx)} may use ${formatBytes(may)} (maxmemory, ${policy}), and the data of the dump took ${formatBytes(used)}`,
    { next: ['CONFIG SET maxmemory …   # higher, and in its configuration too', 'bkp restore redis --to DIR'] },
  );
}

/**
 * Everything that speaks against a restore into the running server, before anything changes. RD08: both versions are named.
 * @returns the server, the address at which it fetches the dump, and whether it speaks TLS to other servers
 * @throws BkpError('refused')
 */
export async function preflight(
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
