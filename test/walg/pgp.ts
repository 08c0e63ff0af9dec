import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fatal } from './log.ts';
import type { Settings } from './settings.ts';

type Bytes = AsyncIterable<Uint8Array>;

/** What one armored key can do. */
interface Key {
  secret: boolean;
  /** 32 bytes, the same of both halves of a pair: the material of a public key is also the beginning of its secret key. */
  cipher: Buffer;
  /** 8 bytes that tell keys apart. */
  id: Buffer;
}

/** Seals and opens what is stored; undefined where no key is set. */
export interface Crypter {
  encrypt(plain: Bytes): Bytes;
  decrypt(sealed: Bytes): Bytes;
}

const MAGIC = Buffer.from('stand-in for PGP');

/** The first packet's body: version, time, algorithm and what follows (RFC 4880, 4.2 and 5.5.2). */
function firstPacket(raw: Buffer): Buffer {
  const isNew = (raw[0]! & 0x40) !== 0;
  const first = raw[1]!;
  const header = isNew ? (first < 192 ? 2 : first < 224 ? 3 : 6) : 2 + [0, 1, 3, -1][raw[0]! & 3]!;
  return raw.subarray(header);
}

function readKey(text: string): Key {
  const armored =
    /-----BEGIN PGP (PUBLIC|PRIVATE) KEY BLOCK-----\s+(?:[^\n]*: [^\n]*\n)*\s*([A-Za-z0-9+/=\s]+?)\s*(?:=[A-Za-z0-9+/]{4}\s+)?-----END/.exec(
      text,
    );
  // WAL-G panics, with all its stack.
  if (!armored) return fatal('panic: openpgp: invalid argument: no armored data found', 2);
  const material = firstPacket(Buffer.from(armored[2]!, 'base64')).subarray(0, 40);
  const hash = (what: string) => createHash('sha256').update(what).update(material).digest();
  return { secret: armored[1] === 'PRIVATE', cipher: hash('cipher'), id: hash('id').subarray(0, 8) };
}

async function* encrypt(key: Key, plain: Bytes): AsyncGenerator<Uint8Array> {
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-ctr', key.cipher, iv);
  yield Buffer.concat([MAGIC, key.id, iv]);
  for await (const chunk of plain) yield cipher.update(chunk);
}

const HEADER = MAGIC.length + 8 + 16;

/** @throws as WAL-G's library does: what is no message, another key, and a key without its secret half */
function opened(key: Key, header: Buffer): Buffer {
  if (header.length < HEADER || !header.subarray(0, MAGIC.length).equals(MAGIC))
    throw new Error('openpgp: invalid data: tag byte does not have MSB set');
  if (!key.secret || !header.subarray(MAGIC.length, HEADER - 16).equals(key.id)) throw new Error('openpgp: incorrect key');
  return header.subarray(HEADER - 16);
}

async function* decrypt(key: Key, sealed: Bytes): AsyncGenerator<Uint8Array> {
  let held = Buffer.alloc(0);
  let decipher: ReturnType<typeof createDecipheriv> | undefined;
  for await (const chunk of sealed) {
    if (decipher) {
      yield decipher.update(chunk);
      continue;
    }
    held = Buffer.concat([held, chunk]);
    if (held.length < HEADER) continue;
    decipher = createDecipheriv('aes-256-ctr', key.cipher, opened(key, held.subarray(0, HEADER)));
    yield decipher.update(held.subarray(HEADER));
  }
  if (!decipher) opened(key, held);
}

/**
 * The crypter that the settings ask for. Sealed objects are no PGP messages: the cipher comes from the public half of the key, and
 * only a secret key opens. It takes the same keys and refuses the same ones as WAL-G.
 * @throws Fatal for libsodium, which a WAL-G built without cgo has not, and for text that is no armored key
 */
export function crypterOf(settings: Settings): Crypter | undefined {
  for (const name of ['WALG_LIBSODIUM_KEY', 'WALG_LIBSODIUM_KEY_PATH'])
    if (settings.get(name)) fatal(`can't configure crypter: non-empty ${name} but wal-g was not compiled with libsodium`);
  const path = settings.get('WALG_PGP_KEY_PATH');
  const text = settings.get('WALG_PGP_KEY')?.replaceAll('\\n', '\n') ?? (path ? readFileSync(path, 'utf8') : undefined);
  if (text === undefined) return undefined;
  const key = readKey(text);
  return { encrypt: plain => encrypt(key, plain), decrypt: sealed => decrypt(key, sealed) };
}
