import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProofRequest, TargetContext, Trial } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { assertOpens } from '../../../flow/age.ts';
import { freeBytes } from '../../../flow/place.ts';
import { differences, leastDatabases, readBaseline, totalOf } from './baseline.ts';
import { tryChecks } from './checks.ts';
import type { Context } from './cli.ts';
import { type Info, keyspace } from './info.ts';
import { layOut, namesOf } from './layout.ts';
import { type Backup, backupOf } from './manifest.ts';
import { modulesInWords } from './modules.ts';
import { askPrivate, type Private, withPrivate } from './private.ts';
import { programFor } from './programs.ts';
import type { Rdb } from './rdb/reader.ts';
import { fetchDump, majorOf } from './restore.ts';

/** For how long a proof may go on and still know which keys have to be there. */
export const HORIZON_MS = 3_600_000;

/** Of the operating system, or of what this host lacks: it proves nothing about the backup. */
const HOST =
  /no matching module|Can't load module|Module .* failed to load|No space left|cannot be written|Cannot allocate memory|out of memory|Can't open|Permission denied|SIGKILL|no such program/i;

function judged(name: string, error: unknown, blame: readonly string[] = ['verifyFailed', 'failed']): Trial {
  if (!(error instanceof BkpError) || error.exit === 'storeUnreachable') throw error;
  const text = sentence(error);
  if (blame.includes(error.exit) && !HOST.test(text)) return { name, state: 'fail', text };
  return { name, state: 'unproven', text, ...(error.next[0] ? { mend: error.next[0] } : {}) };
}

/** Runs a step; what it throws is judged, and the first trial tells how long it took. */
async function timed(ctx: TargetContext, name: string, work: () => Promise<Trial[]>): Promise<Trial[]> {
  ctx.report.emit({ type: 'started', what: name });
  const began = ctx.clock.now().getTime();
  const trials = await work().catch(error => {
    ctx.signal.throwIfAborted();
    return [judged(name, error)];
  });
  const seconds = Math.round((ctx.clock.now().getTime() - began) / 100) / 10;
  return trials.map((trial, n) => (n === 0 ? { ...trial, seconds } : trial));
}

/** What this host needs for a proof. Throws BkpError('verifyFailed') when the manifest is none of ours; any other exit: not on this host. */
async function prepared(ctx: Context, { manifest, dir }: ProofRequest): Promise<{ backup: Backup; place: Private }> {
  const backup = backupOf(manifest);
  if (manifest.line.includes('age')) await assertOpens(ctx.keys.identity(), manifest.recipients);
  const program = await programFor(ctx, backup.format, backup.source);
  const client = ctx.run.which('redis-cli', ctx.config.bin) ?? ctx.run.which('valkey-cli', ctx.config.bin);
  if (!client) throw new BkpError('refused', 'neither redis-cli nor valkey-cli is on this host', { next: 'apt-get install redis-tools' });
  const needed = backup.piece.bytes * 2;
  const free = await freeBytes(dir);
  if (free < needed)
    throw new BkpError('refused', `a restored copy needs about ${formatBytes(needed)}, and ${dir} has ${formatBytes(free)} free`, {
      next: '`temp:` in the config names a directory with more room',
    });
  const recorded = readBaseline(manifest.baseline);
  const { modules } = ctx.config;
  const place: Private = {
    program,
    client,
    dir: join(dir, 'data'),
    names: namesOf(recorded),
    databases: leastDatabases(recorded),
    modules,
  };
  await mkdir(place.dir, { mode: 0o700 });
  return { backup, place };
}

function counted(ctx: Context, name: string, began: number, rdb: Rdb, backup: Backup, info: Info): Trial[] {
  const recorded = readBaseline(backup.manifest.baseline);
  const found = keyspace(info);
  const late = ctx.clock.now().getTime() - began > HORIZON_MS;
  const faults = differences(rdb, recorded, found, late);
  if (faults.length > 0) return faults.slice(0, 10).map(text => ({ name, state: 'fail', text }));
  const had = recorded ? totalOf(recorded.databases) : 0;
  const gone = rdb.databases ? [...rdb.databases.values()].reduce((sum, { expired }) => sum + expired, 0) : 0;
  const why = gone > 0 ? ` (${gone} of them are past their time since)` : '';
  return [{ name, state: 'ok', text: `${totalOf(found)} keys, and ${had} were recorded${why}` }];
}

