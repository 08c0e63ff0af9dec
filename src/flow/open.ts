import { createHash } from 'node:crypto';
import type { Bytes, Keys, PieceRef, Reporter, Runner, Store } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { owned, spent } from '../core/spent.ts';
import { measured } from './measure.ts';
import { openBytes } from './stages.ts';

export interface OpenOptions {
  keys: Keys;
  /** For whom the manifest says that the backup was sealed; named where this host's identity is none of them. */
  recipients?: readonly string[];
  run: Runner;
  signal: AbortSignal;
  report: Reporter;
}

/** What is asked of a store for the bytes of a backup. */
export type Source = Pick<Store, 'name' | 'get'>;

/** Blocks on their way while one is opened. */
const AHEAD = 2;

type StoredObject = PieceRef['objects'][number];

/**
 * A block of an object from one store, whole and of the right hash.
 * @param take gives the memory for it, of so many bytes
 * @throws BkpError('verifyFailed') naming object and store
 */
export async function readBlock(
  store: Source,
  object: StoredObject,
  n: number,
  blockBytes: number,
  take: (bytes: number) => Buffer = Buffer.allocUnsafeSlow,
): Promise<Buffer> {
  const from = n * blockBytes;
  const to = Math.min(from + blockBytes, object.bytes);
  const block = take(Math.max(0, to - from));
  let at = 0;
  for await (const chunk of store.get(object.key, { from, to })) {
    if (at + chunk.length <= block.length) block.set(chunk, at);
    at += chunk.length;
    spent(chunk);
  }
  if (at !== block.length || createHash('sha256').update(block).digest('hex') !== object.blocks[n]) {
    throw new BkpError('verifyFailed', `object ${object.key} in store ${store.name} is damaged in bytes ${from} to ${to}`);
  }
  return block;
}

/** `stores` is the order of preference; one that does not answer goes to its end, so that its time-out is waited for once and not at every block. */
async function firstWhole(stores: Source[], read: (store: Source) => Promise<Buffer>, report: Reporter): Promise<Buffer> {
  const reasons: unknown[] = [];
  for (const store of [...stores]) {
    try {
      return await read(store);
    } catch (error) {
      reasons.push(error);
      if (error instanceof BkpError && error.exit === 'storeUnreachable') stores.push(...stores.splice(stores.indexOf(store), 1));
      if (stores.length > 1) report.emit({ type: 'warning', text: `${sentence(error)}; taking it from another store` });
    }
  }
  const damaged = reasons.find(error => error instanceof BkpError && error.exit === 'verifyFailed') ?? reasons[0];
  throw new BkpError(damaged instanceof BkpError ? damaged.exit : 'failed', reasons.map(sentence).join('; '), {
    next: 'restore another backup: bkp list',
    cause: damaged,
  });
}

/** Memory for blocks, used again once a block is spent; one that never is goes to the collector. */
function blockMemory(): { take: (bytes: number) => Buffer; lend: (block: Buffer) => Buffer } {
  const free: ArrayBuffer[] = [];
  return {
    take: bytes => {
      const memory = free.pop();
      return memory && memory.byteLength >= bytes ? Buffer.from(memory, 0, bytes) : Buffer.allocUnsafeSlow(bytes);
    },
    lend: block => owned(block, memory => free.push(memory as ArrayBuffer)),
  };
}

/** The sealed stream, each block proven before it is passed on, so that nothing damaged is ever decrypted; the next ones come meanwhile. */
async function* sealedBlocks(ref: PieceRef, stores: readonly Source[], options: OpenOptions): Bytes {
  const order = [...stores];
  const { take, lend } = blockMemory();
  const asked: Promise<Buffer>[] = [];
  const left = ref.objects.flatMap(object => object.blocks.map((_, n) => ({ object, n }))).reverse();
  const ask = (): void => {
    while (asked.length < AHEAD && left.length > 0) {
      const { object, n } = left.pop()!;
      const block = firstWhole(order, store => readBlock(store, object, n, ref.blockBytes, take), options.report);
      block.catch(() => {});
      asked.push(block);
    }
  };
  for (ask(); asked.length > 0; ) {
    options.signal.throwIfAborted();
    const block = await asked.shift()!;
    ask();
    yield lend(block);
  }
}

const named = (error: unknown, recipients: readonly string[] = []): unknown =>
  error instanceof BkpError && error.exit === 'usage' && recipients.length > 0
    ? new BkpError('usage', `${error.message}: it was sealed for ${recipients.join(', ')}`, { next: error.next, cause: error })
    : error;

/**
 * The plain bytes of a piece. Each block comes from the first store that holds it undamaged.
 * @throws BkpError('verifyFailed') naming the damaged object, 'usage' for a wrong key; the last check, of the plain hash, comes at the end
 */
export async function* openPiece(
  ref: PieceRef,
  line: readonly string[],
  stores: readonly Source[],
  options: OpenOptions,
): AsyncGenerator<Uint8Array> {
  if (stores.length === 0) throw new BkpError('notFound', `no store holds ${ref.name}`);
  let broken: unknown;
  async function* watched(): Bytes {
    try {
      yield* sealedBlocks(ref, stores, options);
    } catch (error) {
      broken = error;
      throw error;
    }
  }
  const stages = ref.line ?? line;
  const opened = stages.length > 0 ? openBytes(watched(), stages, options.keys, options) : watched();
  const plain = measured(opened, bytes => options.report.emit({ type: 'progress', what: ref.name, bytes, total: ref.bytes }));
  try {
    yield* plain.bytes;
  } catch (error) {
    throw broken ?? named(error, options.recipients);
  }
  const { bytes, sha256 } = plain.result();
  if (bytes !== ref.bytes || sha256 !== ref.sha256) {
    throw new BkpError(
      'verifyFailed',
      `${ref.name} came back with ${bytes} bytes and SHA-256 ${sha256}, and the manifest says ${ref.bytes} and ${ref.sha256}`,
    );
  }
}
