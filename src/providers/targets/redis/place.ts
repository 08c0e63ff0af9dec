import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { RestoreRequest } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { exists, inspect as inspectPlace, nearest, type Owner, parentOwner, refuseOurs, userOf } from '../../../flow/place.ts';
import { type Context, withCli } from './cli.ts';
import { isHere } from './here.ts';
import { called, liveState } from './live.ts';

/** Servers of this host by the directory in which they work: a Redis always works in its data directory, and has no lock there. */
async function serversAt(): Promise<{ pid: string; name: string; dir: string }[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async pid => {
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
      const dir = /^(redis|valkey|keydb)/.test(name) ? await readlink(`/proc/${pid}/cwd`).catch(() => undefined) : undefined;
      return dir === undefined ? [] : [{ pid, name, dir }];
    }),
  );
  return found.flat();
}

/** The directory in which the server of the entry works, where it answers, tells it, and runs here. */
async function ownDir(ctx: Context): Promise<string | undefined> {
  if (ctx.config.where !== 'local' || !(await isHere(ctx.config.host))) return undefined;
  const live = await withCli(ctx, cli => liveState(ctx, cli)).catch(() => undefined);
  ctx.signal.throwIfAborted();
  return live?.settings?.get('dir');
}

const within = (inner: string, outer: string): boolean => `${inner}/`.startsWith(`${outer === '/' ? '' : outer}/`);

/**
 * A running server would go on with what it holds in memory and write it over what is restored.
 * @throws BkpError('refused'), forced or not
 */
export async function refuseRunning(ctx: Context, to: string): Promise<void> {
  const there = await nearest(to);
  const at = join(await realpath(there), to.slice(there.length));
  const server = (await serversAt()).find(({ dir }) => within(dir, at));
  const own = server ? undefined : await ownDir(ctx);
  const which = server ? `${server.name} (pid ${server.pid})` : called(ctx);
  const dir = server?.dir ?? own;
  if (dir === undefined || !within(dir, at)) return;
  throw new BkpError('refused', `a running server, ${which}, keeps its data in ${dir}`, {
    next: [
      'stop it first',
      `into the running server: bkp restore redis ${ctx.name} --latest --online`,
      'or restore elsewhere with --to DIR',
    ],
  });
}

/**
 * Refuses a place where something is, unless forced; one that a server or a store is in always.
 * @returns true when what is there has to be moved aside
 */
export async function inspect(ctx: Context, to: string, force: boolean): Promise<boolean> {
  await refuseOurs(ctx.stores, to);
  await refuseRunning(ctx, to);
  return inspectPlace(to, force, async dir => {
    const names = await readdir(dir);
    return names.some(name => /\.rdb$|\.aof/.test(name)) || (await exists(join(dir, 'appendonlydir'))) ? 'data of a Redis' : undefined;
  });
}

/** As root: --owner, the config's owner, the owner of the directory above, or whom the packages of Redis and Valkey make. */
export async function ownerOf(ctx: Context, request: Pick<RestoreRequest, 'owner' | 'to'>): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const named = request.owner ?? ctx.config.owner;
  if (named) return userOf(ctx, named);
  const parent = await parentOwner(request.to);
  if (parent.uid !== 0) return parent;
  for (const name of ['redis', 'valkey']) {
    const user = await userOf(ctx, name).catch(() => undefined);
    if (user) return user;
  }
  return parent;
}