async function libraries(ctx: Context, place: Private, rdb: Rdb): Promise<Trial[]> {
  if (rdb.functions === 0) return [];
  const said = await askPrivate(ctx, place, 'FUNCTION', 'LIST');
  const found = said.split('\n').filter(line => line.trim() === 'library_name').length;
  if (found === rdb.functions) return [{ name: 'functions', state: 'ok', text: `${found} libraries` }];
  return [{ name: 'functions', state: 'fail', text: `${found} function libraries came back, and the dump has ${rdb.functions}` }];
}

/** A copy that can be read but not written is no restore. */
async function write(ctx: Context, place: Private): Promise<Trial> {
  const key = 'bkp:proof';
  await askPrivate(ctx, place, 'SET', key, 'written');
  const value = await askPrivate(ctx, place, 'GET', key);
  await askPrivate(ctx, place, 'DEL', key);
  if (value !== 'written') return { name: 'write', state: 'fail', text: `a key was written, and "${value}" came back` };
  return { name: 'write', state: 'ok', text: 'a key was written, read and removed' };
}

/** Starts the copy both ways, as `restore` promises that it can be. */
async function rehearse(
  ctx: Context,
  place: Private,
  backup: Backup,
  rdb: Rdb,
  began: number,
  enter: ProofRequest['enter'],
): Promise<Trial[]> {
  const trials: Trial[] = [];
  enter?.('start');
  await withPrivate(ctx, place, 'no', async info => {
    enter?.('prove');
    trials.push(...counted(ctx, 'keys', began, rdb, backup, info));
    trials.push(...(await libraries(ctx, place, rdb)));
    trials.push(...(await tryChecks(ctx, place)));
    trials.push(await write(ctx, place));
  });
  await withPrivate(ctx, place, 'yes', async info => {
    trials.push(...counted(ctx, 'keys by AOF', began, rdb, backup, info));
  });
  return [...trials, { name: 'stop', state: 'ok', text: 'shut down clean, twice' }];
}

/** A server without its modules would end over a dump that is as good as any. */
const withoutModules = (ctx: Context, types: readonly string[], { manifest }: Backup): Trial => ({
  name: 'keys',
  state: 'unproven',
  text: `the dump has ${modulesInWords(types, readBaseline(manifest.baseline))}, and \`modules:\` of redis/${ctx.name} names none for the private server`,
  mend: 'modules: [/usr/lib/redis/modules/NAME.so]   # as after loadmodule in redis.conf, where they lie on this host',
});

/**
 * Restores a dump on a private server of this host, once as a dump and once as an AOF, and compares its keys with what was recorded.
 * @throws BkpError('storeUnreachable') when the store falls silent; the signal's reason
 */
export async function* prove(ctx: Context, request: ProofRequest): AsyncGenerator<Trial> {
  let ready: Awaited<ReturnType<typeof prepared>>;
  try {
    ready = await prepared(ctx, request);
  } catch (error) {
    ctx.signal.throwIfAborted();
    yield judged('preflight', error, ['verifyFailed']);
    return;
  }
  const { backup, place } = ready;
  const began = ctx.clock.now().getTime();
  let rdb: Rdb | undefined;
  yield* await timed(ctx, 'unpack', async () => {
    const chosen = { ...backup, stores: ctx.stores };
    rdb = await fetchDump(ctx, chosen, join(place.dir, place.names.dump), request.read, HORIZON_MS);
    await layOut(place.dir, place.names, majorOf(place.program.version), undefined);
    const crc = rdb.checksum === 'right' ? ', its CRC64 is right' : '';
    return [{ name: 'unpack', state: 'ok', text: `${formatBytes(rdb.bytes)}, of the SHA-256 that the manifest names${crc}` }];
  });
  if (!rdb) return;
  if (rdb.moduleTypes.length > 0 && place.modules.length === 0) {
    yield withoutModules(ctx, rdb.moduleTypes, backup);
    return;
  }
  yield* await timed(ctx, 'keys', () => rehearse(ctx, place, backup, rdb!, began, request.enter));
}
