import type { Environment, TargetEntry } from '../../config/types.ts';
import { withStores } from '../narrow.ts';

/** Stores of an entry that a pod without any claim reaches. */
export const storesElsewhere = (env: Environment, { stores }: Pick<TargetEntry, 'stores'>): string[] =>
  stores.filter(store => env.stores[store]!.type !== 'directory');

/** An entry as it is seen from where no claim is mounted: one store that has a backup is enough. */
export const elsewhere = (env: Environment, entry: TargetEntry): TargetEntry => ({
  ...withStores(entry, storesElsewhere(env, entry)),
  need: 1,
});
