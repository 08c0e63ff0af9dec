import { access, chmod, chown, mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RestoreRequest, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import type { Owner } from './private.ts';

type Context = TargetContext<PostgresConfig>;

/** Stands in a data directory while a restore into it is not complete. */
export const INCOMPLETE = 'BKP_RESTORE_INCOMPLETE';

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const isDataDir = async (dir: string): Promise<boolean> =>
  (await exists(join(dir, 'PG_VERSION'))) && (await exists(join(dir, 'global/pg_control')));

const entries = async (dir: string): Promise<string[]> => {
  try {
    return (await readdir(dir)).filter(name => name !== 'lost+found');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new BkpError('refused', `${dir} cannot be restored into: ${(error as Error).message}`, { cause: error });
  }
};

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

async function refuseLive(to: string): Promise<void> {
  const text = await readFile(join(to, 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  if (pid > 0 && isRunning(pid)) {
    throw new BkpError('refused', `${to} is the data directory of a running server (pid ${pid})`, {
      next: ['stop that server first', 'or restore elsewhere with --to'],
    });
  }
}

/** Where the data that is there now would be moved to. */
export const asidePath = (to: string, now: Date): string => `${to}.before-${now.toISOString().replace(/[-:]|\.\d+/g, '')}`;

/**
 * Refuses a place that holds something, unless forced: live servers always, foreign clusters and any data without --force.
 * @returns true when what is there has to be moved aside
 */
export async function inspect(to: string, force: boolean): Promise<boolean> {
  await refuseLive(to);
  if (await isDataDir(dirname(to))) {
    throw new BkpError('refused', `${to} lies inside the data directory ${dirname(to)}`, {
      next: `name the data directory itself, or another place, with --to`,
    });
  }
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
  let at = to;
  while (!(await exists(at))) at = dirname(at);
  const { bavail, bsize } = await statfs(at);
  return bavail * bsize;
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
  await mkdir(to, { recursive: true, mode: 0o700 });
  await chmod(to, 0o700);
  await writeFile(join(to, INCOMPLETE), 'A restore into this directory has not been completed.\n', { mode: 0o600 });
  if (owner) for (const path of [to, join(to, INCOMPLETE)]) await chown(path, owner.uid, owner.gid);
  return moved;
}

export const complete = (to: string): Promise<void> => rm(join(to, INCOMPLETE), { force: true });

/** As root, PostgreSQL runs as somebody else: --owner, the config's owner, the owner of the target's parent, or postgres. */
export async function ownerOf(ctx: Context, request: RestoreRequest): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const named = request.owner ?? ctx.config.owner;
  if (named) return lookUp(ctx, named);
  let parent = dirname(request.to);
  while (!(await exists(parent))) parent = dirname(parent);
  const { uid, gid } = await stat(parent);
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
