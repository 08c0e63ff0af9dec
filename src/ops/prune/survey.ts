import type { Known, Manifest, ObjectInfo, Store, TargetContext } from '../../core/contracts.ts';
import type { Candidate } from '../../core/retention.ts';
import { idOf, lacking, readManifests } from '../catalog.ts';
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

function candidateOf(manifest: Manifest, sizes: ReadonlyMap<string, number>, guards: readonly string[]): Candidate {
  return {
    id: manifest.id,
    startedAt: new Date(manifest.startedAt),
    endedAt: new Date(manifest.recoveryPointAt),
    state: lacking(manifest, sizes).length === 0 ? 'whole' : 'damaged',
    anomalous: manifest.anomaly !== undefined,
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
export async function survey(ctx: TargetContext, store: Store, storeNow: Date): Promise<Survey> {
  const objects: ObjectInfo[] = [];
  for await (const info of store.list(`${ctx.base}/`)) objects.push(info);
  const keys = byBackup(ctx.base, objects);
  const listed = objects.filter(({ key }) => idOf(ctx.base, key) !== undefined);
  const sizes = new Map(objects.map(({ key, bytes }) => [key, bytes]));
  const { guards, rolling } = await guardsOf(ctx, store, storeNow);
  const manifests = new Map<string, Manifest>();
  const candidates: Candidate[] = [];
  for (const seen of await readManifests(store, ctx.base, ctx.keys, listed)) {
    if ('manifest' in seen) {
      manifests.set(seen.id, seen.manifest);
      candidates.push(candidateOf(seen.manifest, sizes, guards.get(seen.id) ?? []));
    } else candidates.push({ id: idOf(ctx.base, seen.key!)!, state: 'unreadable', anomalous: false, needs: [], guards: [seen.error] });
  }
  const lastFailure = (await lastRuns(ctx, store)).backup?.failure;
  return { store, objects, candidates, manifests, keys, rolling, ...(lastFailure ? { lastFailure } : {}) };
}

/** The backups of a survey as other operations know them. */
export const knownOf = ({ manifests, store }: Survey): Known[] =>
  [...manifests.values()].map(manifest => ({ manifest, stores: [store.name] }));
