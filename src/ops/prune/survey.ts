import type { Known, Manifest, ObjectInfo, Store, Target, TargetContext } from '../../core/contracts.ts';
import { guardUnread } from '../../core/retention/unread.ts';
import type { Candidate } from '../../core/retention.ts';
import { allObjects, heldObjects, idOf, lacking, readManifests } from '../catalog.ts';
import { holdsIn } from '../records/hold.ts';
import { pinsIn } from '../records/pin.ts';
import { proofsIn } from '../records/proof.ts';
import { lastRuns, type RunRecord } from '../records/run.ts';

/** All that one store shows of one target, read at one time. */
export interface Survey {
  store: Store;
  /** The complete listing under `base/`. */
  objects: readonly ObjectInfo[];
  candidates: readonly Candidate[];
  /** By id; only those that were read and believed. */
  manifests: ReadonlyMap<string, Manifest>;
  /** Keys of the listing under `backups/<id>/`, by id. */
  keys: ReadonlyMap<string, readonly ObjectInfo[]>;
  /** Ids of what is held, or read just now: somebody may roll it forward, so the log after it stays too. */
  rolling: ReadonlySet<string>;
  /** The newest backup run that failed, as the store tells it. */
  lastFailure?: RunRecord;
}

/** Objects under `backups/`, by the folder they lie in. */
function byBackup(base: string, objects: readonly ObjectInfo[]): Map<string, ObjectInfo[]> {
  const found = new Map<string, ObjectInfo[]>();
  const start = `${base}/backups/`;
  for (const info of objects) {
    if (!info.key.startsWith(start)) continue;
    const id = info.key.slice(start.length).split('/')[0]!;
    const list = found.get(id);
    if (list) list.push(info);
    else found.set(id, [info]);
  }
  return found;
}

/** What other tools hold of a backup counts as its own: it is listed where that is elsewhere, and goes with it. */
function addHeld(manifests: ReadonlyMap<string, Manifest>, sizes: ReadonlyMap<string, ObjectInfo>, keys: Map<string, ObjectInfo[]>): void {
  for (const [id, manifest] of manifests) {
    const held = [...heldObjects(manifest)].reverse().flatMap(({ key }) => sizes.get(key) ?? []);
    if (held.length > 0) keys.set(id, [...(keys.get(id) ?? []), ...held]);
  }
}

/** What keeps backups whatever the policy says: why, by id. */
async function guardsOf(
  ctx: TargetContext,
  store: Store,
  storeNow: Date,
): Promise<{ guards: ReadonlyMap<string, string[]>; rolling: ReadonlySet<string> }> {
  const guards = new Map<string, string[]>();
  const guard = (id: string, why: string): void => void guards.set(id, [...(guards.get(id) ?? []), why]);
  for (const [id, why] of await holdsIn(ctx, store, storeNow)) guard(id, why);
  for (const [id, why] of await pinsIn(ctx, store, storeNow)) guard(id, why);
  const rolling = new Set(guards.keys());
  const proven = (await proofsIn(ctx, store)).at(-1);
  if (proven) guard(proven.id, `the last one of this store whose restore was proven (${proven.at.toISOString()})`);
  return { guards, rolling };
}

function candidateOf(manifest: Manifest, sizes: ReadonlyMap<string, number>, guards: readonly string[], apart: boolean): Candidate {
  return {
    id: manifest.id,
    startedAt: new Date(manifest.startedAt),
    endedAt: new Date(manifest.recoveryPointAt),
    state: lacking(manifest, sizes).length === 0 ? 'whole' : 'damaged',
    anomalous: apart || manifest.anomaly !== undefined,
    ...(manifest.lineage ? { lineage: manifest.lineage } : {}),
    needs: manifest.needs.flatMap(need => ('backup' in need ? [need.backup] : [])),
    guards,
  };
}

/**
 * Reads everything that a decision over one store needs. Manifests are read from the store itself, never from this host's cache.
 * @param storeNow the time by the store's own clock where it is known, else by this host's
 * @throws BkpError('storeUnreachable') when any part of it cannot be read: a plan over half a listing would delete what is needed
 */
export async function survey(
  ctx: TargetContext,
  store: Store,
  storeNow: Date,
  target: Pick<Target, 'places' | 'log'> = {},
): Promise<Survey> {
  const objects = await allObjects(target, ctx, store);
  const keys = byBackup(ctx.base, objects);
  const listed = objects.filter(({ key }) => idOf(ctx.base, key) !== undefined);
  const { guards, rolling } = await guardsOf(ctx, store, storeNow);
  const manifests = new Map<string, Manifest>();
  const candidates: Candidate[] = [];
  const seen = await readManifests(store, ctx.base, ctx.keys, listed);
  for (const each of seen) if ('manifest' in each) manifests.set(each.id, each.manifest);
  const infos = new Map(objects.map(info => [info.key, info]));
  const sizes = new Map([...infos].map(([key, { bytes }]) => [key, bytes]));
  addHeld(manifests, infos, keys);
  const apart = target.log?.apart?.(ctx, objects, [...manifests.values()]) ?? new Set();
  for (const each of seen) {
    if ('manifest' in each) candidates.push(candidateOf(each.manifest, sizes, guards.get(each.id) ?? [], apart.has(each.id)));
    else candidates.push({ id: idOf(ctx.base, each.key!)!, state: 'unreadable', anomalous: false, needs: [], guards: [each.error] });
  }
  const lastFailure = (await lastRuns(ctx, store)).backup?.failure;
  return {
    store,
    objects,
    candidates: target.log ? guardUnread(candidates) : candidates,
    manifests,
    keys,
    rolling,
    ...(lastFailure ? { lastFailure } : {}),
  };
}

/** The backups of a survey as other operations know them. */
export const knownOf = ({ manifests, store }: Survey): Known[] =>
  [...manifests.values()].map(manifest => ({ manifest, stores: [store.name] }));
