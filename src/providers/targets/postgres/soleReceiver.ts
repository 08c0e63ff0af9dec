import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, resolve } from 'node:path';
import { BkpError } from '../../../core/errors.ts';
import type { Context } from './chunks.ts';

const PATIENCE_MS = 10_000;
const LOOK_MS = 20;

/**
 * Holds a spool for this process: two receivers in it would rename each other's segments. The hold is a name among the abstract sockets of
 * Linux, which goes with the process, however it ends.
 * @returns what lets it go
 * @throws BkpError('conflict') when another `bkp stream` of this host has it
 */
async function hold(dir: string): Promise<() => Promise<void>> {
  if (process.platform !== 'linux') return async () => {};
  const server = createServer();
  const name = `\0bkp-spool-${createHash('sha256').update(resolve(dir)).digest('hex')}`;
  await new Promise<void>((done, fail) => server.once('error', fail).listen(name, done)).catch(error => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new BkpError('conflict', `another bkp stream receives into the spool ${dir}`, {
      next: 'one stream is enough for an entry: end the other one first, or let `spool:` name a directory of its own',
    });
  });
  server.unref();
  return () => new Promise(done => server.close(() => done()));
}

const argumentsOf = async (pid: string): Promise<string[]> => (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');

/** Processes of pg_receivewal that write into a directory. */
async function receiversInto(dir: string): Promise<number[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async pid => {
      const args = await argumentsOf(pid);
      return args.some(each => basename(each) === 'pg_receivewal') && args[args.indexOf('-D') + 1] === dir ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

/**
 * Ends what a bkp that was killed left behind: its pg_receivewal goes on (tried on 15 and 18), and names a segment by its path once it is
 * full, whoever wrote what lies there by then. Only who holds the spool may ask for it.
 * @throws BkpError('conflict') when one cannot be ended
 */
async function endLeft(ctx: Context, dir: string): Promise<void> {
  const until = ctx.clock.now().getTime() + PATIENCE_MS;
  const told = new Set<number>();
  for (let left = await receiversInto(dir); left.length > 0; left = await receiversInto(dir)) {
    for (const pid of left) {
      if (!told.has(pid))
        ctx.report.emit({ type: 'note', text: `pg_receivewal (process ${pid}), which a bkp that was killed left behind, is ended` });
      told.add(pid);
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ESRCH') continue;
        throw new BkpError(
          'conflict',
          `pg_receivewal (process ${pid}) writes into the spool ${dir}, and cannot be ended: ${(error as Error).message}`,
          {
            next: `kill ${pid}   # by an account that may`,
            cause: error,
          },
        );
      }
    }
    if (ctx.clock.now().getTime() > until)
      throw new BkpError('conflict', `pg_receivewal (process ${left.join(', ')}) writes into the spool ${dir}, and does not end`, {
        next: 'a disk that hangs keeps it: look at it, and start the stream again',
      });
    await ctx.clock.sleep(LOOK_MS, ctx.signal);
  }
}

/**
 * Does something while no one else receives into a directory of the spool.
 * @param dir as the receiver is told it
 * @throws BkpError('conflict') when another `bkp stream` of this host does, or a receiver that was left behind cannot be ended
 */
export async function alone<T>(ctx: Context, dir: string, work: () => Promise<T>): Promise<T> {
  const letGo = await hold(dir);
  try {
    await endLeft(ctx, dir);
    return await work();
  } finally {
    await letGo();
  }
}
