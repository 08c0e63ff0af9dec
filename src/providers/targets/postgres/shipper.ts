import type { Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import type { Stretch } from '../../../core/postgres/history.ts';
import { parseSegment, segmentStart } from '../../../core/postgres/lsn.ts';
import { isOnPath } from '../../../core/postgres/resume.ts';
import { putWal, sealWal, walObjects } from './archive.ts';
import type { PostgresConfig } from './config.ts';
import { advanceSlot } from './slot.ts';
import type { Spool } from './spool.ts';
import { isFinal } from './supervise.ts';

type Context = TargetContext<PostgresConfig>;

/** Puts finished files of the spool into the stores, and moves the slot behind what enough of them hold. */
export class Shipper {
  readonly #ctx: Context;
  readonly #stores: readonly Store[];
  readonly #lineage: string;
  readonly #spool: Spool;
  readonly #path: readonly Stretch[];
  readonly #held = new Map<string, Set<string>>();
  readonly #told = new Set<string>();
  readonly #down = new Set<Store>();
  readonly #prove: (name: string, plain: Buffer) => Promise<void>;

  /**
   * @param path the server's history; empty = it does not answer, and its slot stays
   * @param prove throws for a segment that is not what was there of it before
   */
  constructor(
    ctx: Context,
    stores: readonly Store[],
    lineage: string,
    spool: Spool,
    path: readonly Stretch[],
    held: ReadonlyMap<string, readonly { store: Store }[]>,
    prove: (name: string, plain: Buffer) => Promise<void> = async () => {},
  ) {
    this.#prove = prove;
    this.#ctx = ctx;
    this.#stores = stores;
    this.#lineage = lineage;
    this.#spool = spool;
    this.#path = path;
    for (const [name, copies] of held) this.#held.set(name, new Set(copies.map(copy => copy.store.name)));
  }

  /** Names of finished segments that a store does not hold yet, oldest first. */
  waiting = async (store: Store): Promise<string[]> =>
    (await this.#spool.finished()).filter(name => /^[0-9A-F]{24}$/.test(name) && !this.holds(store, name));

  holds = (store: Store, name: string): boolean => this.#held.get(name)?.has(store.name) ?? false;

  /**
   * Ships every finished file of the spool, oldest first, and lets the server forget what enough stores hold. A store that fails is left out
   * for the rest of the round.
   */
  async tick(): Promise<void> {
    this.#down.clear();
    for (const name of await this.#spool.finished()) {
      const held = this.#held.get(name)?.size ?? 0;
      if (held === this.#stores.length) {
        await this.#forget(name);
        continue;
      }
      if (held >= this.#need && this.#missing(name).length === 0) continue;
      const plain = await this.#spool.read(name);
      if (!(await this.#spool.isReal(name, plain))) continue;
      await this.#prove(name, plain);
      await this.#ship(name, plain);
      if ((this.#held.get(name)?.size ?? 0) < this.#need) return;
      await this.#advance(name);
    }
  }

  /**
   * Stores what the server cannot go on with and takes it out of the spool: after a failover that is what the old primary had written up to
   * the switch and beyond. @throws BkpError('storeUnreachable') while too few stores take it
   */
  async clear(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const plain = await this.#spool.read(name);
      const real = await this.#spool.isReal(name, plain);
      if (real) await this.#ship(name, plain);
      if (real && (this.#held.get(name)?.size ?? 0) < this.#need)
        throw new BkpError('storeUnreachable', `WAL ${name} of the old primary is in the spool, and too few stores take it`);
      await this.#spool.remove(name);
    }
  }

  /** Believes of a store only what it lists now: it may have lost what it had. Throws what the store throws. */
  recall = async (store: Store): Promise<void> => {
    const there = new Set<string>();
    for await (const { name } of walObjects(store, this.#ctx.base, this.#lineage)) there.add(name);
    for (const [name, held] of this.#held) if (!there.has(name)) held.delete(store.name);
  };

  get #need(): number {
    return Math.min(this.#ctx.need, this.#stores.length);
  }

  #missing = (name: string): Store[] => this.#stores.filter(store => !this.holds(store, name) && !this.#down.has(store));

  async #ship(name: string, plain: Buffer): Promise<void> {
    const sealed = await sealWal(this.#ctx, this.#lineage, name, plain);
    const held = this.#held.get(name) ?? new Set<string>();
    this.#held.set(name, held);
    const before = held.size;
    await Promise.all(
      this.#missing(name).map(async store => {
        try {
          await putWal(store, this.#ctx.base, this.#lineage, sealed);
          if (this.#told.has(store.name)) await this.recall(store);
          held.add(store.name);
          this.#told.delete(store.name);
        } catch (error) {
          if (isFinal(error)) throw error;
          this.#down.add(store);
          this.#tell(store, error);
        }
      }),
    );
    if (held.size === before) return;
    const names = this.#stores.map(store => store.name).filter(each => held.has(each));
    this.#ctx.report.emit({ type: 'note', text: `WAL ${name} is in ${names.join(' and ')}` });
  }

  /** Once per outage, not once per tick. */
  #tell(store: Store, error: unknown): void {
    if (this.#told.has(store.name)) return;
    this.#told.add(store.name);
    this.#ctx.report.emit({
      type: 'warning',
      text: `store ${store.name} does not take WAL (kept in the spool until it does): ${sentence(error)}`,
    });
  }

  async #advance(name: string): Promise<void> {
    const segment = /^[0-9A-F]{24}$/.test(name) ? parseSegment(name, this.#spool.segmentBytes) : undefined;
    // What the server has left holds nothing back there, and says nothing of what has to be kept.
    if (!segment || this.#ctx.signal.aborted || this.#path.length === 0 || !isOnPath(name, this.#path, this.#spool.segmentBytes)) return;
    try {
      await advanceSlot(this.#ctx, segmentStart(segment.number + 1, this.#spool.segmentBytes));
    } catch (error) {
      // The server may just be down while its last segments are still being stored; the next segment moves the slot past this one.
      this.#ctx.report.emit({ type: 'warning', text: `the slot was not moved behind ${name}: ${sentence(error)}` });
    }
  }

  /** The newest whole segment stays in the spool: pg_receivewal goes on from it. */
  async #forget(name: string): Promise<void> {
    const whole = (await this.#spool.finished()).filter(other => /^[0-9A-F]{24}$/.test(other));
    if (name === whole.at(-1) || name.endsWith('.history')) return;
    await this.#spool.remove(name);
  }
}
