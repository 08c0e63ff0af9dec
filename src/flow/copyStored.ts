import { createHash } from 'node:crypto';
import type { ObjectInfo, PutOptions, Store } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { readAll } from './bytes.ts';

/**
 * Copies one object from store to store as it is, block by block, in memory of one block.
 * @param bytes its size in `from`
 * @param options `ifAbsent` leaves what is there; a conflict is then thrown
 * @throws BkpError('verifyFailed') when it came out shorter; what the stores throw. Nothing stays behind on failure.
 */
export async function copyStored(
  from: Store,
  to: Store,
  { key, bytes }: Pick<ObjectInfo, 'key' | 'bytes'>,
  options: PutOptions = {},
): Promise<ObjectInfo> {
  const upload = await to.open(key, options);
  try {
    for (let n = 0; n === 0 || n * to.blockBytes < bytes; n += 1) {
      const start = n * to.blockBytes;
      const end = Math.min(start + to.blockBytes, bytes);
      const block = end > start ? await readAll(from.get(key, { from: start, to: end })) : Buffer.alloc(0);
      if (block.length !== end - start)
        throw new BkpError('verifyFailed', `object ${key} in store ${from.name} is shorter than its ${bytes} bytes`);
      await upload.block(n, block, createHash('sha256').update(block).digest('hex'));
    }
    return await upload.commit();
  } catch (error) {
    await upload.abort();
    throw error;
  }
}
