import type { Manifest, ObjectInfo, PerItem, Store, TargetContext } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';
import { heldObjects, manifestKey } from '../catalog.ts';
import { holdsIn } from '../records/hold.ts';
import type { Held } from '../records/lease.ts';
import { pinsIn } from '../records/pin.ts';
import type { Survey } from './survey.ts';

/** What became of what was to go. */
export interface Removal {
  /** Ids of backups that are gone: their manifest is, so they count no longer. */
  gone: string[];
  /** Backups that stay after all, by id, with why. */
  spared: { id: string; reason: string }[];
  removed: number;
  bytes: number;
  /** Held by the store itself until a date. */
  locked: PerItem[];
  failed: PerItem[];
}

export const nothing = (): Removal => ({ gone: [], spared: [], removed: 0, bytes: 0, locked: [], failed: [] });

/** Few enough to be sent well within the minute that a check of the lease is good for. */
const KEYS_AT_ONCE = 200;

/** Removes keys and notes what became of each; the lease is checked before each batch. @returns whether all of them are gone */
export async function removeKeys(
  ctx: TargetContext,
  store: Store,
  items: readonly { key: string; bytes: number }[],
  lease: Held,
  into: Removal,
): Promise<boolean> {
  const sizes = new Map(items.map(({ key, bytes }) => [key, bytes]));
  let whole = true;
  for (let at = 0; at < items.length; at += KEYS_AT_ONCE) {
    ctx.signal.throwIfAborted();
    await lease.check();
    for (const item of await store.remove(items.slice(at, at + KEYS_AT_ONCE).map(({ key }) => key))) {
      if (item.ok) {
        into.removed += 1;
        into.bytes += sizes.get(item.key) ?? 0;
      } else (item.locked ? into.locked : into.failed).push(item);
      whole &&= item.ok;
    }
  }
  return whole;
}

/** What is removed first is never needed by what is left when the run ends in the middle: children go before what they need. */
export function childrenFirst(ids: readonly string[], manifests: ReadonlyMap<string, Manifest>): string[] {
  const going = new Set(ids);
  const ordered: string[] = [];
  const done = new Set<string>();
  const visit = (id: string): void => {
    if (done.has(id)) return;
    done.add(id);
    for (const need of manifests.get(id)?.needs ?? []) if ('backup' in need && going.has(need.backup)) visit(need.backup);
    ordered.push(id);
  };
  for (const id of ids) visit(id);
  return ordered.reverse();
}

/** Pins and holds are read anew right before each deletion: a restore may have begun since the plan was made. */
async function guardOf(ctx: TargetContext, store: Store, id: string, storeNow: Date): Promise<string | undefined> {
  return (await pinsIn(ctx, store, storeNow, id)).get(id) ?? (await holdsIn(ctx, store, storeNow, id)).get(id);
}

/** Whom a spared or stuck backup needs stays too, whatever was planned; so does what it names as its own. */
function needers(id: string, left: ReadonlySet<string>, manifests: ReadonlyMap<string, Manifest>): string | undefined {
  const own = new Set(manifests.has(id) ? heldObjects(manifests.get(id)!).map(({ key }) => key) : []);
  const isNeeder = ({ needs, ...other }: Manifest): boolean =>
    needs.some(need => 'backup' in need && need.backup === id) || heldObjects({ needs, ...other }).some(({ key }) => own.has(key));
  return [...left].find(other => other !== id && manifests.has(other) && isNeeder(manifests.get(other)!));
}

async function removeOne(ctx: TargetContext, survey: Survey, id: string, lease: Held, into: Removal): Promise<void> {
  const { store } = survey;
  const key = manifestKey(ctx.base, id);
  const objects = survey.keys.get(id) ?? [];
  const [manifest] = objects.filter(object => object.key === key);
  if (!manifest || !(await removeKeys(ctx, store, [manifest], lease, into))) {
    const why = into.locked.find(item => item.key === key)?.reason ?? 'the store does not let its manifest go';
    into.spared.push({ id, reason: `${why}, so the rest of it stays too` });
    return;
  }
  if ((await store.stat(key)) !== undefined)
    throw new BkpError('failed', `store ${store.name} said that ${key} is removed, and still shows it`, {
      next: 'bkp doctor shows how this store answers a deletion',
    });
  into.gone.push(id);
  const rest = objects.filter(object => object.key !== key);
  // What makes a held backup exist comes first, and alone: cut short after it, the rest is nothing that anybody takes for a backup.
  const held = new Set(survey.manifests.has(id) ? heldObjects(survey.manifests.get(id)!).map(each => each.key) : []);
  const last = rest.find(object => held.has(object.key));
  if (last && !(await removeKeys(ctx, store, [last], lease, into))) return;
  const whole = await removeKeys(
    ctx,
    store,
    rest.filter(object => object !== last),
    lease,
    into,
  );
  if (last && whole) await refuseShown(store, rest);
}

/** A store may answer that something is gone and still show it: the listing says whether another tool would still find it. */
async function refuseShown(store: Store, removed: readonly ObjectInfo[]): Promise<void> {
  const first = removed.at(-1)!;
  const keys = new Set(removed.map(({ key }) => key));
  for await (const { key } of store.list(first.key.slice(0, first.key.lastIndexOf('/') + 1)))
    if (keys.has(key))
      throw new BkpError('failed', `store ${store.name} said that ${key} is removed, and still shows it`, {
        next: 'bkp doctor shows how this store answers a deletion',
      });
}

/**
 * Removes backups from one store: children before what they need, and of each the manifest first, so that what is cut short is no backup.
 * @param lease checked before each: a holder that slept too long must not go on
 * @param holder why another tool that holds a backup keeps it, asked right before
 */
export async function removeBackups(
  ctx: TargetContext,
  survey: Survey,
  ids: readonly string[],
  lease: Held,
  into: Removal,
  holder: (manifest: Manifest) => Promise<string | undefined> = async () => undefined,
): Promise<void> {
  const going = new Set(ids);
  const left = new Set([...survey.manifests.keys()].filter(id => !going.has(id)));
  for (const [n, id] of childrenFirst(ids, survey.manifests).entries()) {
    ctx.signal.throwIfAborted();
    await lease.check();
    const child = needers(id, left, survey.manifests);
    const manifest = survey.manifests.get(id);
    const guard = child
      ? `needed by ${child}, which stays`
      : ((await guardOf(ctx, survey.store, id, lease.storeNow)) ?? (manifest && (await holder(manifest))));
    if (guard) into.spared.push({ id, reason: guard });
    else await removeOne(ctx, survey, id, lease, into);
    if (!into.gone.includes(id)) left.add(id);
    ctx.report.emit({ type: 'progress', what: `prune ${survey.store.name}`, bytes: n + 1, total: ids.length });
  }
}
