import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import type { Keys } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

const CIPHER = 'aes-256-gcm';
const NONCE = 12;
const TAG = 16;

/**
 * Seals what backups themselves read again: hosts that back up have no age identity, so the key comes from the signing key, which they do
 * have. A nonce of 12 bytes, zstd inside AES-256-GCM, and its tag of 16 bytes.
 * @param purpose names the thing, so that one sealed for another place or backup does not open
 * @throws BkpError('usage') when this host has no signing key
 */
export async function sealOwn(plain: Uint8Array, keys: Keys, purpose: string): Promise<Buffer> {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv(CIPHER, keys.own(purpose), nonce);
  const body = Buffer.concat([cipher.update(await compress(plain)), cipher.final()]);
  return Buffer.concat([nonce, body, cipher.getAuthTag()]);
}

/**
 * Opens what `sealOwn` sealed.
 * @throws BkpError('verifyFailed') when it is damaged, or was sealed with another signing key or for another purpose
 */
export async function openOwn(sealed: Buffer, keys: Keys, purpose: string): Promise<Buffer> {
  try {
    const decipher = createDecipheriv(CIPHER, keys.own(purpose), sealed.subarray(0, NONCE), { authTagLength: TAG });
    decipher.setAuthTag(sealed.subarray(-TAG));
    return await decompress(Buffer.concat([decipher.update(sealed.subarray(NONCE, -TAG)), decipher.final()]));
  } catch (cause) {
    if (cause instanceof BkpError) throw cause;
    throw new BkpError('verifyFailed', 'it does not open: it was sealed with another signing key, or is damaged', { cause });
  }
}
