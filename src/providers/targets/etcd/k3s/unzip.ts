import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInflateRaw } from 'node:zlib';
import type { Bytes } from '../../../../core/contracts.ts';
import { BkpError } from '../../../../core/errors.ts';

/** The record at the end, and how long it is at least. */
const END = Buffer.from([0x50, 0x4b, 0x05, 0x06]);
const END_BYTES = 22;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const DEFLATED = 8;
const STORED = 0;

const bad = (path: string, why: string): BkpError => new BkpError('verifyFailed', `${path} is no whole zip of one file: ${why}`);

async function part(path: string, at: number, bytes: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const buffer = Buffer.alloc(bytes);
    const { bytesRead } = await file.read(buffer, 0, bytes, at);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The one member by the directory at the end (PKWARE's APPNOTE, 4.3.12 and 4.3.16), which the writer of a stream fills in last. */
async function memberOf(path: string): Promise<{ method: number; packed: number; at: number }> {
  const handle = await open(path);
  const { size } = await handle.stat();
  await handle.close();
  const tail = await part(path, Math.max(0, size - 1024), 1024);
  const end = tail.lastIndexOf(END);
  if (end < 0 || tail.length < end + END_BYTES) throw bad(path, 'its directory is missing');
  if (tail.readUInt16LE(end + 10) !== 1) throw bad(path, `it holds ${tail.readUInt16LE(end + 10)} files`);
  const entry = await part(path, tail.readUInt32LE(end + 16), 46);
  if (entry.length < 46 || entry.readUInt32LE(0) !== CENTRAL) throw bad(path, 'its directory cannot be read');
  const packed = entry.readUInt32LE(20);
  if (packed === 0xffffffff) throw bad(path, 'it is of 4 GiB or more, which only zip64 can hold');
  if (packed === 0) throw bad(path, 'its file is empty');
  const offset = entry.readUInt32LE(42);
  const header = await part(path, offset, 30);
  if (header.length < 30 || header.readUInt32LE(0) !== LOCAL) throw bad(path, 'its file cannot be found');
  return { method: entry.readUInt16LE(10), packed, at: offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28) };
}

/**
 * The file in a compressed snapshot of K3s, which puts one into a zip. What it holds is proven by the hash of the snapshot itself.
 * @throws BkpError('verifyFailed')
 */
export async function* unzipped(path: string): Bytes {
  const { method, packed, at } = await memberOf(path);
  if (method !== DEFLATED && method !== STORED) throw bad(path, `method ${method} is not known`);
  const raw = createReadStream(path, { start: at, end: at + packed - 1 });
  if (method === STORED) return yield* raw as Bytes;
  const plain = createInflateRaw();
  raw.once('error', error => plain.destroy(error)).pipe(plain);
  try {
    yield* plain as Bytes;
  } catch (cause) {
    throw bad(path, (cause as Error).message);
  } finally {
    raw.destroy();
  }
}
