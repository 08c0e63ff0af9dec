import type { Environment, TargetEntry } from '../config/types.ts';
import type { Part } from './jobs.ts';

/** What a field says of stores, such as `wal.stores`, kept to those that there are; where none is left it says nothing. */
function keptTo(stores: readonly string[], value: unknown): unknown {
  const named = (value as { stores?: unknown } | null | undefined)?.stores;
  if (!Array.isArray(named)) return value;
  const { stores: _all, ...rest } = value as Record<string, unknown>;
  const kept = named.filter(store => stores.includes(store));
  return kept.length > 0 ? { ...rest, stores: kept } : rest;
}

/** An entry with some of its stores. */
export function withStores(entry: TargetEntry, stores: readonly string[]): TargetEntry {
  const fields = Object.entries(entry).map(([field, value]) => [field, field === 'stores' ? value : keptTo(stores, value)]);
  return { ...(Object.fromEntries(fields) as TargetEntry), stores: [...stores], need: Math.min(entry.need, stores.length) };
}

/** What has to be back before an entry, as far as it is there. */
const ordered = (entry: TargetEntry, parts: readonly Part[]): TargetEntry => ({
  ...entry,
  fullDr: {
    ...entry.fullDr,
    after: entry.fullDr.after.filter(each => !each.includes('/') || parts.some(({ kind, name }) => each === `${kind}/${name}`)),
  },
});

/** An environment of these entries and their stores alone, which is still a whole config: it names nothing that is not in it. */
export function narrowed(env: Environment, parts: readonly Part[]): Environment {
  const used = new Set(parts.flatMap(({ entry }) => entry.stores));
  const targets: Record<string, Record<string, TargetEntry>> = {};
  for (const { kind, name, entry } of parts) targets[kind] = { ...targets[kind], [name]: ordered(entry, parts) };
  const kept = <T>(stores: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(stores).filter(([store]) => used.has(store)));
  return { ...env, stores: kept(env.stores), kit: { ...env.kit, stores: kept(env.kit.stores) }, targets };
}
