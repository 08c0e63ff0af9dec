import type { Store } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { coveredTo, type Range } from '../../../core/postgres/chunks.ts';
import { type Chunk, type Context, hashOf, putChunk } from './chunks.ts';
import { type Spool, SpoolFault } from './spool.ts';
import { isFinal } from './supervise.ts';
import { isJoined } from './verify.ts';

/** So many chunks of one segment are joined at once, and so many once it rests a little. */
const MANY = 64;
const SOME = 16;
const REST_MS = 2000;
/** After that a segment counts as idle, and what there is of it is joined. */
const IDLE_MS = 60_000;
/** How often the store is asked for what it was given; after a failure at once. */
const LOOK_MS = 5000;

interface State {
  chunks: Chunk[];
  /** Of an earlier run, not compared with what the server sends now. */
  unproven: Chunk[];
  /** When it last grew. */
  since: number;
}

/**
 * The store that gets chunks: the first that keeps neither versions nor locks, for there each second's would stay for good. One that does not
 * answer now is passed over: what it would say is not known.
 * @returns undefined where no store is known to be such a one
 */
export async function chunkStore(stores: readonly Store[]): Promise<Store | undefined> {
  for (const store of stores) {
    const powers = await store.powers().catch(error => {
      if (error instanceof BkpError && error.exit === 'storeUnreachable') return undefined;
      throw error;
    });
    if (powers && !powers.locks && !powers.versions) return store;
  }
  return undefined;
}

/** Stores what the open segment grew by since the last time, and joins the pieces before they are many. */
export class Flusher {
  readonly store: Store;
  readonly #ctx: Context;
  readonly #lineage: string;
  readonly #spool: Spool;
  readonly #states = new Map<string, State>();
  readonly #onLost: () => Promise<void>;
  #told = false;
  #looked = Number.NEGATIVE_INFINITY;

  /**
   * @param chunks what the stores' listing shows: where an earlier run had got to
   * @param onLost hears that the store lost what it had: it was emptied, or another one is in its place
   */
  constructor(
    ctx: Context,
    store: Store,
    lineage: string,
    spool: Spool,
    chunks: ReadonlyMap<string, readonly Chunk[]>,
    onLost: () => Promise<void> = async () => {},
  ) {
    this.#ctx = ctx;
    this.#onLost = onLost;
    this.store = store;
    this.#lineage = lineage;
    this.#spool = spool;
    for (const [name, all] of chunks) {
      const own = all.filter(chunk => chunk.store === store);
      this.#states.set(name, { chunks: own, unproven: [...own], since: ctx.clock.now().getTime() });
    }
  }

