import { open } from 'node:fs/promises';
import type { Bytes } from '../../../core/contracts.ts';
import { owned } from '../../../core/spent.ts';

const CHUNK = 1 << 20;

/** The bytes of a file of this host, in memory that is used again for each chunk that its last reader has spent. */
export async function* fileBytes(path: string, signal: AbortSignal): Bytes {
  const free: Buffer[] = [];
  const file = await open(path, 'r');
  try {
    for (;;) {
      signal.throwIfAborted();
      const memory = free.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
      const { bytesRead } = await file.read(memory, 0, CHUNK);
      if (bytesRead === 0) return;
      yield owned(memory.subarray(0, bytesRead), () => free.push(memory));
    }
  } finally {
    await file.close();
  }
}
