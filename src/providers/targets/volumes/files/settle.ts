import { lstat, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BkpError } from '../../../../core/errors.ts';
import { asidePath, complete, exists } from '../../../../flow/place.ts';
import { type Context, scratchOf } from './context.ts';
import { isMountPoint } from './paths.ts';

/** Names as they are: of those in no encoding text is not enough. */
const namesIn = (dir: string): Promise<Buffer[]> => readdir(dir, { encoding: 'buffer' });

const within = (dir: string, name: Buffer): Buffer => Buffer.concat([Buffer.from(`${dir}/`), name]);

async function moveAll(from: string, to: string): Promise<void> {
  for (const name of await namesIn(from)) await rename(within(from, name), within(to, name));
}

/** Nothing can be moved over or out of a mount point, so there only what it holds moves. */
export const holdsMount = async (dir: string): Promise<boolean> => (await exists(dir)) && isMountPoint(dir);

/**
 * Moves what a mount point holds into a dated directory in it.
 * @returns that directory
 * @throws BkpError('refused') when something cannot be moved, such as a mount point below
 */
export async function contentsAside(ctx: Context, dir: string): Promise<string> {
  const aside = join(dir, basename(asidePath(dir, ctx.clock.now())));
  const names = (await namesIn(dir)).filter(name => String(name) !== 'lost+found' && !/\.before-\d{8}T\d{6}Z$/.test(String(name)));
  await mkdir(aside, { mode: 0o700 });
  for (const name of names)
    await rename(within(dir, name), within(aside, name)).catch(error => {
      throw new BkpError('refused', `${join(dir, String(name))} cannot be moved aside to ${aside}: ${error.message}`, {
        next: 'empty it by hand, or restore elsewhere with --to',
        cause: error,
      });
    });
  return aside;
}

/**
 * Moves what was restored of one directory up into its place, and gives the place the owner, mode, times, attributes and ACLs of that
 * directory.
 * @param stage directory below `to` into which everything was restored; it is gone afterwards
 */
export async function settle(ctx: Context, stage: string, path: string, to: string): Promise<void> {
  const from = join(stage, path);
  const like = join(await scratchOf(ctx), 'times');
  const run = (file: string, ...args: string[]): Promise<unknown> => ctx.run.text({ file, args }, { signal: ctx.signal });
  // Moving changes the times of both, and Node sets none to the nanosecond.
  await run('touch', '-r', from, like);
  await moveAll(from, to);
  // What is empty by now gives nothing but its attributes.
  // The place may be a link to a directory, and stays one.
  await run('cp', '-a', '-T', '--', from, `${to}/.`);
  await rm(stage, { recursive: true });
  await complete(to);
  await run('touch', '-r', like, to);
}

/** Moves what was restored of several directories up, each under its whole path. */
export async function settleAll(stage: string, to: string): Promise<void> {
  await moveAll(stage, to);
  await rm(stage, { recursive: true });
  await complete(to);
}

/** Takes away what a restore that failed has made; what was moved aside stays there. */
export async function clear(to: string, aside: string | undefined, wasThere: boolean): Promise<void> {
  const kept = new Set(['lost+found', ...(aside === undefined ? [] : [basename(aside)])]);
  for (const name of await namesIn(to))
    if (!kept.has(String(name))) await rm(within(to, name), { recursive: true, force: true, maxRetries: 3 });
  // A link of the operator's leads here still.
  if (!wasThere && !(await lstat(to)).isSymbolicLink()) await rmdir(to);
}
