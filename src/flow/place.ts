import { access, chmod, chown, constants, lchown, readdir, realpath, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Clock, Runner, Store } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { pasted } from '../core/shell.ts';
import { makeDir } from './makeDir.ts';

/** Who owns what is restored. */
export interface Owner {
  uid: number;
  gid: number;
}

/** Stands in a directory while a restore into it is not complete. */
export const INCOMPLETE = 'BKP_RESTORE_INCOMPLETE';

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** The nearest directory at or above a path that is there. */
export async function nearest(path: string): Promise<string> {
  let at = path;
  while (!(await exists(at))) at = dirname(at);
  return at;
}

/** Without links, also where the end of the path is not there yet. */
export async function real(path: string): Promise<string> {
  const there = await nearest(path);
  return join(await realpath(there), path.slice(there.length));
}

const unfit = (dir: string, cause: NodeJS.ErrnoException): BkpError =>
  new BkpError(
    'refused',
    cause.code === 'ENOTDIR'
      ? `${dir} cannot be restored into: a file is there, or where a directory above it should be`
      : `${dir} cannot be restored into: ${cause.message}`,
    { next: 'name another directory with --to', cause },
  );

const entries = async (dir: string): Promise<string[]> => {
  try {
    return (await readdir(dir)).filter(name => name !== 'lost+found');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unfit(dir, error as NodeJS.ErrnoException);
  }
};

/** Where the data that is there now would be moved to. */
export const asidePath = (to: string, now: Date): string => `${to}.before-${now.toISOString().replace(/[-:]|\.\d+/g, '')}`;

/**
 * What bkp itself needs later must neither be moved aside nor grow into: stores in directories, and what `others` names.
 * @throws BkpError('refused')
 */
export async function refuseOurs(
  stores: readonly Store[],
  to: string,
  others: readonly { what: string; path: string }[] = [],
): Promise<void> {
  const places = [...stores.flatMap(store => (store.place ? [{ what: `store ${store.name}`, path: store.place }] : [])), ...others];
  const at = await real(to);
  for (const { what, path } of places) {
    const other = await real(path);
    if (`${at}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${at}/`))
      throw new BkpError('refused', `${to} and ${what} (${path}) lie in one another`, { next: 'restore elsewhere with --to' });
  }
}

/** Directories of the host itself: with one of them moved aside it would not go on, nor start again. */
const HOST = ['', '/bin', '/boot', '/dev', '/etc', '/lib', '/lib64', '/proc', '/run', '/sbin', '/sys', '/usr', '/var'].flatMap(dir => [
  dir || '/',
  `/usr${dir}`,
]);

/** @throws BkpError('refused') for a place without which this host, or bkp on it, cannot go on */
async function refuseHost(to: string): Promise<void> {
  const at = await realpath(to);
  const inside = [
    { what: 'the program that runs bkp', path: process.execPath },
    { what: 'the directory of temporary files', path: tmpdir() },
  ].find(({ path }) => `${path}/`.startsWith(`${at}/`));
  if (!HOST.includes(at) && !inside) return;
  throw new BkpError(
    'refused',
    `${to} is not moved aside, whatever is forced: ${inside ? `${inside.what} lies in it (${inside.path})` : 'this host needs it'}`,
    { next: 'restore elsewhere with --to DIR, and copy what is wanted' },
  );
}

/** On a file system that is mounted read-only this is said to root too. @throws BkpError('refused') */
async function refuseReadOnly(to: string): Promise<void> {
  const at = await nearest(to);
  await access(at, constants.W_OK).catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'EROFS' ? 'its file system is read-only' : 'whoever runs bkp may not';
    throw new BkpError('refused', `${to} cannot be restored into: nothing can be written in ${at}, ${why}`, {
      next: 'make it writable, or restore elsewhere with --to DIR',
      cause,
    });
  });
}

/**
 * Refuses a place that holds something, unless forced.
 * @param holds what the directory is in words, such as `a PostgreSQL data directory`; undefined = just not empty
 * @returns true when what is there has to be moved aside
 * @throws BkpError('refused'); for a directory of the host itself also where forced
 */
export async function inspect(to: string, force: boolean, holds: (dir: string) => Promise<string | undefined>): Promise<boolean> {
  const present = await entries(to);
  await refuseReadOnly(to);
  if (present.length === 0) return false;
  if (force) {
    await refuseHost(to);
    return true;
  }
  const known = present.includes(INCOMPLETE) ? 'an incomplete restore of an earlier run' : await holds(to);
  const what = known ? `holds ${known}` : `is not empty (${present.slice(0, 3).join(', ')}${present.length > 3 ? ', …' : ''})`;
  throw new BkpError('refused', `${to} ${what}`, {
    next: ['restore elsewhere with --to DIR', '--force moves what is there aside under a dated name and removes nothing'],
  });
}

