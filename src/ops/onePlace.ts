import { randomBytes } from 'node:crypto';
import type { Check, Store } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { joinKey } from '../core/key.ts';
import { putBytes } from '../flow/bytes.ts';

const MEND = 'give one of the two another place, or take its entry out of the config';

async function shows(store: Store, key: string): Promise<boolean> {
  try {
    return (await store.stat(key)) !== undefined;
  } catch {
    return false;
  }
}

/** What is put into the one is there in the others that are the same place. */
async function othersOf(store: Store, others: readonly Store[], base: string): Promise<Store[]> {
  const key = joinKey(base, 'doctor', randomBytes(8).toString('hex'));
  try {
    await putBytes(store, key, Buffer.from('bkp\n'), { ifAbsent: true });
  } catch {
    return [];
  }
  const seen = await Promise.all(others.map(other => shows(other, key)));
  await store.remove([key]).catch(() => {});
  return others.filter((_, at) => seen[at]);
}

/**
 * Finds stores that are one place under two names, which no config shows: a link to a directory, two names of a host, two gateways to one
 * bucket. A store that does not work is told by its own checks.
 */
export async function onePlaceChecks(stores: readonly Store[], base: string): Promise<Check[]> {
  const checks: Check[] = [];
  let left = stores;
  while (left.length > 1) {
    const [store, ...others] = left as [Store, ...Store[]];
    const same = await othersOf(store, others, base);
    const names = [store, ...same].map(({ name }) => name).join(', ');
    if (same.length > 0)
      checks.push({ name: `stores ${names}`, state: 'fail', text: 'they are one place: one copy there counts as several', mend: MEND });
    left = others.filter(other => !same.includes(other));
  }
  return checks;
}

/**
 * Stores that did not take a backup of a run because it lay there already: no other run has its id, so another store of the target put it there.
 * @param failures stores that do not hold it, each with why
 * @param key of its manifest
 * @returns a sentence a store
 */
export async function sameAsAnother(failures: ReadonlyMap<Store, unknown>, key: string): Promise<string[]> {
  const taken = [...failures].filter(([, error]) => error instanceof BkpError && error.exit === 'conflict').map(([store]) => store);
  const seen = await Promise.all(taken.map(store => shows(store, key)));
  return taken
    .filter((_, at) => seen[at])
    .map(({ name }) => `store ${name} is the same place as another store of this target, so that one copy there counts as two: ${MEND}`);
}
