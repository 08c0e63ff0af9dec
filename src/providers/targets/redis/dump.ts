import { open } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Bytes } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { spent } from '../../../core/spent.ts';
import { freeBytes } from '../../../flow/place.ts';
import { type Cli, type Context, dumpError, NEWER_CLIENT } from './cli.ts';
import { fileBytes } from './fileBytes.ts';
import { isHere } from './here.ts';
import { called, infoOf, isReplica, type Live, majorOf, saveFault, untilInfo } from './live.ts';
import { type Rdb, RdbReader } from './rdb/reader.ts';

/** How often a dump that came damaged is asked for. */
const TRIES = 3;

/** A dump that was read whole and is right, as a file of this host. */
export interface Dump {
  path: string;
  rdb: Rdb;
  warnings: string[];
}

/** A server saves for one at a time: what it is at has to end before it begins one that is all ours. */
export async function awaitSaving(ctx: Context, cli: Cli, live: Live): Promise<void> {
  const busy = (info: Live['info']): boolean =>
    info.get('rdb_bgsave_in_progress') === '1' || info.get('loading') === '1' || info.get('async_loading') === '1';
  if (!busy(live.info)) return;
  const what = live.info.get('rdb_bgsave_in_progress') === '1' ? 'a save is running on the server' : 'the server is loading its data';
  ctx.report.emit({ type: 'note', text: `${called(ctx)}: ${what}; waiting for its end` });
  const until = ctx.clock.now().getTime() + parseDuration(ctx.config.timeout);
  await untilInfo(ctx, cli, `${what}, and it did not end`, until, info => info !== undefined && !busy(info));
}

/** Bytes free at a place of the tools; undefined where `df` does not tell. */
async function freeAt(cli: Cli, dir: string): Promise<number | undefined> {
  if (cli.site.local) return freeBytes(dir);
  const { stdout } = await cli.site.text({ file: 'df', args: ['-Pk', dir] });
  const free = Number(/^\S+.*?\s\d+\s+\d+\s+(\d+)\s+\d+%/m.exec(stdout)?.[1]);
  return Number.isFinite(free) ? free * 1024 : undefined;
}

/**
 * A dump takes no more than the data in memory, and about what the last one took.
 * @throws BkpError('refused') with both sizes
 */
export async function refuseNoRoom(ctx: Context, cli: Cli, dir: string, expected: number): Promise<void> {
  const free = await freeAt(cli, dir);
  if (free === undefined || free >= expected) return;
  throw new BkpError(
    'refused',
    `${called(ctx)}: a dump takes about ${formatBytes(expected)}, and ${dir} on ${cli.site.name} has ${formatBytes(free)} free`,
    {
      next: cli.site.local
        ? '`temp:` in the config names a directory with more room'
        : '`temp:` of `where` names a directory with more room',
    },
  );
}

