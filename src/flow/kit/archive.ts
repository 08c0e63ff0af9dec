import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { BkpError } from '../../core/errors.ts';
import { checkMember, TarScan } from '../tarScan.ts';

/** Name in the kit → bytes. */
export type KitFiles = ReadonlyMap<string, Buffer>;

const BLOCK = 512;
/** A kit is some keys and texts; what unpacks to more was made by something else. */
const MOST_BYTES = 256 << 20;

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;

/** One header of ustar (POSIX.1-1988), mode 600. */
function headerOf(name: string, bytes: number, at: Date): Buffer {
  if (Buffer.byteLength(name) > 100)
    throw new BkpError('usage', `"${name}" is too long for the name of a file in a kit: 100 bytes at most`);
  const block = Buffer.alloc(BLOCK);
  const put = (text: string, from: number): void => void block.write(text, from, 'utf8');
  put(name, 0);
  put(`${octal(0o600, 8)}${octal(0, 8)}${octal(0, 8)}${octal(bytes, 12)}${octal(Math.floor(at.getTime() / 1000), 12)}        0`, 100);
  put('ustar\u000000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/**
 * The files as one `tar.gz`, which `tar -xz` unpacks.
 * @param at their time
 */
export function packFiles(files: KitFiles, at: Date): Buffer {
  const parts = [...files].flatMap(([name, bytes]) => [
    headerOf(name, bytes.length, at),
    bytes,
    Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK),
  ]);
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]), { level: 9 });
}

const damaged = (why: string, cause?: unknown): BkpError =>
  new BkpError('verifyFailed', `what is inside the kit is damaged: ${why}`, cause === undefined ? {} : { cause });

/**
 * Undoes `packFiles`.
 * @throws BkpError('verifyFailed') for what is no such archive, is cut, or has names that lead elsewhere
 */
export function unpackFiles(packed: Buffer): Map<string, Buffer> {
  let tar: Buffer;
  try {
    tar = gunzipSync(packed, { maxOutputLength: MOST_BYTES });
  } catch (cause) {
    throw damaged('it does not unpack', cause);
  }
  const scan = new TarScan(checkMember, ({ type }) => type === '0');
  scan.push(tar);
  if (!scan.ended) throw damaged('the archive is cut short');
  return scan.kept;
}
