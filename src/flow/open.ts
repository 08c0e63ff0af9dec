import { createHash } from 'node:crypto';
import type { Bytes, Keys, PieceRef, Reporter, Runner, Store } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
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

type StoredObject = PieceRef['objects'][number];

/** A block of an object from one store, whole and of the right hash. Throws BkpError('verifyFailed') naming object and store. */
export async function readBlock(store: Store, object: StoredObject, n: number, blockBytes: number): Promise<Buffer> {
  const from = n * blockBytes;
  const to = Math.min(from + blockBytes, object.bytes);
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.get(object.key, { from, to })) chunks.push(chunk);
  const block = Buffer.concat(chunks);
  const sha256 = createHash('sha256').update(block).digest('hex');
  if (block.length !== to - from || sha256 !== object.blocks[n]) {
    throw new BkpError('verifyFailed', `object ${object.key} in store ${store.name} is damaged in bytes ${from} to ${to}`);
  }
  return block;
}

/** `stores` is the order of preference; one that does not answer goes to its end, so that its time-out is waited for once and not at every block. */
async function firstWhole(stores: Store[], object: StoredObject, n: number, ref: PieceRef, report: Reporter): Promise<Buffer> {
  const reasons: unknown[] = [];
  for (const store of [...stores]) {
    try {
      return await readBlock(store, object, n, ref.blockBytes);
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

/** The sealed stream, each block proven before it is passed on, so that nothing damaged is ever decrypted. */
async function* sealedBlocks(ref: PieceRef, stores: readonly Store[], options: OpenOptions): Bytes {
  const order = [...stores];
  const all = ref.objects.flatMap(object => object.blocks.map((_, n) => ({ object, n })));
  const fetch = (at: number): Promise<Buffer> | undefined => {
    const next = all[at];
    const block = next && firstWhole(order, next.object, next.n, ref, options.report);
    block?.catch(() => {});
    return block;
  };
  let ahead = fetch(0);
  for (let at = 0; at < all.length; at += 1) {
    options.signal.throwIfAborted();
    const block = await ahead!;
    ahead = fetch(at + 1);
    yield block;
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
  stores: readonly Store[],
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
  const plain = measured(openBytes(watched(), line, options.keys, options), bytes =>
    options.report.emit({ type: 'progress', what: ref.name, bytes, total: ref.bytes }),
  );
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
