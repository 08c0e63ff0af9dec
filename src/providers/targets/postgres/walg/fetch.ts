import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BkpError } from '../../../../core/errors.ts';
import type { WalObject } from '../archive.ts';
import { type Context, environmentFor, howEnded, runWalg, scratchOf } from './program.ts';
import { checkSegment } from './segment.ts';

/** Key prefix of the archive in which a file lies. */
const prefixOfKey = (key: string): string => key.split('/').slice(0, -2).join('/');

/**
 * The plain bytes of a file that WAL-G archived, from the store in which it was listed. WAL-G keeps no hash: what is known of a segment is its
 * size, and that its first page names the cluster and the position.
 * @throws BkpError('storeUnreachable') when WAL-G did not bring it although it is listed; 'verifyFailed' when it is not what its name says
 */
export async function fetchWal(ctx: Context, lineage: string, object: WalObject): Promise<Buffer> {
  // One at a time: with more, WAL-G fetches ahead in processes of its own, into the data directory.
  const env = { ...(await environmentFor(ctx, object.store, prefixOfKey(object.key))), WALG_DOWNLOAD_CONCURRENCY: '1' };
  const dir = await scratchOf(ctx);
  const path = join(dir, `${object.name}.${randomBytes(4).toString('hex')}`);
  try {
    const ended = await runWalg(ctx, ['wal-fetch', object.name, path], env, { cwd: dir });
    const what = `WAL ${object.name} in store ${object.store.name} (${object.key})`;
    if (ended.code !== 0)
      throw new BkpError('storeUnreachable', `${what} is there, and wal-g wal-fetch ${howEnded(ended)}`, {
        next: 'a wrong key looks like this too: `walg:` needs the key with which it was stored',
      });
    const plain = await readFile(path).catch(error => {
      throw new BkpError('verifyFailed', `${what}: wal-g wal-fetch ended with 0 and left no file`, { cause: error });
    });
    checkSegment(plain, object.name, lineage, what);
    return plain;
  } finally {
    await rm(path, { force: true });
  }
}
