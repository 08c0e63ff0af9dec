import { createHash } from 'node:crypto';
import type { Bytes, PieceRef, Reporter, Runner, Store, Upload } from '../core/contracts.ts';
import { BkpError, isFull, sentence } from '../core/errors.ts';
import { spent } from '../core/spent.ts';
import { measured } from './measure.ts';
import { sealBytes } from './stages.ts';

const POOL = 4;
const GIB = 1024 ** 3;

export interface SealOptions {
  /** `<base>/backups/<id>` */
  keyPrefix: string;
  stores: readonly Store[];
  need: number;
  recipients: readonly string[];
  run: Runner;
  signal: AbortSignal;
  report: Reporter;
  /** The sealed stream is cut into objects of at most this, whole blocks. */
  maxObjectBytes?: number;
  /** The stream is sealed already: it is stored as it comes. */
  sealed?: boolean;
  /** Plain bytes that there will be, as far as the backup before tells. */
  expected?: number;
}

export interface Sealed {
  ref: PieceRef;
  /** Stores that fell away; they hold nothing of this piece. */
  failed: { store: Store; error: unknown }[];
}

/** One store's side of a piece: its uploads so far, and why it fell away. */
class Branch {
  readonly store: Store;
  readonly #uploads: Upload[] = [];
  error: unknown;

  constructor(store: Store) {
    this.store = store;
  }

  async object(key: string): Promise<void> {
    await this.#try(async () => void this.#uploads.push(await this.store.open(key, { ifAbsent: true, lasting: true })));
  }

  async block(n: number, bytes: Buffer, sha256: string): Promise<void> {
    await this.#try(() => this.#uploads.at(-1)!.block(n, bytes, sha256));
  }

  /** Publishes every object; the store has to show each at its size. */
  async commit(sizes: readonly number[]): Promise<void> {
    await this.#try(async () => {
      for (const [n, upload] of this.#uploads.entries()) {
        const seen = await upload.commit();
        if (seen.bytes !== sizes[n])
          throw new BkpError(
            'storeUnreachable',
            `store ${this.store.name} shows ${seen.key} with ${seen.bytes} bytes, and ${sizes[n]} were sent`,
          );
      }
    });
  }

  abort = async (): Promise<void> => {
    for (const upload of this.#uploads) await upload.abort();
  };

  async #try(work: () => Promise<void>): Promise<void> {
    if (this.error !== undefined) return;
    try {
      await work();
    } catch (error) {
      this.error ??= error;
      await this.abort();
    }
  }
}

