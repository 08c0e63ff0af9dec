import type { Dirent } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { exists, real, refuseOurs } from '../../../flow/place.ts';
import type { PostgresConfig } from './config.ts';
import { usedPlaces } from './runningServers.ts';

type Context = TargetContext<PostgresConfig>;

/** How far below a place a running server is looked for. */
const DEEP = 5;

export const isDataDir = async (dir: string): Promise<boolean> =>
  (await exists(join(dir, 'PG_VERSION'))) && (await exists(join(dir, 'global/pg_control')));

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

/** A tablespace, or WAL that lies apart, has nothing in it that says whose it is, nor that its server runs. */
async function refuseUsed(to: string): Promise<void> {
  const at = await real(to);
  const used = (await usedPlaces()).find(({ path }) => `${at}/`.startsWith(`${path}/`) || `${path}/`.startsWith(`${at}/`));
  if (!used) return;
  throw new BkpError('refused', `in ${to} the server that runs in ${used.dataDir} (pid ${used.pid}) has ${used.what}`, {
    next: ['restore elsewhere, with --to or --tablespace', 'or stop that server first'],
  });
}

async function refuseInside(to: string): Promise<void> {
  for (let at = dirname(to); at !== dirname(at); at = dirname(at)) {
    if (!(await isDataDir(at))) continue;
    throw new BkpError('refused', `${to} lies inside the data directory ${at}`, {
      next: 'name the data directory itself, or another place, with --to',
    });
  }
}

/**
 * Refuses a place around which something would come to harm, forced or not: inside a data directory, a running server, or files of one,
 * in it, a store or the spool in it or around it. @throws BkpError('refused')
 */
export async function refuseSurroundings(ctx: Context, to: string): Promise<void> {
  await refuseLiveBelow(to);
  await refuseInside(to);
  await refuseUsed(to);
  await refuseOurs(ctx.stores, to, ctx.config.spool ? [{ what: 'the spool', path: ctx.config.spool }] : []);
}
