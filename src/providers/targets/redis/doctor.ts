import { tmpdir } from 'node:os';
import type { Check, LiveState } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { freeBytes } from '../../../flow/place.ts';
import { inWords } from './baseline.ts';
import { type Cli, type Context, clientVersion, NEWER_CLIENT, openCli, withCli } from './cli.ts';
import { nameOf } from './formats.ts';
import { markerOf } from './identity.ts';
import { keyspace, numberOf } from './info.ts';
import {
  isCluster,
  isReplica,
  isSentinel,
  type Live,
  linkIsUp,
  liveState,
  majorOf,
  NO_WRITES,
  refuseOrphan,
  refuseParts,
  saveFault,
} from './live.ts';
import { serverPrograms } from './programs.ts';

/** Commands of a backup, and of a restore into the running server beside those (each tried on Redis 7.0 and Valkey 9.1). */
const BACKUP = '+sync +replconf +info +config|get';
const ONLINE = '+config|set +replicaof +bgsave +pubsub|numsub';

/** What to paste for the user of backups. */
export const grants = ({ config }: Context): string => {
  const user = config.user ?? 'bkp';
  const marker = config.marker === undefined ? '' : ` +get %R~${config.marker}`;
  return [
    `ACL SETUSER ${user} on '>PASSWORD' resetkeys resetchannels -@all ${BACKUP}${marker}`,
    `ACL SETUSER ${user} ${ONLINE} &__sentinel__:hello   # only where \`restore --online\` runs`,
    'ACL SAVE   # or CONFIG REWRITE, where users stand in redis.conf',
  ].join('\n');
};

/** Rights mend what a server refuses; they do not mend one that is not there. */
function unanswered(ctx: Context, error: unknown): string {
  const rights = /NOPERM|WRONGPASS|NOAUTH|password/.test(sentence(error));
  return rights || !(error instanceof BkpError) ? grants(ctx) : error.next.join('\n');
}

async function attempt(name: string, mend: string, work: () => Promise<Check>): Promise<Check> {
  try {
    return await work();
  } catch (error) {
    const next = error instanceof BkpError ? error.next.join('\n') : '';
    return { name, state: 'fail', text: sentence(error), mend: next || mend };
  }
}

/** Valkey 9 sends fields of hashes with a time to live only to a client that says that it knows them, and ends the dump for any other. */
async function clientCheck(cli: Cli, live: Live): Promise<Check> {
  const name = 'client';
  const where = `${cli.file} on ${cli.site.name}`;
  const client = live.flavor === 'valkey' && majorOf(live) >= 9 ? await clientVersion(cli) : undefined;
  if (!client || (client.flavor === 'valkey' && majorOf(client) >= 9)) return { name, state: 'ok', text: where };
  const text = `${where} is of ${nameOf(client)} and older than the server: there is no backup once a field of a hash has a time to live`;
  return { name, state: 'warn', text, mend: NEWER_CLIENT };
}

/** Whether it is a server whose data are all here and of now. */
function roleCheck(ctx: Context, live: Live): Check {
  try {
    refuseParts(ctx, live);
    refuseOrphan(ctx, live);
  } catch (error) {
    return { name: 'role', state: 'fail', text: sentence(error), mend: error instanceof BkpError ? error.next.join('\n') : '' };
  }
  const { info } = live;
  if (!isReplica(live)) return { name: 'role', state: 'ok', text: `master, ${numberOf(info, 'connected_slaves')} replica(s)` };
  return { name: 'role', state: 'ok', text: `replica of ${info.get('master_host')}:${info.get('master_port')}, in step with it` };
}

/** Whether the server itself could keep its data on its disk. */
export function persistence(live: Live): Check {
  const name = 'persistence';
  const fault = saveFault(live.info);
  const dir = live.settings?.get('dir');
  if (fault)
    return {
      name,
      state: 'fail',
      text: fault,
      mend: `is there room${dir ? ` in ${dir}` : ''}, and may the server write there? its log says why`,
    };
  const aof = live.info.get('aof_enabled') === '1' ? 'AOF on' : 'AOF off';
  const save = live.settings?.get('save');
  const unsaved = `${numberOf(live.info, 'rdb_changes_since_last_save')} change(s) since the last save`;
  if (aof === 'AOF off' && save === '')
    return {
      name,
      state: 'warn',
      text: `${aof} and no save points: a restart loses everything since the last save; ${unsaved}`,
      mend: 'CONFIG SET save "3600 1 300 100"',
    };
  return { name, state: 'ok', text: `${aof}; ${unsaved}` };
}

