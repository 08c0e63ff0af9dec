import { createHash } from 'node:crypto';
import type { Bytes } from '../core/contracts.ts';

/** Length and SHA-256 (hex) of what has passed. */
export interface Measure {
  bytes: number;
  sha256: string;
}

/** Counts and hashes a stream on its way. `result` is complete once the stream has ended. */
export function measured(source: Bytes, onBytes: (total: number) => void = () => {}): { bytes: Bytes; result: () => Measure } {
  const hash = createHash('sha256');
  let bytes = 0;
  let digest: string | undefined;
  async function* pass(): Bytes {
    for await (const chunk of source) {
      hash.update(chunk);
      bytes += chunk.length;
      onBytes(bytes);
      yield chunk;
    }
  }
  return {
    bytes: pass(),
    result: () => {
      digest ??= hash.digest('hex');
      return { bytes, sha256: digest };
    },
  };
}
