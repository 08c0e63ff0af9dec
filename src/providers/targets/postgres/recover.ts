import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Child, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { formatLsn, historyName, parseLsn } from '../../../core/postgres/lsn.ts';
import type { Reach } from '../../../core/postgres/plan.ts';
import { own } from '../../../flow/place.ts';
import type { PostgresConfig } from './config.ts';
import { findDoor } from './door.ts';
import { Feeder } from './feeder.ts';
import { askPrivate, type Private, postgresCommand, privateSettings, restoreCommand, stopClean, untilReady } from './private.ts';

type Context = TargetContext<PostgresConfig>;

/** From which base to where a private server replays. */
export interface Recovery {
  /** Id of the backup. */
  id: string;
  reach: Reach;
  /** recovery_target* of PostgreSQL; empty = to the end of the WAL. */
  target: Readonly<Record<string, string>>;
  /** Ids of older backups, to be tried where the target lies before this one. */
  older: readonly string[];
  /** Segments that are read ahead of replay. */
  ahead: number;
  /** Plain bytes of an archived file; undefined when no store has it. */
  read(name: string): Promise<Buffer | undefined>;
  check?(name: string, plain: Buffer): Promise<void>;
}

/** What the server's log said, and the position at which recovery left the old timeline for a new one. */
export interface Recovered {
  log: string[];
  fork: bigint;
  timeline: number;
}

/** How a private server on an unpacked base ends recovery. */
interface Course {
  signal: 'recovery.signal' | 'standby.signal';
  settings: Readonly<Record<string, string>>;
  /** State of the cluster after a clean stop, as pg_controldata says it. */
  stopped: 'shut down' | 'shut down in recovery';
  inRecovery: 't' | 'f';
  onLine?(line: string, child: Child): void;
}

/** Starts a private server, works with it once it takes connections, and stops it clean. Whatever happens, it is down then. @returns its log */
async function serving(ctx: Context, place: Private, recovery: Recovery, course: Course, use: () => Promise<void>): Promise<string[]> {
  await signalRecovery(place, course.signal);
  const feeder = new Feeder(recovery, place.dir, place.owner);
  const log: string[] = [];
  const command = postgresCommand(place, {
    ...privateSettings(place),
    ...course.settings,
    recovery_target_inclusive: 'on',
    recovery_target_action: 'promote',
    recovery_target_timeline: String(recovery.reach.timeline),
    restore_command: await restoreCommand(ctx, place, feeder.socket),
  });
  await feeder.listen();
  const child = ctx.run.start(command, { tied: 'SIGQUIT' });
  const stop = () => child.kill('SIGINT');
  ctx.signal.addEventListener('abort', stop, { once: true });
  try {
    await untilReady(child, log, line => {
      tellReplay(ctx, line, feeder, recovery.reach);
      course.onLine?.(line, child);
    });
    if (feeder.trouble) throw feeder.trouble;
    await findDoor(ctx, place);
    const inRecovery = await askPrivate(ctx, place, 'select pg_is_in_recovery()');
    if (inRecovery !== course.inRecovery)
      throw new BkpError('failed', `the private server says that it is ${inRecovery === 't' ? 'still' : 'no longer'} in recovery`);
    await use();
    await stopClean(ctx, place, child, course.stopped);
  } catch (error) {
    child.kill('SIGQUIT');
    await child.ended.catch(() => {});
    ctx.signal.throwIfAborted();
    throw feeder.trouble ?? unreached(error, log, recovery);
  } finally {
    ctx.signal.removeEventListener('abort', stop);
    await feeder.close();
  }
  return log;
}

/**
 * Starts a private server on an unpacked base, replays to the target, promotes, and stops it clean. Whatever happens, it is down then.
 * @param use works with the promoted server before it is stopped
 * @param settings of the server, beyond those of every private one
 * @throws what `use` throws; BkpError('notFound') for a target that is not in the WAL; 'failed' with the server's words
 */
