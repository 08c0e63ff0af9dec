import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { BkpError } from '../../../core/errors.ts';

const HASH = 32;
/** bbolt's pages are multiples of this; what follows the last one is the hash. */
const PAGE = 512;
const BLOCK = 4 << 20;

/**
 * Looks whether a snapshot is whole: a database and, behind it, its SHA-256, as `snapshot save` writes them (`etcdutl snapshot status` ends
 * with 0 on files that were cut).
 * @param what names it in sentences
 * @returns its bytes
 * @throws BkpError('verifyFailed')
 */
export async function checkSnapshot(path: string, what: string): Promise<number> {
  const bad = (why: string): BkpError =>
    new BkpError('verifyFailed', `${what} is no whole snapshot: ${why}`, { next: 'take another one; nothing was changed' });
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size <= HASH || size % PAGE !== HASH) throw bad(`${size} bytes are no pages and a hash, so its end was cut off`);
    const hash = createHash('sha256');
    const block = Buffer.allocUnsafe(BLOCK);
    for (let at = 0; at < size - HASH; ) {
      const { bytesRead } = await file.read(block, 0, Math.min(BLOCK, size - HASH - at), at);
      if (bytesRead === 0) throw bad('it became shorter while it was read');
      hash.update(block.subarray(0, bytesRead));
      at += bytesRead;
    }
    const end = Buffer.alloc(HASH);
    await file.read(end, 0, HASH, size - HASH);
    if (!hash.digest().equals(end)) throw bad('its bytes are not those of the SHA-256 at its end');
    return size;
  } finally {
    await file.close();
  }
}
