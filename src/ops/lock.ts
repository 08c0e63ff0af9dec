import type { Known, Manifest, Store, Target, TargetContext } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { manifestKey, streamed } from './catalog.ts';

/** A backup and all on which it builds, itself first. */
function chainOf(manifest: Manifest, known: readonly Known[]): Manifest[] {
  const byId = new Map(known.map(each => [each.manifest.id, each.manifest]));
  const chain = new Map<string, Manifest>();
  const visit = (each: Manifest): void => {
    if (chain.has(each.id)) return;
    chain.set(each.id, each);
    for (const need of each.needs) {
      const parent = 'backup' in need ? byId.get(need.backup) : undefined;
      if (parent) visit(parent);
    }
  };
  visit(manifest);
  return [...chain.values()];
}

async function holdIn(target: Target, ctx: TargetContext, store: Store, manifest: Manifest, chain: readonly Manifest[]): Promise<void> {
  const until = await store.heldUntil?.(manifestKey(ctx.base, manifest.id));
  if (!until) throw new BkpError('failed', 'the manifest is not held');
  const own = chain.flatMap(each => [
    manifestKey(ctx.base, each.id),
    ...streamed(each).flatMap(({ objects }) => objects.map(({ key }) => key)),
  ]);
  const items = await store.hold!([...own, ...((await target.log?.records?.(ctx, store, manifest)) ?? [])], until);
  const [bad] = items.filter(({ ok }) => !ok);
  if (bad) throw new BkpError('failed', `${bad.key} is not held until ${until.toISOString()}: ${bad.reason}`);
}

/**
 * Has each store that holds its objects hold what a new backup needs for as long as the backup itself: what it builds on, and the records
 * of its log. What was held for longer stays so.
 * @param stores those that have the backup
 * @param known the backups from before it
 * @returns what could not be held, a sentence a store; the backup is there all the same
 */
export async function holdNeeded(
  target: Target,
  ctx: TargetContext,
  manifest: Manifest,
  stores: readonly Store[],
  known: readonly Known[],
): Promise<string[]> {
  const lacks: string[] = [];
  for (const store of stores) {
    if (!store.lock || !store.hold) continue;
    try {
      await holdIn(target, ctx, store, manifest, chainOf(manifest, known));
    } catch (error) {
      ctx.signal.throwIfAborted();
      lacks.push(`store ${store.name} does not hold all that backup ${manifest.id} needs: ${sentence(error)}`);
    }
  }
  return lacks;
}
