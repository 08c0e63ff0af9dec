import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RestoreRequest } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { exists, inspect, type Owner, parentOwner, refuseOurs, userOf } from '../../../flow/place.ts';
import type { Context } from './config.ts';
import { isRunning } from './running.ts';

const holds = async (dir: string): Promise<string | undefined> => {
  if (await exists(join(dir, 'member/snap/db'))) return 'a data directory of etcd';
  return (await readdir(dir)).includes('state.db') ? 'the datastore of a K3s' : undefined;
};

/**
 * Refuses a place that holds something, unless forced; one that a running etcd works in, or that bkp needs itself, always.
 * @returns true when what is there has to be moved aside
 */
export async function inspectPlace(ctx: Context, to: string, force: boolean): Promise<boolean> {
  await refuseOurs(ctx.stores, to);
  for (const dir of [to, join(to, 'etcd'), join(to, 'server/db/etcd'), join(to, '..')])
    if (await isRunning(dir))
      throw new BkpError('refused', `a running etcd works in ${dir}`, { next: ['stop it first', 'or restore elsewhere with --to DIR'] });
  return inspect(to, force, holds);
}

/** As root, the files belong to --owner, the config's owner, or whoever owns the directory around them. */
export async function ownerOf(ctx: Context, request: RestoreRequest): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const named = request.owner ?? ctx.config.owner;
  return named ? userOf(ctx, named) : parentOwner(request.to);
}

/** A secret as a file that only its owner reads. */
export const writeSecret = (path: string, bytes: Buffer): Promise<void> => writeFile(path, bytes, { mode: 0o600, flag: 'wx' });