/** The last lines of the server's log that tell of something wrong, where the log lies at hand. */
export async function logOf(ctx: Context, cli: Cli, { settings }: Live): Promise<string> {
  const logfile = settings?.get('logfile');
  if (!logfile || (cli.site.local && !(await isHere(ctx.config.host)))) return '';
  const path = isAbsolute(logfile) ? logfile : join(settings?.get('dir') ?? '/', logfile);
  const { stdout } = await cli.site.text({ file: 'tail', args: ['-n', '200', path] }).catch(() => ({ stdout: '' }));
  const telling = stdout.split('\n').filter(line => /error|fail|no space|can't|denied/i.test(line) && !/overcommit/.test(line));
  return telling
    .slice(-3)
    .map(line => line.replace(/^\d+:\w \d.*?\.\d{3} [*#.-] /, ''))
    .join('; ');
}

const isDiskless = ({ settings }: Live): boolean => settings?.get('repl-diskless-sync') === 'yes';

/** Why the server did not send its dump, as far as it tells. */
async function explained(ctx: Context, cli: Cli, live: Live, error: unknown): Promise<BkpError> {
  const told = dumpError(ctx, error);
  if (/NOPERM|WRONGPASS|NOAUTH/.test(told.message)) return told;
  const info = await infoOf(cli).catch(() => undefined);
  if (!info) return told;
  const fault = saveFault(info);
  const log = await logOf(ctx, cli, live);
  const turned = !isReplica(live) && isReplica({ ...live, info });
  const master = `${info.get('master_host')}:${info.get('master_port')}`;
  const reasons = [turned && `it has become a replica of ${master} meanwhile, as after a failover`, fault, log && `its log says: ${log}`];
  const reason = reasons.filter(Boolean).join('; ');
  const foreign = live.flavor === 'valkey' && majorOf(live) >= 9 && cli.file.endsWith('redis-cli');
  const old = foreign && /RDB version/.test(log);
  const next = [
    ...(turned ? [`run it again once that is in step, or name the master as \`host:\` and \`port:\``] : []),
    ...(old
      ? [NEWER_CLIENT]
      : foreign && log === '' && !fault && !turned
        ? [`where fields of hashes have a time to live: ${NEWER_CLIENT}`]
        : []),
    ...(fault && !old ? [`the server saves into ${live.settings?.get('dir') ?? 'its directory'}: is there room, and may it write?`] : []),
    ...(fault && !old && !isDiskless(live) ? ['CONFIG SET repl-diskless-sync yes sends a dump without writing it there first'] : []),
  ];
  const message = `${called(ctx)}: the server did not send its data: ${told.message.replace(/^.*?: /, '')}${reason ? `; ${reason}` : ''}`;
  return new BkpError('failed', message, { next: next.length > 0 ? next : told.next, cause: error });
}

async function transfer(ctx: Context, cli: Cli, live: Live, path: string): Promise<void> {
  try {
    await cli.site.text(cli.dump(path), { timeoutMs: parseDuration(ctx.config.timeout) });
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw await explained(ctx, cli, live, error);
  }
}

/** Passes a stream on and reads it as a dump on its way. */
export async function* reading(source: Bytes, reader: RdbReader): Bytes {
  for await (const chunk of source) {
    reader.push(chunk);
    yield chunk;
  }
}

/** Reads a dump of the place of the tools; one that lies elsewhere is fetched, so that it travels once. */
async function check(ctx: Context, cli: Cli, path: string): Promise<{ rdb: Rdb; path: string }> {
  const reader = new RdbReader(ctx.clock.now().getTime());
  if (cli.site.local) {
    for await (const chunk of fileBytes(path, ctx.signal)) {
      reader.push(chunk);
      spent(chunk);
    }
    return { rdb: reader.end(), path };
  }
  const here = join(await ctx.scratch(), 'dump.rdb');
  const file = await open(here, 'wx', 0o600);
  try {
    for await (const chunk of reading(cli.site.read(path), reader)) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
  await cli.site.remove(path);
  return { rdb: reader.end(), path: here };
}

/** Zeros in place of the checksum are what a lost tail looks like as well. Throws BkpError('failed') unless the server says that it computes none. */
function refuseUnproven(ctx: Context, live: Live, rdb: Rdb): string[] {
  if (rdb.checksum === 'right') return [];
  if (live.settings?.get('rdbchecksum') !== 'no')
    throw new BkpError('failed', 'the dump is no whole RDB: zeros stand where its CRC64 has to be');
  return [`${called(ctx)} computes no checksum of its dumps (rdbchecksum no): only their structure can be checked`];
}

/**
 * Takes a dump of the server into a new file and reads it to its end before anything of it is used. One that comes damaged is asked for
 * again.
 * @throws BkpError('failed') with the server's reason; after the last try with what is wrong with the dump
 */
export async function takeDump(ctx: Context, cli: Cli, live: Live, expected: number): Promise<Dump> {
  const dir = await cli.site.dir();
  await refuseNoRoom(ctx, cli, dir, expected);
  if (!cli.site.local) await refuseHere(ctx, expected);
  for (let n = 1; ; n += 1) {
    const file = join(dir, `dump-${n}.rdb`);
    await transfer(ctx, cli, live, file);
    try {
      const { rdb, path } = await check(ctx, cli, file);
      return { path, rdb, warnings: refuseUnproven(ctx, live, rdb) };
    } catch (error) {
      ctx.signal.throwIfAborted();
      await cli.site.remove(file);
      if (n >= TRIES) throw lastly(ctx, error);
      ctx.report.emit({ type: 'warning', text: `${called(ctx)}: ${sentence(error)}; asking for another one (try ${n + 1} of ${TRIES})` });
    }
  }
}

async function refuseHere(ctx: Context, expected: number): Promise<void> {
  const dir = await ctx.scratch();
  const free = await freeBytes(dir);
  if (free < expected)
    throw new BkpError('refused', `${called(ctx)}: a dump takes about ${formatBytes(expected)}, and ${dir} has ${formatBytes(free)} free`, {
      next: '`temp:` in the config names a directory with more room',
    });
}

const lastly = (ctx: Context, error: unknown): BkpError =>
  new BkpError('failed', `${called(ctx)}: ${TRIES} dumps came, and none is whole: ${sentence(error)}; nothing was stored`, {
    next: ['is the disk for temporary files sound and not full?', 'bkp doctor redis'],
    cause: error,
  });
