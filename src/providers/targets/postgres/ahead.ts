import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { BkpError } from '../../../core/errors.ts';
import type { Context } from './chunks.ts';
import { Reader } from './reader.ts';
import { Wire } from './wire.ts';

/** So long without a question, and replay has ended or found the primary. */
const IDLE_MS = 60_000;
const LOOK_MS = 500;
/** A reader that has just begun does not answer yet. */
const YOUNG_MS = 2000;

/** Beside the WAL, where only the server's account gets in and base backups do not look. */
const placeOf = (dataDir: string, entry: string): string => join(dataDir, 'pg_wal', `.bkp-ahead-${entry}`);

/** A socket that is answered is the proof; a number may be that of another process by now, or of one that ended and was not waited for. */
const isAnswered = (socket: string): Promise<boolean> =>
  new Promise(resolve => {
    const link = connect(socket, () => {
      link.destroy();
      resolve(true);
    });
    link.on('error', () => resolve(false));
  });

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function pidIn(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return /^\d+/.test(text) ? Number.parseInt(text, 10) : undefined;
}

/** Somebody reads ahead there already, or is about to. */
async function isTaken(ctx: Context, place: string): Promise<boolean> {
  if (await isAnswered(join(place, 'wal'))) return true;
  const seen = await stat(place).catch(() => undefined);
  return seen !== undefined && ctx.clock.now().getTime() - seen.mtimeMs < YOUNG_MS;
}

const isOn = (ctx: Context): boolean => (ctx.config.wal.prefetch ?? 0) > 0;

const inRecovery = (dataDir: string): boolean => ['recovery.signal', 'standby.signal'].some(name => existsSync(join(dataDir, name)));

/** Only segments are followed by others, only a server in recovery goes on to them, and one reader serves it. */
async function wanted(ctx: Context, name: string, dataDir: string): Promise<boolean> {
  return isOn(ctx) && /^[0-9A-F]{24}$/.test(name) && inRecovery(dataDir) && !(await isTaken(ctx, placeOf(dataDir, ctx.name)));
}

/** @returns false when another reader was quicker */
async function occupy(ctx: Context, place: string): Promise<boolean> {
  if (await isTaken(ctx, place)) return false;
  await rm(place, { recursive: true, force: true });
  try {
    await mkdir(place, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  await writeFile(join(place, 'pid'), `${process.pid}\n`, { mode: 0o600 });
  return true;
}

/** Until the server is gone, its recovery is over, or it asks no more. */
async function untilOver(ctx: Context, dataDir: string, reader: Reader): Promise<void> {
  while (!ctx.signal.aborted && ctx.clock.now().getTime() - reader.asked < IDLE_MS) {
    const server = await pidIn(join(dataDir, 'postmaster.pid'));
    if (server === undefined || !isAlive(server) || !inRecovery(dataDir)) return;
    await ctx.clock.sleep(LOOK_MS, ctx.signal).catch(() => {});
  }
}

/** One reader for one server, started after `name` was handed out. It ends by itself and takes what it read with it. */
async function run(ctx: Context, name: string, dataDir: string): Promise<void> {
  const place = placeOf(dataDir, ctx.name);
  if (!isOn(ctx)) throw new BkpError('usage', `postgres/${ctx.name} reads nothing ahead: wal.prefetch is 0`);
  if (!(await occupy(ctx, place))) return;
  const reader = new Reader(ctx, dataDir, place);
  const wire = new Wire(asked => reader.lookUp(asked));
  try {
    await wire.listen(join(place, 'wal'));
    await reader.follow(name);
    await untilOver(ctx, dataDir, reader);
  } finally {
    await wire.close();
    await reader.close();
    await rm(place, { recursive: true, force: true });
  }
}

/** Reading ahead for `bkp wal fetch`. */
export const ahead = { wanted, run };
