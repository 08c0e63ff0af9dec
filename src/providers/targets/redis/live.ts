import { BkpError, sentence } from '../../../core/errors.ts';
import type { Cli, Context } from './cli.ts';
import type { Version } from './formats.ts';
import { type Info, numberOf, parseInfo, parseSettings } from './info.ts';

/** What a running server says of itself. */
export interface Live extends Version {
  info: Info;
  /** What CONFIG GET tells; undefined where the user may not ask. */
  settings: ReadonlyMap<string, string> | undefined;
  /** Instant of the server's clock, ms, when it was asked; undefined before 6.0. */
  serverNow: number | undefined;
  /** Instant of our clock, ms, right before it was asked. */
  askedAt: number;
}

/** Where and how a server keeps its data, and whether it checks its dumps. */
export const SETTINGS = [
  ...['dir', 'dbfilename', 'save', 'logfile', 'rdbchecksum'],
  ...['appendonly', 'appendfilename', 'appenddirname', 'repl-diskless-sync', 'repl-diskless-sync-delay'],
  'min-replicas-to-write',
];

export const majorOf = ({ version }: Version): number => Number(version.split('.')[0]);

/** Asks for settings; one by one before Redis 7, which takes one name. Undefined where that is not allowed, or the command has no name. */
export async function settingsOf(cli: Cli, server: Version, names: readonly string[]): Promise<ReadonlyMap<string, string> | undefined> {
  const asked = server.flavor === 'valkey' || majorOf(server) >= 7 ? [names] : names.map(name => [name]);
  try {
    const answers: string[] = [];
    for (const each of asked) answers.push(await cli.ask('CONFIG', 'GET', ...each));
    return new Map(answers.flatMap(answer => [...parseSettings(`${answer}\n`)]));
  } catch (error) {
    if (error instanceof BkpError && /NOPERM|unknown command|not allowed|disabled/i.test(error.message)) return undefined;
    throw error;
  }
}

/** What INFO says now. */
export const infoOf = async (cli: Cli): Promise<Info> => parseInfo(await cli.ask('INFO'));

/** Name and version in INFO: Valkey calls itself Redis 7.2.4 beside its own. */
export function versionOf(info: Info): Version {
  const valkey = info.get('valkey_version');
  return valkey === undefined ? { flavor: 'redis', version: info.get('redis_version') ?? '0' } : { flavor: 'valkey', version: valkey };
}

/** Asks a server how it is. Throws BkpError('failed') when it does not answer. */
export async function liveState(ctx: Context, cli: Cli): Promise<Live> {
  const askedAt = ctx.clock.now().getTime();
  const info = await infoOf(cli);
  const version = versionOf(info);
  const usec = info.get('server_time_usec');
  return {
    ...version,
    info,
    askedAt,
    serverNow: usec === undefined ? undefined : Number(usec) / 1000,
    settings: info.get('redis_mode') === 'sentinel' ? undefined : await settingsOf(cli, version, SETTINGS),
  };
}

/** Replicas that a master wants for a write: with so many it takes none, and tells each client so. */
export const NO_WRITES = '1000000';

export const isReplica = ({ info }: Live): boolean => info.get('role') === 'slave';

export const isSentinel = ({ info }: Live): boolean => [info.get('redis_mode'), info.get('server_mode')].includes('sentinel');

export const isCluster = ({ info }: Live): boolean => info.get('cluster_enabled') === '1';

export const linkIsUp = ({ info }: Live): boolean => info.get('master_link_status') === 'up' && info.get('master_sync_in_progress') !== '1';

/** Seconds for which a replica has heard nothing of its master. */
export const lagMs = (live: Live): number => (isReplica(live) ? Math.max(0, numberOf(live.info, 'master_last_io_seconds_ago')) * 1000 : 0);

/** A name for sentences: `redis/app (127.0.0.1:6379)`. */
export const called = ({ name, config }: Context): string => `redis/${name} (${config.host}:${config.port})`;

/**
 * A Sentinel holds no data, and one node of a cluster holds a part of it: neither is a backup.
 * @throws BkpError('refused')
 */
export function refuseParts(ctx: Context, live: Live): void {
  if (isSentinel(live))
    throw new BkpError('refused', `${called(ctx)} is a Sentinel, which holds no data`, {
      next: ['name the master as `host:` and `port:`', 'it is told by: redis-cli -p 26379 SENTINEL GET-MASTER-ADDR-BY-NAME NAME'],
    });
  if (isCluster(live))
    throw new BkpError('refused', `${called(ctx)} is a node of a cluster: it holds some of the slots only, and so would its backup`, {
      next: [
        'bkp does not back up clusters; of all its masters at once: redis-cli --cluster backup HOST:PORT DIR',
        'a server on its own has `cluster-enabled no`',
      ],
    });
}

/**
 * A replica that has lost its master serves what it had then, and the server itself refuses to send that.
 * @throws BkpError('refused')
 */
export function refuseOrphan(ctx: Context, live: Live): void {
  if (!isReplica(live) || linkIsUp(live)) return;
  const { info } = live;
  const since = numberOf(info, 'master_link_down_since_seconds');
  const master = `${info.get('master_host')}:${info.get('master_port')}`;
  throw new BkpError('refused', `${called(ctx)} is a replica of ${master} and not in step with it${since > 0 ? `, for ${since} s` : ''}`, {
    next: ['name the master as `host:` and `port:`', 'if the master is gone for good, promote this one: REPLICAOF NO ONE'],
  });
}

/** What the server says of its last save, where that failed. */
export const saveFault = (info: Info): string | undefined => {
  if (info.get('rdb_last_bgsave_status') === 'err') return 'its last save failed (rdb_last_bgsave_status is err)';
  if (info.get('aof_last_write_status') === 'err') return 'its last write to the AOF failed (aof_last_write_status is err)';
  return info.get('aof_last_bgrewrite_status') === 'err' ? 'its last AOF rewrite failed (aof_last_bgrewrite_status is err)' : undefined;
};

/**
 * Asks until an answer satisfies. A server that is busy loading may fall silent: that alone is no failure before the time is up.
 * @param done may throw, which ends the waiting; it is asked without an answer too
 * @throws BkpError('failed') when the time is up
 */
export async function untilInfo(
  ctx: Context,
  cli: Cli,
  what: string,
  until: number,
  done: (info: Info | undefined) => boolean,
): Promise<Info> {
  for (;;) {
    ctx.signal.throwIfAborted();
    let silent: unknown;
    const info = await infoOf(cli).catch(error => {
      if (!(error instanceof BkpError) || error.exit !== 'failed') throw error;
      silent = error;
      return undefined;
    });
    if (done(info) && info) return info;
    if (ctx.clock.now().getTime() >= until)
      throw new BkpError('failed', `${called(ctx)}: ${what} within ${ctx.config.timeout}${silent ? `: ${sentence(silent)}` : ''}`, {
        next: ['look into the log of the server', `a longer time: \`timeout:\` of redis/${ctx.name}`],
      });
    await ctx.clock.sleep(250, ctx.signal);
  }
}