/** Buffers of one size, made once: one goes back when every store is done with it. */
class Pool {
  readonly #free: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];
  #left = POOL;
  readonly #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take(): Promise<Buffer> {
    const free = this.#free.pop();
    if (free) return Promise.resolve(free);
    if (this.#left > 0) {
      this.#left -= 1;
      return Promise.resolve(Buffer.allocUnsafeSlow(this.#bytes));
    }
    return new Promise(resolve => this.#waiting.push(resolve));
  }

  give(buffer: Buffer): void {
    const next = this.#waiting.shift();
    if (next) next(buffer);
    else this.#free.push(buffer);
  }
}

async function* blocksOf(source: Bytes, pool: Pool): AsyncGenerator<{ buffer: Buffer; length: number }> {
  let buffer = await pool.take();
  let at = 0;
  for await (const chunk of source) {
    for (let from = 0; from < chunk.length; ) {
      const step = Math.min(chunk.length - from, buffer.length - at);
      buffer.set(chunk.subarray(from, from + step), at);
      from += step;
      at += step;
      if (at < buffer.length) continue;
      yield { buffer, length: at };
      buffer = await pool.take();
      at = 0;
    }
    spent(chunk);
  }
  if (at > 0) yield { buffer, length: at };
  else pool.give(buffer);
}

/** Sends blocks to every live store at once and remembers what the manifest needs. */
class FanOut {
  readonly #branches: readonly Branch[];
  readonly #options: SealOptions;
  readonly #name: string;
  readonly #pool: Pool;
  readonly #perObject: number;
  readonly #flying = new Set<Promise<void>>();
  readonly #hash = createHash('sha256');
  readonly objects: { key: string; bytes: number; blocks: string[] }[] = [];
  bytes = 0;

  constructor(branches: readonly Branch[], name: string, pool: Pool, blockBytes: number, options: SealOptions) {
    this.#branches = branches;
    this.#options = options;
    this.#name = name;
    this.#pool = pool;
    this.#perObject = Math.max(1, Math.floor((options.maxObjectBytes ?? 64 * GIB) / blockBytes));
  }

  get alive(): Branch[] {
    return this.#branches.filter(branch => branch.error === undefined);
  }

  get sha256(): string {
    return this.#hash.digest('hex');
  }

  async send({ buffer, length }: { buffer: Buffer; length: number }): Promise<void> {
    const block = buffer.subarray(0, length);
    const object = await this.#object();
    const sha256 = createHash('sha256').update(block).digest('hex');
    this.#hash.update(block);
    const n = object.blocks.push(sha256) - 1;
    object.bytes += length;
    this.bytes += length;
    const flight = Promise.all(this.alive.map(branch => branch.block(n, block, sha256))).then(() => {
      this.#pool.give(buffer);
      this.#flying.delete(flight);
    });
    this.#flying.add(flight);
    this.refuseTooFew();
  }

  settle = (): Promise<unknown> => Promise.all(this.#flying);

  /** Throws BkpError('storeUnreachable') with every reason when fewer stores than needed are left. */
  refuseTooFew(): void {
    const { need } = this.#options;
    if (this.alive.length >= need) return;
    const lost = this.#branches.filter(branch => branch.error !== undefined);
    const reasons = lost.map(branch => `${branch.store.name}: ${sentence(branch.error)}`);
    const advice = lost.flatMap(({ error }) => (isFull(error) ? (error as BkpError).next : []));
    throw new BkpError(
      'storeUnreachable',
      `${this.#name} could be stored in ${this.alive.length} of ${need} needed store(s): ${reasons.join('; ')}`,
      { next: [...new Set(advice), 'bkp doctor shows what each store lacks'] },
    );
  }

  async #object(): Promise<{ key: string; bytes: number; blocks: string[] }> {
    const last = this.objects.at(-1);
    if (last && last.blocks.length < this.#perObject) return last;
    await this.settle();
    const line = this.#options.recipients.length > 0 ? 'zst.age' : 'zst';
    const suffix = this.#options.sealed ? 'sealed' : line;
    const made = {
      key: `${this.#options.keyPrefix}/${this.#name}.${suffix}.${String(this.objects.length).padStart(3, '0')}`,
      bytes: 0,
      blocks: [],
    };
    this.objects.push(made);
    await Promise.all(this.alive.map(branch => branch.object(made.key)));
    return made;
  }
}

/** What a stream became in the stores; the objects concatenated are the stream. */
export interface Stored {
  bytes: number;
  sha256: string;
  blockBytes: number;
  objects: PieceRef['objects'];
  failed: Sealed['failed'];
}

function blockBytesOf(stores: readonly Store[]): number {
  const blockBytes = Math.max(...stores.map(store => store.blockBytes));
  const odd = stores.find(store => store.blockBytes !== blockBytes);
  if (!odd) return blockBytes;
  throw new BkpError('usage', `store ${odd.name} takes blocks of ${odd.blockBytes} bytes, and the others of ${blockBytes}`, {
    next: 'one backup has one block size: give its stores the same',
  });
}

/**
 * Cuts a stream into blocks, hashes each once and sends it to every store at once, in memory of one fixed pool. Nothing exists under
 * any key unless the source ended well and `proven` did not throw.
 * @param proven called when the last byte is out, before anything is published
 * @throws what the source or `proven` throws; BkpError('storeUnreachable') when fewer than `need` stores took it
 */
export async function storeStream(name: string, source: Bytes, options: SealOptions, proven: () => void = () => {}): Promise<Stored> {
  const blockBytes = blockBytesOf(options.stores);
  const branches = options.stores.map(store => new Branch(store));
  const pool = new Pool(blockBytes);
  const fan = new FanOut(branches, name, pool, blockBytes, options);
  // Blocks on their way to a slow store would hold up the end for longer than a container is given.
  const stop = () => void Promise.all(branches.map(branch => branch.abort()));
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const block of blocksOf(source, pool)) await fan.send(block);
    await fan.settle();
    options.signal.throwIfAborted();
    proven();
    await Promise.all(fan.alive.map(branch => branch.commit(fan.objects.map(object => object.bytes))));
    fan.refuseTooFew();
    const failed = branches.filter(branch => branch.error !== undefined).map(({ store, error }) => ({ store, error }));
    return { bytes: fan.bytes, sha256: fan.sha256, blockBytes, objects: fan.objects, failed };
  } catch (error) {
    await Promise.all(branches.map(branch => branch.abort()));
    await fan.settle();
    options.signal.throwIfAborted();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', stop);
  }
}

/**
 * Sends one plain stream down the line into every store: plain hash → zstd → age → blocks, each hashed once and sent to all.
 * Nothing exists under any key unless the source and every stage ended well.
 * @throws BkpError of the source or a stage; 'storeUnreachable' when fewer than `need` stores took it; 'failed' for an empty stream
 */
export async function sealPiece(name: string, source: Bytes, options: SealOptions): Promise<Sealed> {
  const { expected } = options;
  const plain = measured(source, bytes =>
    options.report.emit({ type: 'progress', what: name, bytes, ...(expected === undefined ? {} : { expected }) }),
  );
  const line = options.sealed ? plain.bytes : sealBytes(plain.bytes, options.recipients, options);
  const stored = await storeStream(name, line, options, () => {
    if (plain.result().bytes === 0) throw new BkpError('failed', `${name} came out empty: that is no backup`);
  });
  const { blockBytes, objects, failed } = stored;
  const ref = { name, ...plain.result(), stored: { bytes: stored.bytes, sha256: stored.sha256 }, blockBytes, objects };
  return { ref: options.sealed ? { ...ref, line: [] } : ref, failed };
}
