import type { Dirent } from 'node:fs';
import { access, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import type { Owner } from './private.ts';

type Context = TargetContext<PostgresConfig>;

/** How far below a place a running server is looked for. */
const DEEP = 5;

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

export const isDataDir = async (dir: string): Promise<boolean> =>
  (await exists(join(dir, 'PG_VERSION'))) && (await exists(join(dir, 'global/pg_control')));

/** The nearest directory at or above a path that is there. */
export async function nearest(path: string): Promise<string> {
  let at = path;
  while (!(await exists(at))) at = dirname(at);
  return at;
}

/** Without links, also where the end of the path is not there yet. */
async function real(path: string): Promise<string> {
  const there = await nearest(path);
  return join(await realpath(there), path.slice(there.length));
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

async function refuseLive(dir: string): Promise<void> {
  const text = await readFile(join(dir, 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  if (pid > 0 && isRunning(pid)) {
    throw new BkpError('refused', `${dir} is the data directory of a running server (pid ${pid})`, {
      next: ['stop that server first', 'or restore elsewhere with --to'],
    });
  }
}

/** Moving a directory aside moves the servers in it along, from under their feet. */
async function refuseLiveBelow(dir: string, depth = DEEP): Promise<void> {
  await refuseLive(dir);
  if (depth === 0 || (await isDataDir(dir))) return;
  const entries: Dirent[] = await readdir(dir, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await refuseLiveBelow(join(dir, entry.name), depth - 1);
}

async function refuseInside(to: string): Promise<void> {
  for (let at = dirname(to); at !== dirname(at); at = dirname(at)) {
    if (!(await isDataDir(at))) continue;
    throw new BkpError('refused', `${to} lies inside the data directory ${at}`, {
      next: 'name the data directory itself, or another place, with --to',
    });
  }
}

/** What bkp itself needs later must neither be moved aside nor grow into. */
async function refuseOurs(ctx: Context, to: string): Promise<void> {
  const places = [
    ...ctx.stores.flatMap(store => (store.place ? [{ what: `store ${store.name}`, path: store.place }] : [])),
    ...(ctx.config.spool ? [{ what: 'the spool', path: ctx.config.spool }] : []),
  ];
  const at = await real(to);
  for (const { what, path } of places) {
    const other = await real(path);
    if (`${at}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${at}/`))
      throw new BkpError('refused', `${to} and ${what} (${path}) lie in one another`, { next: 'restore elsewhere with --to' });
  }
}

/**
 * Refuses a place around which something would come to harm, forced or not: inside a data directory, a running server in it, a store
 * or the spool in it or around it. @throws BkpError('refused')
 */
export async function refuseSurroundings(ctx: Context, to: string): Promise<void> {
  await refuseLiveBelow(to);
  await refuseInside(to);
  await refuseOurs(ctx, to);
}

const mayEnter = ({ mode, uid, gid }: { mode: number; uid: number; gid: number }, owner: Owner): boolean => {
  if (uid === owner.uid) return (mode & 0o100) !== 0;
  return (mode & (gid === owner.gid ? 0o010 : 0o001)) !== 0;
};

/** The server that replays runs as the owner, who has to be able to walk there. Throws BkpError('refused') naming the first closed directory. */
export async function refuseClosed(to: string, owner: Owner | undefined): Promise<void> {
  if (!owner || owner.uid === 0) return;
  const path = await realpath(await nearest(dirname(to)));
  for (let at = path; ; at = dirname(at)) {
    if (!mayEnter(await stat(at), owner))
      throw new BkpError('refused', `uid ${owner.uid}, which is to own ${basename(to)}, cannot enter ${at}`, {
        next: [`chmod o+x ${at}`, 'or restore elsewhere with --to, or to another --owner'],
      });
    if (at === dirname(at)) return;
  }
}
