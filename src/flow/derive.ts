import { hkdfSync } from 'node:crypto';
import { BkpError } from '../core/errors.ts';

/** Fixed for good: another text gives other keys, and what was sealed with the old ones would be lost. */
const SALT = 'bkp derived key v1';

/** 24 bytes, which are 32 characters: what WAL-G's libsodium takes as it is, and enough for restic's passphrase. */
const BYTES = 24;

/**
 * The key of a program that seals with one secret for both ways (WAL-G, restic), derived one-way (HKDF-SHA-256, RFC 5869) from an age
 * identity: whoever keeps the identity safe can make it again, and whoever has it learns neither the identity nor another target's key.
 * @param identity one line `AGE-SECRET-KEY-1…`
 * @param base the target's key prefix in the stores, `<prefix>/<env>/<kind>/<name>`
 * @returns 32 characters of base64url
 * @throws BkpError('usage') for what is no age identity
 */
export function derivedKey(identity: string, base: string): string {
  const text = identity.trim();
  if (!/^AGE-SECRET-KEY-1[0-9A-Z]+$/.test(text))
    throw new BkpError('usage', 'only an age identity (AGE-SECRET-KEY-1…) can be derived from');
  return Buffer.from(hkdfSync('sha256', text, SALT, base, BYTES)).toString('base64url');
}

/** The identities of a file, one a line; comments and empty lines are none. */
export const identitiesOf = (text: string): string[] =>
  text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'));