/** How a replica, and bkp, are given the data. */
function transferCheck({ settings, info }: Live): Check {
  const name = 'transfer';
  if (!settings)
    return {
      name,
      state: 'warn',
      text: 'the user may not ask for settings, or CONFIG is renamed there: how the server keeps its data is not recorded',
      mend: '+config|get in its ACL; no rename-command CONFIG in redis.conf',
    };
  if (settings.get('rdbchecksum') === 'no')
    return {
      name,
      state: 'warn',
      text: 'rdbchecksum is no: a damaged dump is only seen where its structure is broken',
      mend: 'rdbchecksum yes in redis.conf, and a restart',
    };
  const expected = numberOf(info, 'used_memory_dataset');
  if (settings.get('repl-diskless-sync') === 'yes')
    return {
      name,
      state: 'ok',
      text: `straight from memory, after ${settings.get('repl-diskless-sync-delay') ?? '5'} s in which other replicas may join`,
    };
  return {
    name,
    state: 'ok',
    text: `by way of ${settings.get('dir')} on the server, which needs about ${formatBytes(expected)} free there; repl-diskless-sync yes needs none`,
  };
}

/** What a `restore --online` that was killed has no time to put back. */
const leftOver = ({ settings }: Live): Check[] =>
  settings?.get('min-replicas-to-write') === NO_WRITES
    ? [
        {
          name: 'writes',
          state: 'fail',
          text: 'the server refuses every write: a restore into it is running, or was killed',
          mend: 'if none is running: CONFIG SET min-replicas-to-write 0',
        },
      ]
    : [];

async function roomCheck(live: Live): Promise<Check> {
  const expected = numberOf(live.info, 'used_memory_dataset');
  const free = await freeBytes(tmpdir());
  const text = `${formatBytes(free)} free in ${tmpdir()}, and the data take ${formatBytes(expected)} in memory`;
  if (free >= expected) return { name: 'room for a dump', state: 'ok', text };
  return { name: 'room for a dump', state: 'warn', text, mend: '`temp:` in the config names a directory with more room' };
}

async function identityCheck(ctx: Context, cli: Cli): Promise<Check> {
  const { marker } = ctx.config;
  if (marker === undefined)
    return {
      name: 'identity',
      state: 'ok',
      text: 'by address: a Redis has no id that outlives a restart; `marker:` names a key that tells this database from others',
    };
  return attempt('identity', grants(ctx), async () => {
    const value = await markerOf(ctx, cli);
    if (value !== undefined) return { name: 'identity', state: 'ok', text: `marker ${marker} is "${value}"` };
    return { name: 'identity', state: 'fail', text: `the marker ${marker} is not there`, mend: `redis-cli SET ${marker} ${ctx.name}-1` };
  });
}

/** Asks for the functions alone, which is a dump of next to nothing: no other question shows whether SYNC is allowed. Redis 7 can do that. */
async function rightsCheck(ctx: Context, cli: Cli, { flavor, version }: Live): Promise<Check> {
  const name = 'rights';
  const who = ctx.config.user ?? 'the default user';
  if (flavor === 'redis' && Number(version.split('.')[0]) < 7)
    return { name, state: 'ok', text: `not tried on ${version}; ${who} needs ${BACKUP}` };
  return attempt(name, grants(ctx), async () => {
    await cli.tryDump();
    return { name, state: 'ok', text: `${who} may take a dump; the least is ${BACKUP}` };
  });
}

async function programsCheck(ctx: Context): Promise<Check> {
  const found = await serverPrograms(ctx);
  if (found.length > 0) return { name: 'server programs', state: 'ok', text: `${found.map(nameOf).join(', ')} on this host, for proofs` };
  return {
    name: 'server programs',
    state: 'warn',
    text: 'none on this host: backups cannot be proven here',
    mend: 'apt-get install redis-server',
  };
}

/** Every condition of backup, proof and restore of one server, each with what mends it. */
export async function* doctor(ctx: Context): AsyncIterable<Check> {
  let cli: Cli;
  try {
    cli = await openCli(ctx);
  } catch (error) {
    yield { name: 'client', state: 'fail', text: sentence(error), mend: 'apt-get install redis-tools' };
    return;
  }
  try {
    let live: Live;
    try {
      live = await liveState(ctx, cli);
    } catch (error) {
      yield { name: 'client', state: 'ok', text: `${cli.file} on ${cli.site.name}` };
      yield { name: 'server', state: 'fail', text: sentence(error), mend: unanswered(ctx, error) };
      return;
    }
    yield await clientCheck(cli, live);
    yield {
      name: 'server',
      state: 'ok',
      text: `${nameOf(live)} at ${ctx.config.host}:${ctx.config.port}, ${inWords(keyspace(live.info))}`,
    };
    yield roleCheck(ctx, live);
    if (isSentinel(live) || isCluster(live) || (isReplica(live) && !linkIsUp(live))) return;
    yield await rightsCheck(ctx, cli, live);
    yield await identityCheck(ctx, cli);
    yield* leftOver(live);
    yield persistence(live);
    yield transferCheck(live);
    yield await roomCheck(live);
  } finally {
    await cli.site.close();
  }
  yield await programsCheck(ctx);
}

/**
 * How the running server is, for `status`.
 * @throws BkpError('failed') when it does not answer, 'refused' when its data are not all here or not of now
 */
export const live = (ctx: Context): Promise<LiveState> =>
  withCli(ctx, async cli => {
    const now = await liveState(ctx, cli);
    refuseParts(ctx, now);
    refuseOrphan(ctx, now);
    return { checks: [...leftOver(now), persistence(now)] };
  });
