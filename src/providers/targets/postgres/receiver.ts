import type { Child } from '../../../core/contracts.ts';
import type { Context } from './chunks.ts';
import type { Live } from './live.ts';
import type { Spool } from './spool.ts';
import { connectionEnv } from './sql.ts';
import { clientTools } from './tools.ts';

/** Starts pg_receivewal into the spool. `--synchronous`: what it wrote is on its disk before it says so, which is what commits may wait for. */
export async function receive(ctx: Context, live: Live, spool: Spool): Promise<Child> {
  const tools = await clientTools(ctx, Math.floor(live.versionNum / 10000));
  return ctx.run.start({
    file: tools.path('pg_receivewal'),
    args: ['-D', spool.dir, '--synchronous', '--no-loop', '--no-password', '--status-interval=5', '-v'],
    env: { ...connectionEnv(ctx.config), PGAPPNAME: 'bkp' },
  });
}

export const removed = (lines: readonly string[]): string | undefined => lines.find(line => /has already been removed/.test(line));

/** The spool is ahead of the server, or of another history: no waiting mends that (both were tried on 15 and 18). */
export const astray = (lines: readonly string[]): string | undefined =>
  lines.find(line => /is not in this server's history|is ahead of the WAL flush position/.test(line));

/** What the receiver complained of last; its very last line only says that it ended. */
export const complaint = (lines: readonly string[]): string =>
  lines.findLast(line => /error|fatal|could not/i.test(line) && !/error: disconnected$/.test(line)) ?? lines.at(-1) ?? 'without a word';

/** The receiver's words for a disk that does not take what it writes (those of the C library, tried on 15 and 18). */
export const diskComplaint = (lines: readonly string[]): string | undefined =>
  lines.findLast(line => /No space left on device|Input\/output error|Disk quota exceeded|Read-only file system|File too large/.test(line));
