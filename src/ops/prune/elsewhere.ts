import type { TargetEntry } from '../../core/config/index.ts';
import type { HeldElsewhere, Holder, Target, TargetContext } from '../../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../../core/errors.ts';
import { catalog, heldOf } from '../catalog.ts';
import type { Pruned } from './index.ts';

/** What a service elsewhere keeps that no manifest needs any more, and what became of it. */
export interface Elsewhere {
  holder: string;
  going: (HeldElsewhere & { reason: string })[];
  released: string[];
  locked: { text: string; reason: string }[];
  failed: { text: string; reason: string }[];
  /** Why nothing was looked at. */
  error?: string;
  exit: ExitName;
}

/** What has no manifest may belong to a run that is still going on. */
const YOUNG_MS = 7 * 86_400_000;

/**
 * What no manifest of any store names any more. A store that cannot be read may name all of it.
 * @param gone ids of backups that this run removed from a store, by the store's name
 * @throws BkpError('storeUnreachable') when a store does not answer, 'verifyFailed' when one has a manifest that is not trusted
 */
async function unneeded(ctx: TargetContext, holder: Holder, gone: ReadonlyMap<string, readonly string[]>): Promise<Elsewhere['going']> {
  const listed = await holder.list();
  const { known, problems } = await catalog(ctx.stores, ctx.base, ctx.keys);
  const [problem] = problems;
  if (problem) {
    const exit = problem.key === undefined ? 'storeUnreachable' : 'verifyFailed';
    throw new BkpError(exit, `store ${problem.store} cannot be read whole: ${problem.error}`);
  }
  const now = ctx.clock.now().getTime();
  return listed.flatMap(held => {
    const isIts = (store: string): boolean => held.store === undefined || held.store === store;
    const needing = known.filter(({ stores }) => stores.some(isIts)).map(({ manifest }) => manifest);
    if (needing.some(manifest => manifest.id === held.backup || heldOf(manifest).some(({ id }) => id === held.id))) return [];
    const where = held.store === undefined ? 'no store' : 'that store no longer';
    if ([...gone].some(([store, ids]) => isIts(store) && ids.includes(held.backup)))
      return [
        {
          ...held,
          reason: held.store === undefined ? `its backup ${held.backup} is in no store any more` : `${where} has its backup ${held.backup}`,
        },
      ];
    const why = held.store === undefined ? 'of which no store has a manifest' : 'of which that store has no manifest';
    return now - held.at.getTime() > YOUNG_MS ? [{ ...held, reason: `made for ${held.backup}, ${why}` }] : [];
  });
}

const removedBy = (results: readonly Pruned[]): Map<string, readonly string[]> =>
  new Map(results.map(({ store, removal }) => [store, removal?.gone ?? []]));

/**
 * Releases what a service keeps and no manifest in any store needs. Nothing is released while a store is left out or something halted.
 * @returns undefined for a target without such a service
 */
export async function pruneElsewhere(
  target: Target,
  ctx: TargetContext,
  entry: TargetEntry,
  results: readonly Pruned[],
  confirm: boolean,
): Promise<Elsewhere | undefined> {
  const holder = target.holder?.(ctx);
  if (!holder) return undefined;
  const nothing = { holder: holder.name, going: [], released: [], locked: [], failed: [] };
  if (ctx.stores.length < entry.stores.length)
    return { ...nothing, error: 'not looked at: --from leaves stores out that may need it', exit: 'done' };
  if (confirm && results.some(({ exit }) => exit !== 'done'))
    return { ...nothing, error: 'nothing is released while a store was not pruned to the end', exit: 'done' };
  try {
    const going = await unneeded(ctx, holder, removedBy(results));
    const elsewhere: Elsewhere = { ...nothing, going, released: [], locked: [], failed: [], exit: 'done' };
    if (confirm) await releaseAll(ctx, holder, elsewhere);
    return elsewhere;
  } catch (error) {
    ctx.signal.throwIfAborted();
    return { ...nothing, error: sentence(error), exit: error instanceof BkpError ? error.exit : 'failed' };
  }
}

async function releaseAll(ctx: TargetContext, holder: Holder, into: Elsewhere): Promise<void> {
  let at = 0;
  for await (const item of holder.release(into.going)) {
    ctx.signal.throwIfAborted();
    const held = into.going[at++]!;
    if (item.ok) into.released.push(held.text);
    else (item.locked ? into.locked : into.failed).push({ text: held.text, reason: item.reason ?? '' });
  }
  if (into.failed.length > 0) into.exit = 'partial';
}
