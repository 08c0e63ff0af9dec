import pMap from 'p-map';
import type { LineageId, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { copyStored } from '../../../../flow/copyStored.ts';
import { type Holdings, holdings, type WalObject, walStores } from '../archive.ts';
import { lacks } from '../healWal.ts';
import { prefixOf } from './layout.ts';
import type { Context } from './program.ts';

const AT_ONCE = 4;
/** The whole archive is listed this often; between that only where new segments appear. */
const WHOLE_MS = 5 * 60_000;
/** Digits of a segment's name that change once in 4 GiB of WAL. */
const STEM = 16;

/** Gives the other stores what the first one has, as it is stored. */
export class Copier {
  readonly #ctx: Context;
  readonly #lineage: LineageId;
  /** Names from before: what a store lacks of them was pruned there, or is given to it by the next backup run. */
  #old: ReadonlySet<string> | undefined;
  /** Sizes of the last look: a directory shows a file that is still being written. */
  #sizes = new Map<string, number>();
  readonly #told = new Set<string>();
  #newest = '';
  #whole = 0;

  constructor(ctx: Context, lineage: LineageId) {
    this.#ctx = ctx;
    this.#lineage = lineage;
  }

  /** One look at the stores, and copies of what one of them lacks. What a store does not take is told once, and tried again. */
  async round(): Promise<void> {
    const stores = walStores(this.#ctx);
    if (stores.length < 2) return;
    const { copies, unreachable } = await this.#look(stores);
    for (const { store, reason } of unreachable) this.#tell(store, reason);
    const reachable = stores.filter(({ name }) => !unreachable.some(({ store }) => store === name));
    this.#old ??= new Set(copies.keys());
    const before = this.#sizes;
    this.#sizes = new Map([...copies].map(([name, [first]]) => [name, first!.bytes]));
    const fresh = new Map([...copies].filter(([name, [first]]) => !this.#old?.has(name) && before.get(name) === first!.bytes));
    await pMap(lacks(fresh, reachable), ({ held, to }) => this.#copy(held[0]!, to), { concurrency: AT_ONCE });
  }

  async #look(stores: readonly Store[]): Promise<Holdings> {
    const now = this.#ctx.clock.now().getTime();
    const whole = now - this.#whole > WHOLE_MS;
    if (whole) this.#whole = now;
    const held = await holdings(
      stores,
      this.#ctx.base,
      this.#lineage,
      whole ? '' : this.#newest.slice(0, STEM),
      prefixOf(this.#ctx, this.#lineage),
    );
    for (const name of held.copies.keys()) if (/^[0-9A-F]{24}$/.test(name) && name > this.#newest) this.#newest = name;
    return held;
  }

  async #copy(from: WalObject, to: Store): Promise<void> {
    try {
      await copyStored(from.store, to, from, { ifAbsent: true });
      this.#told.delete(to.name);
      this.#ctx.report.emit({ type: 'note', text: `WAL ${from.name} is in ${from.store.name} and ${to.name}` });
    } catch (error) {
      if (!(error instanceof BkpError && error.exit === 'conflict')) this.#tell(to.name, sentence(error));
    }
  }

  #tell(store: string, reason: string): void {
    if (this.#told.has(store)) return;
    this.#told.add(store);
    this.#ctx.report.emit({ type: 'warning', text: `store ${store} does not take WAL (it is copied when it does): ${reason}` });
  }
}
