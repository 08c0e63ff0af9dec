import type { Keys } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';

/**
 * What no restore would believe is no backup: the key that signs has to be one of those that are trusted.
 * @returns the public key of this host
 * @throws BkpError('usage') when there is no signing key, or it is not trusted
 */
export function assertTrusted(keys: Keys): string {
  const probe = new Uint8Array(32);
  const signed = keys.sign(probe);
  if (keys.verify(probe, signed)) return signed.key;
  throw new BkpError(
    'usage',
    `the signing key of this host (${signed.key}) is not among keys.trusted: nothing that it signs could be restored`,
    { next: `add ${signed.key} to keys.trusted` },
  );
}
