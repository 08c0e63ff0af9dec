import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import type { Decrypter } from 'age-encryption';
import type { Bytes } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { owned, spent } from '../core/spent.ts';

// The payload of age's format (age-encryption.org/v1): chunks of 64 KiB under ChaCha20-Poly1305 with a counter nonce whose last byte
// marks the last chunk. The header is left to age-encryption; the payload is done here because that library's is five times slower.
const CHUNK = 64 * 1024;
const TAG = 16;
const NONCE = 16;
const ALGORITHM = 'chacha20-poly1305';

const payloadKey = (fileKey: Uint8Array, nonce: Uint8Array): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', 32)));

const chunkNonce = (counter: number, last: boolean): Buffer => {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(counter, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
};

function sealChunk(key: KeyObject, counter: number, last: boolean, plain: Uint8Array): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, chunkNonce(counter, last), { authTagLength: TAG });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function openChunk(key: KeyObject, counter: number, last: boolean, sealed: Buffer): Buffer {
  const cut = sealed.length - TAG;
  if (cut < 0) throw damaged();
  const decipher = createDecipheriv(ALGORITHM, key, chunkNonce(counter, last), { authTagLength: TAG });
  decipher.setAuthTag(sealed.subarray(cut));
  try {
    const plain = decipher.update(sealed.subarray(0, cut));
    // Nothing comes of it in a stream cipher but the proof.
    decipher.final();
    return plain;
  } catch {
    throw damaged();
  }
}

const damaged = (): BkpError => new BkpError('verifyFailed', 'the encrypted bytes are damaged or cut short');

/** A fresh file key wrapped for every recipient: the header as bytes, and the key of the payload. */
async function newHeader(recipients: readonly string[]): Promise<{ head: Buffer; key: KeyObject }> {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  let fileKey: Uint8Array | undefined;
  encrypter.addRecipient({
    wrapFileKey: key => {
      fileKey = Uint8Array.from(key);
      return [];
    },
  });
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  const empty = Buffer.from(await encrypter.encrypt(''));
  const nonce = randomBytes(NONCE);
  return { head: Buffer.concat([empty.subarray(0, empty.length - NONCE - TAG), nonce]), key: payloadKey(fileKey!, nonce) };
}

/** Encrypts a stream for age recipients (`age1…`); the result opens with `age -d`. */
export async function* ageSeal(source: Bytes, recipients: readonly string[]): AsyncGenerator<Buffer> {
  const { head, key } = await newHeader(recipients);
  yield head;
  let held = Buffer.alloc(0);
  let counter = 0;
  for await (const chunk of source) {
    held = Buffer.concat([held, chunk]);
    let at = 0;
    // The last chunk is marked, so a full one waits until more has come.
    for (; held.length - at > CHUNK; at += CHUNK) yield sealChunk(key, counter++, false, held.subarray(at, at + CHUNK));
    held = Buffer.from(held.subarray(at));
  }
  yield sealChunk(key, counter, true, held);
}

/** Where the header of an age file ends (exclusive), or undefined when it is not all there. */
const headerEnd = (bytes: Buffer): number | undefined => {
  const mac = bytes.indexOf('\n--- ');
  const end = mac < 0 ? -1 : bytes.indexOf('\n', mac + 1);
  return end < 0 ? undefined : end + 1;
};

/** To read an identity costs as much as to open a header by it, and a replay opens thousands by the same one. */
let opener: { identity: string; decrypter: Decrypter } | undefined;

async function decrypterOf(identity: string): Promise<Decrypter> {
  if (opener?.identity === identity) return opener.decrypter;
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const line of identitiesIn(identity)) decrypter.addIdentity(line);
  opener = { identity, decrypter };
  return decrypter;
}

async function unwrap(header: Buffer, identity: string): Promise<Uint8Array> {
  const decrypter = await decrypterOf(identity);
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    if (error instanceof Error && /no identity matched/i.test(error.message)) throw wrongKey();
    throw new BkpError('verifyFailed', `the age header is damaged: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** The identity of this host is none of those that the backup was sealed for: not damage, and no reason to take another copy. */
export const wrongKey = (): BkpError =>
  new BkpError('usage', 'the backup was encrypted for another key than keys.identity of this host', {
    next: 'put the identity that belongs to one of its recipients into keys.identity',
  });

const identitiesIn = (text: string): string[] =>
  text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'));

/**
 * Whether an identity belongs to one of the recipients, before anything is fetched. Kinds of identity that cannot be asked pass.
 * @throws BkpError('usage') naming the recipients when none belongs
 */
export async function assertOpens(identity: string, recipients: readonly string[]): Promise<void> {
  const own = identitiesIn(identity);
  if (own.length === 0 || !own.every(line => line.startsWith('AGE-SECRET-KEY-1'))) return;
  const { identityToRecipient } = await import('age-encryption');
  for (const line of own) if (recipients.includes(await identityToRecipient(line))) return;
  const { message, next } = wrongKey();
  throw new BkpError('usage', `${message}: it was sealed for ${recipients.join(', ')}`, { next });
}

/** As `ageOpen`, of what is in memory: whole, and with one copy of the plain bytes. Throws as `ageOpen` does. */
export async function ageOpenWhole(sealed: Buffer, identity: string): Promise<Buffer> {
  const end = headerEnd(sealed);
  if (end === undefined || sealed.length < end + NONCE) throw new BkpError('verifyFailed', 'this is no age file: its header is missing');
  const key = payloadKey(await unwrap(sealed.subarray(0, end), identity), sealed.subarray(end, end + NONCE));
  const payload = sealed.subarray(end + NONCE);
  const chunks = Math.max(1, Math.ceil(payload.length / (CHUNK + TAG)));
  const plain = Buffer.allocUnsafeSlow(Math.max(0, payload.length - chunks * TAG));
  for (let n = 0; n < chunks; n += 1) {
    const chunk = payload.subarray(n * (CHUNK + TAG), (n + 1) * (CHUNK + TAG));
    const opened = owned(openChunk(key, n, n === chunks - 1, chunk));
    plain.set(opened, n * CHUNK);
    spent(opened);
  }
  return plain;
}

/** Decrypts an age stream. Throws BkpError('usage') for a wrong key, 'verifyFailed' for damage. */
export async function* ageOpen(source: Bytes, identity: string): AsyncGenerator<Buffer> {
  const input = source[Symbol.asyncIterator]();
  let held = Buffer.alloc(0);
  const more = async (): Promise<boolean> => {
    const { done, value } = await input.next();
    if (!done) held = Buffer.concat([held, value]);
    return !done;
  };
  while (headerEnd(held) === undefined || held.length < headerEnd(held)! + NONCE) {
    if (held.length > 1 << 20 || !(await more())) throw new BkpError('verifyFailed', 'this is no age file: its header is missing');
  }
  const end = headerEnd(held)!;
  const key = payloadKey(await unwrap(held.subarray(0, end), identity), held.subarray(end, end + NONCE));
  held = Buffer.from(held.subarray(end + NONCE));
  let counter = 0;
  do {
    let at = 0;
    for (; held.length - at > CHUNK + TAG; at += CHUNK + TAG) yield openChunk(key, counter++, false, held.subarray(at, at + CHUNK + TAG));
    held = Buffer.from(held.subarray(at));
  } while (await more());
  while (held.length > CHUNK + TAG) {
    yield openChunk(key, counter++, false, held.subarray(0, CHUNK + TAG));
    held = held.subarray(CHUNK + TAG);
  }
  yield openChunk(key, counter, true, held);
}
