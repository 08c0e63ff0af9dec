import { chainOf } from '../core/chain.ts';
import type { Price } from '../core/config/index.ts';
import type { StackContext, Store, TargetContext } from '../core/contracts.ts';
import { egress, perMonth } from '../core/cost.ts';
import { sentence } from '../core/errors.ts';
import { catalog, fetchedBytes, heldBy, lackingChain } from './catalog.ts';
import { newestGood } from './prove.ts';

/** What one store holds of an environment, bytes, and what that costs where its price is known. */
export interface StoreCost {
  store: string;
  objects: number;
  bytes: number;
  /** Old versions that no listing shows and that are billed too. */
  hidden: { objects: number; bytes: number };
  /** Stored bytes of the newest good backup of each target: what a drill of everything reads, without the log behind it. */
  drillBytes: number;
  perMonth?: number;
  drill?: number;
  price?: Price;
  /** Why it could not be looked at. */
  error?: string;
}

async function stored(store: Store, prefix: string): Promise<{ objects: number; bytes: number }> {
  let [objects, bytes] = [0, 0];
  for await (const info of store.list(prefix)) {
    objects += 1;
    bytes += info.bytes;
  }
  return { objects, bytes };
}

/** Bytes that a drill of one target reads out of one store. */
async function drillBytes(ctx: TargetContext, store: Store): Promise<number> {
  if (!ctx.stores.some(({ name }) => name === store.name)) return 0;
  const { known, shown } = await catalog([store], ctx.base, ctx.keys, ctx.cache);
  const find = heldBy(known, store.name);
  const whole = known.filter(({ manifest }) => lackingChain(ctx.base, manifest, find, shown[0]!.sizes).length === 0);
  const newest = newestGood(whole);
  return newest ? [...chainOf(newest, find).members, newest].reduce((sum, each) => sum + fetchedBytes(each), 0) : 0;
}

/**
 * Asks each store of an environment what it holds.
 * @param contexts of its targets
 * @param prices by store; what has none costs nothing that is known
 */
export async function costOf(
  stack: StackContext,
  contexts: readonly TargetContext[],
  prices: ReadonlyMap<string, Price>,
): Promise<StoreCost[]> {
  const costs: StoreCost[] = [];
  for (const store of stack.stores) {
    const none: StoreCost = { store: store.name, objects: 0, bytes: 0, hidden: { objects: 0, bytes: 0 }, drillBytes: 0 };
    try {
      const seen = await stored(store, `${stack.base}/`);
      const hidden = (await store.hidden?.(`${stack.base}/`)) ?? none.hidden;
      let read = 0;
      for (const ctx of contexts) read += await drillBytes(ctx, store);
      const price = prices.get(store.name);
      const money = price ? { price, perMonth: perMonth(seen.bytes + hidden.bytes, price), drill: egress(read, price) } : {};
      costs.push({ ...none, ...seen, hidden, drillBytes: read, ...money });
    } catch (error) {
      stack.signal.throwIfAborted();
      costs.push({ ...none, error: sentence(error) });
    }
  }
  return costs;
}
