import type { Store, TargetContext } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { putBytes, readAll } from '../../flow/bytes.ts';
import { manifestKey } from '../catalog.ts';
import { encode, removeRecord } from './entry.ts';
import { type Hold, holdKey, holdsAt, readHold, readHolds, tellHold } from './holdRecord.ts';
import { personOf } from './owner.ts';

/** What became of a hold in each store that has the backup, or does not say: 'partial' = not in all of them. */
export interface Holding {
  id: string;
  exit: 'done' | 'partial';
  stores: { store: string; ok: boolean; error?: string }[];
}

function endOf(id: string, stores: Holding['stores']): Holding {
  const bad = stores.filter(({ ok }) => !ok);
  if (bad.length < stores.length) return { id, stores, exit: bad.length > 0 ? 'partial' : 'done' };
  const why = bad.map(({ store, error }) => `${store}: ${error}`).join('; ');
  throw new BkpError('storeUnreachable', `backup ${id}: no store did what was asked: ${why}`);
}

/** Does something in the stores that have an object; `undefined` when all of them answered and none has it. */
async function whereItIs(ctx: TargetContext, id: string, key: string, work: (store: Store) => Promise<void>): Promise<Holding | undefined> {
  const asked = await Promise.all(
    ctx.stores.map(async store => {
      try {
        if (!(await store.stat(key))) return undefined;
        await work(store);
        return { store: store.name, ok: true };
      } catch (error) {
        return { store: store.name, ok: false, error: sentence(error) };
      }
    }),
  );
  const stores = asked.filter(answer => answer !== undefined);
  return stores.length > 0 ? endOf(id, stores) : undefined;
}

/** Whether a hold that is there would end earlier. */
const shortens = (there: Hold, until: Date | null): boolean => until !== null && (there.until === null || until < there.until);

const shows = (store: Store, key: string): Promise<boolean> =>
  store.stat(key).then(
    info => info !== undefined,
    () => false,
  );

async function refuseShorter(ctx: TargetContext, id: string, until: Date | null): Promise<void> {
  for (const store of ctx.stores) {
    const there = await readHold(ctx, store, id);
    if (!there || !holdsAt(there, ctx.clock.now()) || !shortens(there, until)) continue;
    // A store that does not answer holds nothing that could be shortened now: it is told where the hold is written.
    if (there.at === undefined && !(await shows(store, holdKey(ctx, id)))) continue;
    throw new BkpError('refused', `backup ${id} is ${tellHold(there)} in store ${store.name}, and a hold is never shortened silently`, {
      next: `bkp hold ${id} --release, then hold it anew`,
    });
  }
}

/**
 * Holds a backup in every store that has it: no prune removes it before `until`, or before it is released. A hold that is there already
 * is extended, and gets the new reason.
 * @returns undefined when no store of this target has that backup
 * @throws BkpError('refused') when one that is there would end earlier, 'storeUnreachable' when no store takes it
 */
export async function hold(ctx: TargetContext, id: string, options: { until?: Date; reason: string }): Promise<Holding | undefined> {
  const until = options.until ?? null;
  await refuseShorter(ctx, id, until);
  const record = {
    version: 1,
    until: until?.toISOString() ?? null,
    reason: options.reason,
    by: personOf(),
    at: ctx.clock.now().toISOString(),
  };
  return whereItIs(ctx, id, manifestKey(ctx.base, id), async store => {
    await putBytes(store, holdKey(ctx, id), encode(record));
  });
}

/**
 * Holds a backup in a store that gets a copy of it as it is held elsewhere: by the hold that ends last, as its record stands there, one that
 * cannot be read too. To be called before the copy counts: a prune of that store would know of no hold.
 * @param from stores that hold the backup
 * @throws what the stores throw; then the copy would not be held
 */
export async function carryHold(ctx: TargetContext, id: string, from: readonly Store[], to: Store): Promise<void> {
  let last = await readHold(ctx, to, id);
  for (const store of from) {
    const there = await readHold(ctx, store, id);
    if (!there || (last && !shortens(there, last.until))) continue;
    await putBytes(to, holdKey(ctx, id), await readAll(store.get(holdKey(ctx, id))));
    last = there;
  }
}

/**
 * Ends a hold in every store that has it.
 * @returns undefined when no store of this target has a hold on that backup
 * @throws BkpError('storeUnreachable') when it ends in none of them
 */
export const release = (ctx: TargetContext, id: string): Promise<Holding | undefined> =>
  whereItIs(ctx, id, holdKey(ctx, id), async store => {
    const why = await removeRecord(store, holdKey(ctx, id));
    if (why) throw new BkpError('failed', `it stays held there: ${why}`);
  });

/** The holds of a target, each with the stores that have it just so, and the stores that could not be asked. */
export interface Holds {
  holds: (Hold & { stores: string[]; ended: boolean })[];
  problems: { store: string; error: string }[];
}

/** Every hold on backups of one target. */
export async function holdsOf(ctx: TargetContext): Promise<Holds> {
  const found = new Map<string, Holds['holds'][number]>();
  const problems: Holds['problems'] = [];
  for (const store of ctx.stores) {
    try {
      for (const each of await readHolds(ctx, store)) {
        const same = found.get(`${each.id} ${tellHold(each)}`);
        if (same) same.stores.push(store.name);
        else found.set(`${each.id} ${tellHold(each)}`, { ...each, stores: [store.name], ended: !holdsAt(each, ctx.clock.now()) });
      }
    } catch (error) {
      problems.push({ store: store.name, error: sentence(error) });
    }
  }
  return { holds: [...found.values()].sort((a, b) => a.id.localeCompare(b.id)), problems };
}

/**
 * What is held in one store at a time, why by backup id.
 * @param id only of this backup
 * @throws BkpError('storeUnreachable') when the holds cannot be listed
 */
export async function holdsIn(ctx: TargetContext, store: Store, now: Date, id?: string): Promise<Map<string, string>> {
  const holds = (await readHolds(ctx, store, id)).filter(hold => holdsAt(hold, now));
  return new Map(holds.map(hold => [hold.id, tellHold(hold)]));
}
