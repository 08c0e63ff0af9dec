import type { Keys } from './contracts.ts';
import { BkpError } from './errors.ts';

/**
 * A signed record: line 1 is the value as JSON, whose exact bytes are signed; line 2 is `{"key":…,"ed25519":…}`.
 * @returns the file's bytes, UTF-8
 */
export function encodeSigned(value: unknown, sign: Keys['sign']): Buffer {
  const body = Buffer.from(JSON.stringify(value));
  const { key, signature } = sign(body);
  return Buffer.concat([body, Buffer.from(`\n${JSON.stringify({ key, ed25519: signature })}\n`)]);
}

const parse = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
};

/** Of every signed record. */
const FORMAT = 1;
const LATER = new Error(`a format later than ${FORMAT}`);

/** Whether a record is sound, and of a format that only a newer bkp reads. */
export const isLater = (error: unknown): boolean => error instanceof BkpError && error.cause === LATER;

function read(body: Buffer, what: string): unknown {
  const value = parse(body);
  const { version } = (value ?? {}) as { version?: unknown };
  if (typeof version !== 'number' || version <= FORMAT) return value;
  throw new BkpError('verifyFailed', `${what} was written by a newer bkp, in format ${version}; this one reads format ${FORMAT}`, {
    next: 'run the bkp that wrote it, or a newer one; `bkp version` says which one this is',
    cause: LATER,
  });
}

type Seal = Parameters<Keys['verify']>[1];

function split(bytes: Buffer, what: string): { body: Buffer; seal: Seal } {
  const cut = bytes.indexOf('\n');
  const body = bytes.subarray(0, cut < 0 ? bytes.length : cut);
  const seal = cut < 0 ? undefined : (parse(bytes.subarray(cut + 1)) as { key?: unknown; ed25519?: unknown } | undefined);
  if (typeof seal?.key !== 'string' || typeof seal.ed25519 !== 'string')
    throw new BkpError('verifyFailed', `${what} carries no signature: it is cut short or was not written by bkp`);
  return { body, seal: { key: seal.key, signature: seal.ed25519 } };
}

const untrusted = ({ key }: Seal, what: string): BkpError =>
  new BkpError('verifyFailed', `${what} is not signed by a key of keys.trusted, or was changed after signing (it names ${key})`, {
    next: 'if that key is yours, add it to keys.trusted; otherwise take another store with --from',
  });

/**
 * Reads a signed record back.
 * @param what names the object in errors
 * @throws BkpError('verifyFailed') when it is no signed record, no trusted key signed these bytes, or a newer bkp did (`isLater`)
 */
export function decodeSigned(bytes: Buffer, verify: Keys['verify'], what: string): unknown {
  const { body, seal } = split(bytes, what);
  if (!verify(body, seal)) throw untrusted(seal, what);
  return read(body, what);
}

/** As `decodeSigned`, with the signature checked in another thread. Rejects as that throws. */
export async function decodeSignedAside(bytes: Buffer, verify: Keys['verifyAside'], what: string): Promise<unknown> {
  const { body, seal } = split(bytes, what);
  if (!(await verify(body, seal))) throw untrusted(seal, what);
  return read(body, what);
}
