import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RestoreRequest } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { exists, inspect, type Owner, parentOwner, refuseOurs, userOf } from '../../../flow/place.ts';
import { checkMember, TarScan } from '../../../flow/tarScan.ts';
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

/**
 * Unpacks the configuration into a directory of its own, for a person to look at: nothing of a running system is written over.
 * @throws BkpError('verifyFailed') for a member that leads out
 */
export async function unpackConfig(ctx: Context, tar: string, into: string): Promise<void> {
  const scan = new TarScan(checkMember);
  scan.push(await readFile(tar));
  if (!scan.ended) throw new BkpError('verifyFailed', 'config.tar is cut short: its end mark is missing');
  await ctx.run.text({ file: 'tar', args: ['-x', '-p', '--no-same-owner', '-f', tar, '-C', into] }, { signal: ctx.signal });
}

/** A secret as a file that only its owner reads. */
export const writeSecret = (path: string, bytes: Buffer): Promise<void> => writeFile(path, bytes, { mode: 0o600, flag: 'wx' });