/** Free space at the place, bytes. Looks at the nearest directory that exists. */
export async function freeBytes(to: string): Promise<number> {
  const { bavail, bsize } = await statfs(await nearest(to));
  return bavail * bsize;
}

/** @param flag the option that names another place. Throws BkpError('refused') with both sizes. */
export async function refuseFull(place: string, needed: number, flag: string): Promise<void> {
  const free = await freeBytes(place);
  if (free < needed) {
    throw new BkpError('refused', `${place} has ${free} bytes free, and the restore needs about ${needed}`, {
      next: `free some space, or restore elsewhere with ${flag}`,
    });
  }
}

/** The directories above `to` that were made with it, from the first one on. */
function made(first: string | undefined, to: string): string[] {
  const paths: string[] = [];
  for (let at = dirname(to); first !== undefined && at.length >= first.length; at = dirname(at)) paths.push(at);
  return paths;
}

/**
 * Makes the directory, owned and closed to others (mode 700), marked incomplete.
 * @param aside move what is there to a dated name first
 * @returns where that is now
 * @throws BkpError('refused') when it cannot be moved
 */
export async function occupy(ctx: { clock: Clock }, to: string, aside: boolean, owner: Owner | undefined): Promise<string | undefined> {
  // A link stays one: what comes back lies on the disk that it leads to, whose room was looked at.
  const at = aside ? await realpath(to) : to;
  const moved = aside ? asidePath(at, ctx.clock.now()) : undefined;
  if (moved) {
    await rename(at, moved).catch(error => {
      throw new BkpError('refused', `${to} cannot be moved aside to ${moved}: ${error.message}`, {
        next: 'empty it by hand, or restore elsewhere with --to',
        cause: error,
      });
    });
  }
  const first = await makeDir(at, 0o700);
  await chmod(at, 0o700);
  await writeFile(join(at, INCOMPLETE), 'A restore into this directory has not been completed.\n', { mode: 0o600 });
  if (owner) for (const path of [...made(first, at), at, join(at, INCOMPLETE)]) await chown(path, owner.uid, owner.gid);
  return moved;
}

/** Gives a file or directory to its owner; nothing to do where that is whoever runs bkp. */
export const own = async (path: string, owner: Owner | undefined): Promise<void> => {
  if (owner) await chown(path, owner.uid, owner.gid);
};

/** Closes a directory to others and gives it, and all below it, to its owner, links included. */
export async function ownAll(dir: string, owner: Owner | undefined): Promise<void> {
  await chmod(dir, 0o700);
  if (!owner) return;
  await lchown(dir, owner.uid, owner.gid);
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true }))
    await lchown(join(entry.parentPath, entry.name), owner.uid, owner.gid);
}

/** Takes the mark of an incomplete restore away. */
export const complete = (to: string): Promise<void> => rm(join(to, INCOMPLETE), { force: true });

/** A user of this host by name. Throws BkpError('usage') when there is none. */
export async function userOf(ctx: { run: Runner }, name: string): Promise<Owner> {
  const id = async (flag: string): Promise<number> => Number((await ctx.run.text({ file: 'id', args: [flag, '--', name] })).stdout.trim());
  try {
    return { uid: await id('-u'), gid: await id('-g') };
  } catch (error) {
    throw new BkpError('usage', `there is no user "${name}" here to own the restored data directory`, {
      next: '--owner USER names another one',
      cause: error,
    });
  }
}

/** Who owns the directory in which a place is, or is to be made. */
export async function parentOwner(to: string): Promise<Owner> {
  const { uid, gid } = await stat(await nearest(dirname(to)));
  return { uid, gid };
}

const mayEnter = ({ mode, uid, gid }: { mode: number; uid: number; gid: number }, owner: Owner): boolean => {
  if (uid === owner.uid) return (mode & 0o100) !== 0;
  return (mode & (gid === owner.gid ? 0o010 : 0o001)) !== 0;
};

/** What runs on the restored files runs as their owner, who has to be able to walk there. Throws BkpError('refused') naming the first closed directory. */
export async function refuseClosed(to: string, owner: Owner | undefined): Promise<void> {
  if (!owner || owner.uid === 0) return;
  const path = await realpath(await nearest(dirname(to)));
  for (let at = path; ; at = dirname(at)) {
    if (!mayEnter(await stat(at), owner))
      throw new BkpError('refused', `uid ${owner.uid}, which is to own ${basename(to)}, cannot enter ${at}`, {
        next: [`chmod o+x ${pasted(at)}`, 'or restore elsewhere with --to, or to another --owner'],
      });
    if (at === dirname(at)) return;
  }
}