export async function recover(
  ctx: Context,
  place: Private,
  recovery: Recovery,
  use: () => Promise<void> = async () => {},
  settings: Readonly<Record<string, string>> = {},
): Promise<Recovered> {
  const course: Course = {
    signal: 'recovery.signal',
    settings: { ...settings, ...targetSettings(recovery.target) },
    stopped: 'shut down',
    inRecovery: 'f',
  };
  const log = await serving(ctx, place, recovery, course, use);
  return { log, ...(await forkOf(place, log)) };
}

/** Once all of a base is replayed, whoever may come in may do so at once (PostgreSQL 15 and 18). */
const GRACE_MS = 5000;

/**
 * Starts a private standby on an unpacked base, which replays what the base has inside and never promotes, and stops it clean: it can be
 * replayed further. Whatever happens, it is down then.
 * @param use works with the standby, which only reads
 * @returns false when the standby, consistent as it was, let nobody in: nothing was done with it
 * @throws what `use` throws; 'failed' with the server's words
 */
export async function standBy(
  ctx: Context,
  place: Private,
  recovery: Recovery,
  use: () => Promise<void>,
  settings: Readonly<Record<string, string>>,
): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const course: Course = {
    signal: 'standby.signal',
    settings: { ...settings, ...targetSettings({}), hot_standby: 'on' },
    stopped: 'shut down in recovery',
    inRecovery: 't',
    onLine(line, child) {
      if (/ready to accept/.test(line)) clearTimeout(timer);
      if (!/consistent recovery state reached/.test(line)) return;
      timer = setTimeout(() => {
        closed = true;
        child.kill('SIGINT');
      }, GRACE_MS);
    },
  };
  try {
    await serving(ctx, place, recovery, course, use);
  } catch (error) {
    if (!closed) throw error;
  } finally {
    clearTimeout(timer);
  }
  return !closed;
}

async function signalRecovery({ dataDir, owner }: Private, signal: Course['signal']): Promise<void> {
  for (const name of ['standby.signal', 'recovery.signal', 'postmaster.pid']) await rm(join(dataDir, name), { force: true });
  await writeFile(join(dataDir, signal), '', { mode: 0o600 });
  await own(join(dataDir, signal), owner);
}

/** A transaction or a name can lie before the base, where no replay on top of it gets: that is said, with the bases to try. */
function unreached(error: unknown, log: readonly string[], { id, target, reach, older }: Recovery): unknown {
  const [setting, value] = Object.entries(target)[0] ?? [];
  if (!setting || !log.some(line => /recovery ended before configured recovery target was reached/.test(line))) return error;
  return new BkpError('notFound', `${setting} = ${value} is not in the WAL from backup ${id} to ${formatLsn(reach.end)}`, {
    next: [...older.map(each => `--from-backup ${each}   # an older base`), 'bkp list postgres shows all'],
    cause: error,
  });
}

/** Blanks what the cluster's own files may still set. The one that counts comes last: PostgreSQL refuses any assignment after it, even of ''. */
function targetSettings(target: Recovery['target']): Record<string, string> {
  const blank = ['recovery_target', 'recovery_target_name', 'recovery_target_time', 'recovery_target_xid', 'recovery_target_lsn'].filter(
    name => !(name in target),
  );
  return { ...Object.fromEntries(blank.map(name => [name, ''])), ...target };
}

function tellReplay(ctx: Context, line: string, feeder: Feeder, { base, segments }: Reach): void {
  if (/restored log file/.test(line))
    ctx.report.emit({
      type: 'progress',
      what: 'replay',
      bytes: feeder.served * base.segmentBytes,
      total: segments.length * base.segmentBytes,
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

/**
 * PostgreSQL promotes silently at damaged WAL; where it stopped has to be where the plan ends.
 * @throws BkpError('failed') when it is not
 */
export function checkReached({ reach, target }: Recovery, { fork, log }: Recovered): void {
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

/** Time of the newest commit that was replayed, by the server's log; undefined when there was none. */
export const commitTime = (log: readonly string[]): Date | undefined => {
  const text = log.map(line => /last completed transaction was at log time (\S+ \S+?)(?:\+00| UTC|$)/.exec(line)?.[1]).findLast(Boolean);
  return text ? new Date(`${text.replace(' ', 'T').replace(/(\.\d{3})\d*/, '$1')}Z`) : undefined;
};
