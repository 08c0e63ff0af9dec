import type { HeldElsewhere, Holder, PerItem, Store } from '../../../../core/contracts.ts';
import { sentence } from '../../../../core/errors.ts';
import { type Context, prefixOf } from './context.ts';
import { forget, prune, snapshotsIn } from './repository.ts';

async function held(ctx: Context, store: Store): Promise<HeldElsewhere[]> {
  return (await snapshotsIn(ctx, store)).map(({ id, backup, time, paths }) => ({
    id,
    backup,
    at: time,
    bytes: 0,
    store: store.name,
    text: `snapshot ${id.slice(0, 8)} of restic in store ${store.name} (${paths.join(', ')})`,
  }));
}

/** Where a store only hides what it deletes, restic's old locks, indexes and data go on being paid for. */
async function sweepHidden(ctx: Context, store: Store): Promise<void> {
  const swept = (await store.purge?.(`${prefixOf(ctx)}/`)) ?? [];
  const kept = swept.filter(({ ok }) => !ok);
  if (swept.length > kept.length)
    ctx.report.emit({
      type: 'note',
      text: `store ${store.name}: ${swept.length - kept.length} hidden version(s) of restic's objects were removed`,
    });
  const failed = kept.find(({ locked }) => !locked);
  if (failed) ctx.report.emit({ type: 'warning', text: `store ${store.name} keeps hidden versions: ${failed.key}: ${failed.reason}` });
}

/** Forgets snapshots in one store, and gives back what only they had. */
async function releaseIn(ctx: Context, store: Store, going: readonly HeldElsewhere[]): Promise<PerItem[]> {
  try {
    await forget(
      ctx,
      store,
      going.map(({ id }) => id),
    );
  } catch (error) {
    ctx.signal.throwIfAborted();
    return going.map(({ id }) => ({ key: id, ok: false, reason: sentence(error) }));
  }
  try {
    await prune(ctx, store);
    await sweepHidden(ctx, store);
  } catch (error) {
    ctx.signal.throwIfAborted();
    ctx.report.emit({ type: 'warning', text: `the snapshots are gone, and their room is not given back yet: ${sentence(error)}` });
  }
  return going.map(({ id }) => ({ key: id, ok: true }));
}

/** Our snapshots in the repositories of the stores: those of others, by host or without the tag of a backup, are never seen here. */
export const holder = (ctx: Context): Holder => ({
  name: 'restic',
  async list() {
    const all: HeldElsewhere[] = [];
    for (const store of ctx.stores) all.push(...(await held(ctx, store)));
    return all;
  },
  async *release(going) {
    const done = new Map<string, PerItem>();
    for (const store of ctx.stores) {
      const here = going.filter(each => each.store === store.name);
      if (here.length > 0) for (const item of await releaseIn(ctx, store, here)) done.set(`${store.name} ${item.key}`, item);
    }
    for (const { store, id } of going) yield done.get(`${store} ${id}`) ?? { key: id, ok: false, reason: 'its store was not asked' };
  },
});
