import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import type { Keys } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { owned, ownedPart, spent } from '../core/spent.ts';
import { ageOpenWhole, ageSeal } from './age.ts';
import { readAll } from './bytes.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/**
 * Node unpacks into pieces of 16 KiB unless told otherwise, and a thousand of them take four times as long as one (16 MiB, Node 24.21). A piece
 * that becomes full is copied, so a segment wants a little more than its size: twice the time otherwise.
 */
const pieceFor = (packedBytes: number): number => (packedBytes < 256 * 1024 ? Math.max(64 * 1024, packedBytes * 8) : 17 * 1024 * 1024);

/** A zstd frame that every decoder passes over (RFC 8878, 3.1.2). */
const SKIPPABLE = 0x184d2a50;
const AGE = 'age-encryption.org/v1';

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function frame(header: Record<string, unknown>, keys: Keys): Buffer {
  const body = JSON.stringify(header);
  const { key, signature } = keys.sign(Buffer.from(body));
  const content = Buffer.from(JSON.stringify({ header: body, key, ed25519: signature }));
  const head = Buffer.alloc(8);
  head.writeUInt32LE(SKIPPABLE, 0);
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content]);
}

/**
 * Seals a small thing in memory: a signed header in a skippable frame, then one zstd frame, inside age where there are recipients.
 * `age -d -i KEY object | zstd -d` gives the plain bytes.
 * @param header what the caller wants proven on the way back; the SHA-256 of the plain bytes is added
 */
export async function sealSmall(plain: Uint8Array, keys: Keys, header: Record<string, unknown> = {}): Promise<Buffer> {
  const packed = Buffer.concat([frame({ ...header, sha256: sha256(plain) }, keys), await compress(plain)]);
  return keys.recipients.length > 0 ? readAll(ageSeal(once(packed), keys.recipients)) : packed;
}

function split(packed: Buffer, keys: Keys, what: string): { header: Record<string, unknown>; body: Buffer } {
  const length = packed.length >= 8 && packed.readUInt32LE(0) === SKIPPABLE ? packed.readUInt32LE(4) : -1;
  if (length < 0 || 8 + length > packed.length)
    throw new BkpError('verifyFailed', `${what} carries no signature: it was not written by bkp`);
  try {
    const seal = JSON.parse(packed.subarray(8, 8 + length).toString('utf8')) as { header: string; key: string; ed25519: string };
    if (keys.verify(Buffer.from(seal.header), { key: seal.key, signature: seal.ed25519 })) {
      return { header: JSON.parse(seal.header), body: packed.subarray(8 + length) };
    }
  } catch (cause) {
    throw new BkpError('verifyFailed', `${what} is damaged: its header cannot be read`, { cause });
  }
  throw new BkpError('verifyFailed', `${what} is not signed by a key of keys.trusted`, { next: 'take another store with --from' });
}

/** Node shares memory among small buffers only. */
const LARGE = 1024 * 1024;

/** What was opened, with the SHA-256 of its plain bytes in hexadecimal digits. Whoever is done with them may say that they are `spent`. */
export interface Opened {
  plain: Buffer;
  header: Record<string, unknown>;
  sha256: string;
}

/**
 * Opens what `sealSmall` sealed, and proves signature and hash.
 * @param what names the object in errors
 * @throws BkpError('usage') for a wrong key, 'verifyFailed' for damage or a foreign signature
 */
export async function openSmall(sealed: Buffer, keys: Keys, what: string): Promise<Opened> {
  const packed = sealed.subarray(0, AGE.length).toString('latin1') === AGE ? await decrypt(sealed, keys, what) : sealed;
  const { header, body } = split(packed, keys, what);
  const plain = await decompress(body, { chunkSize: pieceFor(body.length) }).catch(cause => {
    throw new BkpError('verifyFailed', `${what} is damaged: ${cause.message}`, { cause });
  });
  spent(packed);
  const hash = sha256(plain);
  if (hash !== header['sha256']) throw new BkpError('verifyFailed', `${what} is damaged: its SHA-256 is not the one that was signed`);
  return { plain: plain.length >= LARGE ? ownedPart(plain) : plain, header, sha256: hash };
}

async function decrypt(sealed: Buffer, keys: Keys, what: string): Promise<Buffer> {
  try {
    return owned(await ageOpenWhole(sealed, keys.identity()));
  } catch (error) {
    if (error instanceof BkpError && error.exit === 'verifyFailed')
      throw new BkpError('verifyFailed', `${what} is damaged: ${error.message}`, { cause: error });
    throw error;
  }
}
