import { createHash } from 'node:crypto';
import type { Bytes, ObjectInfo, PutOptions, Store } from '../core/contracts.ts';

/** Reads a stream to its end. For small objects only. */
export async function readAll(bytes: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Writes one object from memory, block by block; nothing stays behind on failure. Errors are the store's. */
export async function putBytes(store: Store, key: string, bytes: Buffer, options: PutOptions = {}): Promise<ObjectInfo> {
  const upload = await store.open(key, options);
  try {
    for (let n = 0; n === 0 || n * store.blockBytes < bytes.length; n += 1) {
      const block = bytes.subarray(n * store.blockBytes, (n + 1) * store.blockBytes);
      await upload.block(n, block, createHash('sha256').update(block).digest('hex'));
    }
    return await upload.commit();
  } catch (error) {
    await upload.abort();
    throw error;
  }
}
