import { randomBytes } from 'node:crypto';
import type { Keys } from '../../src/core/contracts.ts';
import { makeKeys, publicText, signingKey, signingText } from '../../src/flow/keys.ts';

export interface Signer {
  keys: Keys;
  /** `keys.trusted` of a config that believes what it signs. */
  trusted: string[];
}

/** Keys that sign, and encrypt nothing. */
export function signer(): Signer {
  const signing = signingText(randomBytes(32));
  const trusted = [publicText(signingKey(signing))];
  return { trusted, keys: makeKeys({ recipients: [], signing: () => signing, trusted }) };
}
