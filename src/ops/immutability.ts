import pMap from 'p-map';
import type { Check, Store, TargetContext } from '../core/contracts.ts';
import { lockGaps } from '../core/lock.ts';

/** A store that cannot hold anything is told as such. */
const tried = (store: Store, base: string): Promise<Check> =>
  store.withstand?.(base) ??
  Promise.resolve({
    name: `store ${store.name}: immutability`,
    state: 'warn',
    text: 'what is put there can be removed: this type of store has no object lock',
  });

/**
 * Tries in each store of some targets, once a store and all at the same time, whether it withstands whoever has this host's credentials.
 * A last line fails when none of them does: then one stolen key takes every backup.
 * @param contexts of targets of one environment; may take half a minute
 */
export async function immutability(contexts: readonly TargetContext[]): Promise<Check[]> {
  const stores = new Map<string, { store: Store; base: string }>();
  for (const { stores: own, base } of contexts)
    for (const store of own) if (!stores.has(store.name)) stores.set(store.name, { store, base });
  const checks = await pMap([...stores.values()], ({ store, base }) => tried(store, base));
  if (checks.some(({ state }) => state === 'ok')) return checks;
  return [
    ...checks,
    {
      name: 'immutability',
      state: 'fail',
      text: 'no store withstood: whoever has the keys of this host can remove every backup',
      mend: 'a store with `lock`, in a bucket that was made with object lock',
    },
  ];
}

/** What the locks of these stores do not cover of an entry. */
export function* lockGapChecks(stores: readonly Store[], entry: Parameters<typeof lockGaps>[0]): Generator<Check> {
  for (const { name, lock } of stores)
    for (const text of lock ? lockGaps(entry, lock.ms) : []) yield { name: `store ${name}: lock and retention`, state: 'warn', text };
}
