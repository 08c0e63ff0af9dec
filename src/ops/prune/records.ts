import type { ObjectInfo, PerItem, StackContext, Store } from '../../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../../core/errors.ts';
import { instantOf, isId } from '../../core/id.ts';
import { joinKey } from '../../core/key.ts';
import { drillsToGo, type GoingRecord, kitsToGo, type Left, setsToGo } from '../../core/retention/records.ts';
import { readSets } from '../fulldr/sets.ts';
import { gathered } from '../gathered.ts';
import { listed } from '../records/entry.ts';
import { readKits } from '../records/kit.ts';
import { refuseRestoring } from '../records/restoring.ts';
import { readDrills } from '../report/drills.ts';
import type { Pruned } from './index.ts';

/** What an environment keeps about the whole stack and no longer needs, and what became of it. */
export interface PrunedRecords {
  sets: GoingRecord[];
  drills: GoingRecord[];
  kits: GoingRecord[];
  /** Objects that were removed, in all stores together. */
  removed: number;
  locked: PerItem[];
  failed: PerItem[];
  /** Why nothing was looked at, or nothing was removed. */
  error?: string;
  exit: ExitName;
}

/**
 * Backups that are left once a prune has ended, or would have: what a halted or failed store keeps is among them.
 * @throws BkpError when a store could not be looked at, which may have any of them; it ends as looking there did
 */
export function leftAfter(results: readonly (Pruned & { target: string })[]): Left {
  const left = new Map<string, Set<string>>();
  for (const { target, store, plan, removal, error, exit } of results) {
    if (!plan) throw new BkpError(exit, `store ${store} of ${target} was not looked at: ${error}`);
    const ids = left.get(target) ?? new Set();
    left.set(target, ids);
    // Without a removal it is a plan that is carried out as soon as nothing halts it.
    const goes = (id: string, keep: boolean): boolean => (removal ? removal.gone.includes(id) : !keep && plan.halts.length === 0);
    for (const { id, keep } of plan.lines) if (!goes(id, keep)) ids.add(id);
  }
  return left;
}

/** The id in the name of a record or of one of its pages. */
const idIn = (key: string): string | undefined => {
  const id = /\/([^/.]+)\.(?:json|md|xml)$/.exec(key)?.[1];
  return id !== undefined && isId(id) ? id : undefined;
};

/** Pages first, the record last: what is cut short is still a record, which the next run takes away. */
const recordLast = (a: ObjectInfo, b: ObjectInfo): number => Number(a.key.endsWith('.json')) - Number(b.key.endsWith('.json'));

/** Objects of some ids in one store, and pages whose record is gone. */
async function objectsOf(store: Store, prefix: string, ids: ReadonlySet<string>, before: Date): Promise<string[]> {
  const all = (await listed(store, `${prefix}/`)).filter(({ key }) => idIn(key) !== undefined);
  const recorded = new Set(all.filter(({ key }) => key.endsWith('.json')).map(({ key }) => idIn(key)));
  const isStray = (id: string): boolean => !recorded.has(id) && instantOf(id)! < before;
  return all
    .filter(({ key }) => ids.has(idIn(key)!) || isStray(idIn(key)!))
    .sort(recordLast)
    .map(({ key }) => key);
}

async function removeAll(stack: StackContext, records: PrunedRecords, before: Date): Promise<void> {
  await refuseRestoring(stack.stores, stack.base);
  for (const store of stack.stores)
    for (const section of ['sets', 'drills', 'kits'] as const) {
      stack.signal.throwIfAborted();
      const ids = new Set(records[section].map(({ id }) => id));
      const keys = await objectsOf(store, joinKey(stack.base, section), ids, before);
      // Each kind by itself: pages are gone before their records are asked for.
      for (const half of [keys.filter(key => !key.endsWith('.json')), keys.filter(key => key.endsWith('.json'))]) {
        const items = half.length === 0 ? [] : await store.remove(half);
        records.removed += items.filter(({ ok }) => ok).length;
        for (const item of items) if (!item.ok) (item.locked ? records.locked : records.failed).push(item);
      }
    }
  if (records.failed.length > 0) records.exit = 'partial';
}

/**
 * Sets and records of drills and kits that an environment no longer needs; removed where that was confirmed. What cannot be read is kept, and
 * nothing goes while a store was not looked at.
 * @param results of all targets of the environment in all stores
 * @param keepMs how long records of drills and kits are kept at least
 */
export async function pruneRecords(
  stack: StackContext,
  results: readonly (Pruned & { target: string })[],
  keepMs: number,
  confirm: boolean,
): Promise<PrunedRecords> {
  const records: PrunedRecords = { sets: [], drills: [], kits: [], removed: 0, locked: [], failed: [], exit: 'done' };
  try {
    const now = stack.clock.now();
    const left = leftAfter(results);
    const { sets, problems } = await readSets(stack);
    const found = await readDrills(stack.stores, joinKey(stack.base, 'any', 'any'), stack.keys);
    const kept = await readKits(stack);
    for (const { store, key, error } of gathered([...problems, ...found.problems, ...kept.problems])) {
      if (key === undefined) throw new BkpError('storeUnreachable', `store ${store}: ${error}`);
      stack.report.emit({ type: 'warning', text: `${key} in store ${store} is kept: ${error}` });
    }
    records.sets = setsToGo(
      sets.map(({ set }) => set),
      left,
      now,
    );
    records.drills = drillsToGo(
      found.drills.map(({ evidence }) => evidence),
      left,
      keepMs,
      now,
    );
    records.kits = kitsToGo(kept.kits, keepMs, now);
    if (confirm) await removeAll(stack, records, new Date(now.getTime() - keepMs));
  } catch (error) {
    stack.signal.throwIfAborted();
    records.error = sentence(error);
    // A store that does not answer was told of already, with the exit code of its targets.
    records.exit = error instanceof BkpError ? error.exit : 'failed';
  }
  return records;
}
