import { createHash } from 'node:crypto';
import type { ObjectInfo, Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { assemble, knownTo, needed, type Part, parseRange, type Range, rangeName } from '../../../core/postgres/chunks.ts';
import { owned, spent } from '../../../core/spent.ts';
import { putBytes, readAll } from '../../../flow/bytes.ts';
import { openSmall, sealSmall } from '../../../flow/small.ts';
import type { PostgresConfig } from './config.ts';

/** Some bytes of a segment that was open when they were stored, as a store's listing shows them. */
export interface Chunk extends Range {
  /** The segment. */
  name: string;
  /** First half of the plain bytes' SHA-256, from the key. */
  hash: string;
  key: string;
  store: Store;
  bytes: number;
  modified: Date;
}

export type Context = TargetContext<PostgresConfig>;

const HASH_DIGITS = 32;
const KEY = /\/([0-9A-F]{8})\/(\1[0-9A-F]{16})\/([0-9A-F]{8}-[0-9A-F]{8})-([0-9a-f]{32})\.zst(?:\.age)?$/;

/** What a key says of a SHA-256. */
export const shortHash = (sha256: string): string => sha256.slice(0, HASH_DIGITS);

export const hashOf = (plain: Uint8Array): string => shortHash(createHash('sha256').update(plain).digest('hex'));

/** What a key says of the chunk behind it; undefined when it is none. */
export function chunkAt(store: Store, { key, bytes, modified }: ObjectInfo): Chunk | undefined {
  const match = KEY.exec(key);
  const range = match ? parseRange(match[3]!) : undefined;
  return match && range ? { ...range, name: match[2]!, hash: match[4]!, key, store, bytes, modified } : undefined;
}

/** The chunks of a listing by segment. */
export function chunksByName(chunks: Iterable<Chunk>): Map<string, Chunk[]> {
  const found = new Map<string, Chunk[]>();
  for (const chunk of chunks) found.set(chunk.name, [...(found.get(chunk.name) ?? []), chunk]);
  return found;
}

/** Up to which byte each segment is known from its chunks. */
export const coverage = (chunks: ReadonlyMap<string, readonly Chunk[]>): Map<string, number> =>
  new Map([...chunks].map(([name, parts]) => [name, knownTo(parts)] as const).filter(([, end]) => end > 0));

const headerOf = (lineage: string, name: string, range: Range): Record<string, unknown> => ({
  lineage,
  name,
  from: range.from,
  to: range.to,
});

/** A part that was read back; the size of its whole segment is signed with it. */
interface Read extends Part {
  segmentBytes: number;
}

/** Some bytes of a segment and where they lie in it. */
export interface Fresh {
  name: string;
  from: number;
  plain: Buffer;
  segmentBytes: number;
}

/** Seals some bytes of a segment and puts them into a store, once: the key holds their place and hash. Errors are the store's. */
export async function putChunk(ctx: TargetContext, store: Store, lineage: string, fresh: Fresh): Promise<Chunk> {
  const { name, from, plain, segmentBytes } = fresh;
  const range = { from, to: from + plain.length };
  const hash = hashOf(plain);
  const sealed = await sealSmall(plain, ctx.keys, { ...headerOf(lineage, name, range), segmentBytes });
  const suffix = ctx.keys.recipients.length > 0 ? '.zst.age' : '.zst';
  const key = `${ctx.base}/wal/${lineage}/${name.slice(0, 8)}/${name}/${rangeName(range)}-${hash}${suffix}`;
  await putBytes(store, key, sealed, { ifAbsent: true }).catch(error => {
    if (!(error instanceof BkpError && error.exit === 'conflict')) throw error;
  });
  return { ...range, name, hash, key, store, bytes: sealed.length, modified: ctx.clock.now() };
}

/** Reads a chunk back, proven by hash, signature, lineage, segment and place. Throws BkpError naming the object. */
export async function readChunk(ctx: TargetContext, lineage: string, chunk: Chunk): Promise<Read> {
  const what = `object ${chunk.key} in store ${chunk.store.name}`;
  const { plain, header, sha256 } = await openSmall(await readAll(chunk.store.get(chunk.key)), ctx.keys, what);
  const expected = headerOf(lineage, chunk.name, chunk);
  const same = Object.entries(expected).every(([name, value]) => header[name] === value);
  if (!same || shortHash(sha256) !== chunk.hash || plain.length !== chunk.to - chunk.from)
    throw new BkpError('verifyFailed', `${what} is not what its name says`);
  return { from: chunk.from, to: chunk.to, bytes: plain, segmentBytes: Number(header['segmentBytes']) };
}

/** Reads what can be read; a chunk that was taken away meanwhile, or is damaged, may be covered by others. */
async function readParts(ctx: TargetContext, lineage: string, chunks: readonly Chunk[]): Promise<{ parts: Part[]; failed: unknown[] }> {
  const results = await Promise.allSettled(chunks.map(chunk => readChunk(ctx, lineage, chunk)));
  return {
    parts: results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : [])),
    failed: results.flatMap(result => (result.status === 'rejected' ? [result.reason as unknown] : [])),
  };
}

/**
 * Bytes `[0, end)` of a segment out of its chunks, padded with zeros to a whole segment.
 * @throws BkpError('verifyFailed') where what can be read leaves a hole or contradicts itself; else what the store throws
 */
export async function readOpen(
  ctx: TargetContext,
  lineage: string,
  chunks: readonly Chunk[],
  end: number,
  segmentBytes: number,
): Promise<Buffer> {
  const first = await readParts(ctx, lineage, needed(chunks));
  const { parts, failed } = knownTo(first.parts) >= end ? first : await readParts(ctx, lineage, chunks);
  const whole = assemble(parts, end, segmentBytes);
  for (const { bytes } of parts) spent(bytes);
  if (whole) return owned(whole);
  const gone = failed.find(error => error instanceof BkpError && error.exit !== 'verifyFailed') ?? failed[0];
  if (gone instanceof BkpError) throw gone;
  const why = failed.length > 0 ? `: ${sentence(failed[0])}` : ': two of them contradict each other';
  throw new BkpError('verifyFailed', `the chunks of WAL ${chunks[0]!.name} of lineage ${lineage} do not make ${end} bytes of it${why}`);
}
