import { chmod, chown, mkdir, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RestoreRequest, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import type { Owner } from './private.ts';
import { isDataDir, nearest, refuseSurroundings } from './surroundings.ts';

type Context = TargetContext<PostgresConfig>;

/** Stands in a data directory while a restore into it is not complete. */
export const INCOMPLETE = 'BKP_RESTORE_INCOMPLETE';

const entries = async (dir: string): Promise<string[]> => {
  try {
    return (await readdir(dir)).filter(name => name !== 'lost+found');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new BkpError('refused', `${dir} cannot be restored into: ${(error as Error).message}`, { cause: error });
  }
};

/** Where the data that is there now would be moved to. */
export const asidePath = (to: string, now: Date): string => `${to}.before-${now.toISOString().replace(/[-:]|\.\d+/g, '')}`;

/**
 * Refuses a place that holds something, unless forced; one whose surroundings would come to harm always.
 * @returns true when what is there has to be moved aside
 */
export async function inspect(ctx: Context, to: string, force: boolean): Promise<boolean> {
  await refuseSurroundings(ctx, to);
  const present = await entries(to);
  if (present.length === 0) return false;
  if (force) return true;
  const what = present.includes(INCOMPLETE)
    ? 'holds an incomplete restore of an earlier run'
    : (await isDataDir(to))
      ? 'holds a PostgreSQL data directory'
      : `is not empty (${present.slice(0, 3).join(', ')}${present.length > 3 ? ', …' : ''})`;
  throw new BkpError('refused', `${to} ${what}`, {
    next: ['restore elsewhere with --to DIR', '--force moves what is there aside under a dated name and removes nothing'],
  });
}

/** Free space at the place, bytes. Looks at the nearest directory that exists. */
export async function freeBytes(to: string): Promise<number> {
  const { bavail, bsize } = await statfs(await nearest(to));
  return bavail * bsize;
}

/** The directories above `to` that were made with it, from the first one on. */
function made(first: string | undefined, to: string): string[] {
  const paths: string[] = [];
  for (let at = dirname(to); first !== undefined && at.length >= first.length; at = dirname(at)) paths.push(at);
  return paths;
}

/** Makes the directory, owned and closed as PostgreSQL wants it, marked incomplete. */
export async function occupy(ctx: Context, to: string, aside: boolean, owner: Owner | undefined): Promise<string | undefined> {
  const moved = aside ? asidePath(to, ctx.clock.now()) : undefined;
  if (moved) {
    await rename(to, moved).catch(error => {
      throw new BkpError('refused', `${to} cannot be moved aside to ${moved}: ${error.message}`, {
        next: 'empty it by hand, or restore elsewhere with --to',
        cause: error,
      });
    });
  }
  const first = await mkdir(to, { recursive: true, mode: 0o700 });
  await chmod(to, 0o700);
  await writeFile(join(to, INCOMPLETE), 'A restore into this directory has not been completed.\n', { mode: 0o600 });
  if (owner) for (const path of [...made(first, to), to, join(to, INCOMPLETE)]) await chown(path, owner.uid, owner.gid);
  return moved;
}

export const complete = (to: string): Promise<void> => rm(join(to, INCOMPLETE), { force: true });

/** As root, PostgreSQL runs as somebody else: --owner, the config's owner, the owner of the target's parent, or postgres. */
export async function ownerOf(ctx: Context, request: RestoreRequest): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const named = request.owner ?? ctx.config.owner;
  if (named) return lookUp(ctx, named);
  const { uid, gid } = await stat(await nearest(dirname(request.to)));
  return uid === 0 ? lookUp(ctx, 'postgres') : { uid, gid };
}

async function lookUp(ctx: Context, name: string): Promise<Owner> {
  const id = async (flag: string): Promise<number> => Number((await ctx.run.text({ file: 'id', args: [flag, '--', name] })).stdout.trim());
  try {
    const owner = { uid: await id('-u'), gid: await id('-g') };
    if (owner.uid === 0)
      throw new BkpError('usage', 'PostgreSQL refuses to run as root', { next: '--owner USER names who owns the restored data directory' });
    return owner;
  } catch (error) {
    if (error instanceof BkpError && error.exit === 'usage') throw error;
    throw new BkpError('usage', `there is no user "${name}" here to own the restored data directory`, {
      next: '--owner USER names another one',
      cause: error,
    });
  }
}