  /** Segments of which the store has chunks. */
  names = (): string[] => [...this.#states.keys()];

  /**
   * One round. What the store, or the disk of the spool, does not do now is told once, and tried again. @throws BkpError('conflict') where the store has other
   * bytes of a segment than the server sends
   * @param waiting names of finished segments that the store does not hold yet, oldest first
   */
  async tick(waiting: readonly string[]): Promise<void> {
    try {
      await this.#look();
      if (await this.#finishAll(waiting)) {
        const open = await this.#spool.open();
        if (open) await this.#grow(open);
      }
      this.#told = false;
    } catch (error) {
      if (isFinal(error)) throw error;
      this.#tell(error);
      this.#looked = Number.NEGATIVE_INFINITY;
    }
  }

  /**
   * A store that was lost has an empty one in its place, and takes what follows as if nothing had happened: behind chunks that are gone, that
   * would be a hole for a restore.
   */
  async #look(): Promise<void> {
    const now = this.#ctx.clock.now().getTime();
    if (now - this.#looked < LOOK_MS) return;
    for (const [name, { chunks }] of [...this.#states].slice(-1)) {
      const first = chunks[0];
      if (first && !(await this.store.stat(first.key)) && !(await isJoined(this.store, first))) await this.#lost(name);
    }
    this.#looked = now;
  }

  async #lost(name: string): Promise<void> {
    this.#ctx.report.emit({
      type: 'warning',
      text: `store ${this.store.name} no longer has what it was given of WAL ${name}: it was emptied or replaced, and gets anew what the spool has`,
    });
    this.#states.clear();
    await this.#onLost();
  }

  /** The store holds the segment whole: its chunks go. What cannot be removed now goes with `bkp prune`. */
  async merged(name: string): Promise<void> {
    const state = this.#states.get(name);
    this.#states.delete(name);
    if (state) await this.#remove(state.chunks);
  }

  /**
   * Segments that were finished since the last round, and begun in chunks: their rest is quicker there than the whole.
   * @returns whether the store has every byte of them. A chunk behind one that it lacks would save nothing, and be a hole for a restore.
   */
  async #finishAll(waiting: readonly string[]): Promise<boolean> {
    for (const name of waiting) if (!(await this.#finish(name))) return false;
    return true;
  }

  async #finish(name: string): Promise<boolean> {
    const from = coveredTo(this.#states.get(name)?.chunks ?? []);
    if (from >= this.#spool.segmentBytes) return true;
    if (from === 0) return false;
    const plain = await this.#spool.find(name);
    // It went out of the spool meanwhile, for every store holds it whole.
    if (!plain) return true;
    if (!(await this.#spool.isReal(name, plain))) return false;
    this.prove(name, plain);
    await this.#put(name, from, plain.subarray(from));
    return true;
  }

  async #grow(name: string): Promise<void> {
    const state = this.#states.get(name);
    const from = coveredTo(state?.chunks ?? []);
    if (state && state.unproven.length > 0) this.prove(name, (await this.#spool.written(name, 0)) ?? Buffer.alloc(0));
    const fresh = await this.#spool.written(name, from);
    if (fresh && fresh.length > 0) await this.#put(name, from, fresh);
    else if (fresh) await this.#join(name);
  }

  async #put(name: string, from: number, plain: Buffer): Promise<void> {
    const chunk = await this.#chunk(name, from, plain);
    const state = this.#states.get(name) ?? { chunks: [], unproven: [], since: 0 };
    state.chunks.push(chunk);
    state.since = this.#ctx.clock.now().getTime();
    this.#states.set(name, state);
    if (state.chunks.length >= MANY) await this.#join(name);
  }

  #chunk = (name: string, from: number, plain: Buffer): Promise<Chunk> =>
    putChunk(this.#ctx, this.store, this.#lineage, { name, from, plain, segmentBytes: this.#spool.segmentBytes });

  /**
   * Compares the beginning of a segment that the server has sent with the chunks of earlier runs, by the hash in their keys: this host need not
   * be able to open what it sealed. @throws BkpError('conflict') where they differ
   */
  prove(name: string, plain: Buffer): void {
    const state = this.#states.get(name);
    if (!state) return;
    const other = state.unproven.find(({ from, to, hash }) => to <= plain.length && hashOf(plain.subarray(from, to)) !== hash);
    if (other) throw this.#conflict(name, other);
    state.unproven = state.unproven.filter(({ to }) => to > plain.length);
  }

  #conflict(name: string, { from, to }: Range): BkpError {
    const text = `bytes ${from} to ${to} of WAL ${name} of lineage ${this.#lineage} are in store ${this.store.name} with another content than the server sends`;
    return new BkpError('conflict', text, {
      next: 'the server was set back, or two clusters ship into one lineage: find out which is the original; the other needs --new-lineage',
    });
  }

  /** One chunk in place of many, once they are many or the segment rests. */
  async #join(name: string): Promise<void> {
    const state = this.#states.get(name);
    if (!state || state.chunks.length < 2 || state.unproven.length > 0) return;
    const rested = this.#ctx.clock.now().getTime() - state.since;
    const due = state.chunks.length >= MANY || (state.chunks.length >= SOME && rested >= REST_MS) || rested >= IDLE_MS;
    if (!due) return;
    const end = coveredTo(state.chunks);
    const plain = await this.#spool.written(name, 0);
    if (!plain || plain.length < end) return;
    const joined = await this.#chunk(name, 0, plain.subarray(0, end));
    const old = state.chunks.filter(({ key }) => key !== joined.key);
    state.chunks = [joined];
    await this.#remove(old);
  }

  async #remove(chunks: readonly Chunk[]): Promise<void> {
    if (chunks.length === 0) return;
    const keys = chunks.map(({ key }) => key);
    const failed = (await this.store.remove(keys).catch(error => [{ key: keys[0]!, ok: false, reason: sentence(error) }])).filter(
      ({ ok }) => !ok,
    );
    if (failed.length > 0)
      this.#ctx.report.emit({
        type: 'note',
        text: `${failed[0]!.key} is no longer needed in store ${this.store.name} and stays until bkp prune: ${failed[0]!.reason}`,
      });
  }

  #tell(error: unknown): void {
    if (this.#told) return;
    this.#told = true;
    const lag = 'until it does, what was not stored is on the server and in the spool only';
    const text =
      error instanceof SpoolFault ? error.message : `store ${this.store.name} does not take the open segment: ${lag}: ${sentence(error)}`;
    this.#ctx.report.emit({ type: 'warning', text });
  }
}
