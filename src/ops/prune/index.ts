import pMap from 'p-map';
import type { TargetEntry } from '../../core/config/index.ts';
import type { Store, Target, TargetContext } from '../../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../../core/errors.ts';
import { environmentBase } from '../../core/key.ts';
import { manifestKey } from '../catalog.ts';
import { withLease } from '../records/lease.ts';
import { sweepPins } from '../records/pin.ts';
import { refuseRestoring } from '../records/restoring.ts';
import { recordRun } from '../records/run.ts';
import { logOf, planStore, type StorePlan } from './plan.ts';
import { nothing, type Removal, removeBackups, removeKeys } from './remove.ts';
import { survey } from './survey.ts';

export interface PruneOptions {
  /** Without it the plan is only shown. */
  confirm: boolean;
  /** Lets more go than the setting `pruneShare` allows; lifts nothing else. */
  force: boolean;
  /** At least three random bytes per store. */
  random: (bytes: number) => Uint8Array;
  /** Called where removing begins, with what fills up from then on. */
  begun?: (store: string, removal: Removal) => void;
}

/** What was planned in one store and, where it was confirmed, what became of it. */
export interface Pruned {
  store: string;
  plan?: StorePlan;
  removal?: Removal;
  /** Old versions that no listing shows and that go on billing; told where the store counts them. */
  hidden?: { objects: number; bytes: number };
  error?: string;
  next?: readonly string[];
  exit: ExitName;
}

/** Manifests asked about at once. */
const AT_ONCE = 10;

const leaving = (plan: StorePlan): string[] => plan.lines.filter(({ keep }) => !keep).map(({ id }) => id);

/** A backup whose manifest the store itself holds cannot go, and stays as one that is kept: what it needs does, too. */
async function heldIn(ctx: TargetContext, store: Store, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const held = await pMap(ids, async id => [id, await store.heldUntil?.(manifestKey(ctx.base, id))] as const, { concurrency: AT_ONCE });
  return new Map(held.flatMap(([id, until]) => (until ? [[id, `held by object lock until ${until.toISOString()}`]] : [])));
}

async function planned(...[target, ctx, entry, seen, clock, force]: Parameters<typeof planStore>): Promise<StorePlan> {
  const plan = planStore(target, ctx, entry, seen, clock, force);
  const held = await heldIn(ctx, seen.store, leaving(plan));
  if (held.size === 0) return plan;
  const candidates = seen.candidates.map(each => (held.has(each.id) ? { ...each, guards: [...each.guards, held.get(each.id)!] } : each));
  return planStore(target, ctx, entry, { ...seen, candidates }, clock, force);
}

async function carryOut(target: Target, ctx: TargetContext, entry: TargetEntry, store: Store, options: PruneOptions): Promise<Pruned> {
  return withLease(ctx, store, 'prune', options.random(16), async lease => {
    const seen = await survey(ctx, store, lease.storeNow, target);
    const now = ctx.clock.now();
    const plan = await planned(target, ctx, entry, seen, { now, ...(lease.unwritten ? {} : { storeNow: lease.storeNow }) }, options.force);
    if (plan.halts.length > 0) return { store: store.name, plan, exit: 'refused' };
    const removal = nothing();
    options.begun?.(store.name, removal);
    await removeBackups(ctx, seen, leaving(plan), lease, removal, async manifest => target.guard?.(ctx, store, manifest));
    const kept = new Set([...seen.manifests.keys()].filter(id => !removal.gone.includes(id)));
    const log = logOf(target, ctx, entry, seen, kept, now);
    await removeKeys(ctx, store, [...log, ...plan.orphans], lease, removal);
    await sweep(ctx, store, lease.storeNow);
    const hidden = await store.hidden?.(`${ctx.base}/`);
    return { store: store.name, plan, removal, ...(hidden ? { hidden } : {}), exit: removal.failed.length > 0 ? 'partial' : 'done' };
  });
}

/** Pins of readers that are dead harm nothing, so a store that keeps them is only told. */
async function sweep(ctx: TargetContext, store: Store, storeNow: Date): Promise<void> {
  await sweepPins(ctx, store, storeNow).catch(error =>
    ctx.report.emit({ type: 'warning', text: `store ${store.name} keeps pins of dead runs: ${sentence(error)}` }),
  );
}

async function pruneStore(target: Target, ctx: TargetContext, entry: TargetEntry, store: Store, options: PruneOptions): Promise<Pruned> {
  try {
    if (options.confirm) {
      await refuseRestoring(ctx.stores, environmentBase(ctx.base));
      return await carryOut(target, ctx, entry, store, options);
    }
    const now = ctx.clock.now();
    return {
      store: store.name,
      plan: await planned(target, ctx, entry, await survey(ctx, store, now, target), { now }, options.force),
      exit: 'done',
    };
  } catch (error) {
    ctx.signal.throwIfAborted();
    const known = error instanceof BkpError ? error : undefined;
    return { store: store.name, error: sentence(error), next: known?.next ?? [], exit: known?.exit ?? 'failed' };
  }
}

const messageOf = ({ error, plan, removal }: Pruned): string | undefined =>
  error ?? (plan?.halts.length ? plan.halts.join('; ') : removal?.failed.length ? removal.failed[0]!.reason : undefined);

/**
 * Decides per store what of one target may go, and removes it where that was confirmed. A store that cannot be read whole, or in which
 * something halts it, loses nothing; the others go on.
 */
export async function pruneTarget(target: Target, ctx: TargetContext, entry: TargetEntry, options: PruneOptions): Promise<Pruned[]> {
  const results: Pruned[] = [];
  for (const store of ctx.stores) {
    const startedAt = ctx.clock.now().toISOString();
    const result = await pruneStore(target, ctx, entry, store, options);
    results.push(result);
    if (!options.confirm) continue;
    const message = messageOf(result);
    const details = { removed: result.removal?.removed ?? 0, bytes: result.removal?.bytes ?? 0, backups: result.removal?.gone.length ?? 0 };
    const finishedAt = ctx.clock.now().toISOString();
    await recordRun(
      ctx,
      [store],
      { version: 1, verb: 'prune', startedAt, finishedAt, exit: result.exit, ...(message ? { message } : {}), details },
      options.random(3),
    );
  }
  return results;
}
