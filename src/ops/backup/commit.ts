import type { Known, Manifest, Store, Target, TargetContext } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { decodeManifest, encodeManifest } from '../../core/manifest.ts';
import { putBytes } from '../../flow/bytes.ts';
import { manifestKey } from '../catalog.ts';
import { healChain } from '../heal.ts';
import type { Failures, Pieces } from './pieces.ts';

/**
 * The manifest goes last, and only into stores that hold every piece: with it the backup begins to exist there.
 * @param failures stores that lack a piece; those that do not take the manifest are added
 * @throws BkpError('storeUnreachable' | 'failed') when fewer than `need` stores have it; then it is taken out of all again
 */
export async function commit(
  target: Target,
  ctx: TargetContext,
  manifest: Manifest,
  known: readonly Known[],
  failures: Failures,
): Promise<void> {
  const bytes = encodeManifest(manifest, ctx.keys.sign);
  decodeManifest(bytes, () => true, `the manifest of ${manifest.id}`);
  const tried = ctx.stores.filter(store => !failures.has(store));
  for (const store of tried) {
    try {
      await healChain(target, ctx, manifest, known, store);
      await refuseOrphaned(ctx, manifest, store);
      await putBytes(store, manifestKey(ctx.base, manifest.id), bytes, { ifAbsent: true, lasting: true });
    } catch (error) {
      failures.set(store, error);
    }
  }
  if (ctx.stores.length - failures.size >= ctx.need) return;
  await withdraw(ctx, manifest.id, tried, failures);
  const unfounded = tried.length >= ctx.need && tried.every(store => isUnfounded(failures.get(store)));
  throw new BkpError(
    unfounded ? 'failed' : 'storeUnreachable',
    `backup ${manifest.id} is in ${ctx.stores.length - failures.size} of ${ctx.need} needed store(s): ${[...failures].map(([store, error]) => `${store.name}: ${sentence(error)}`).join('; ')}`,
  );
}

/** The store is well; what the backup builds on is not in it. */
const isUnfounded = (error: unknown): boolean => error instanceof BkpError && ['failed', 'notFound', 'verifyFailed'].includes(error.exit);

/** Prune may have taken away what an increment builds on while it was taken. */
async function refuseOrphaned(ctx: TargetContext, { needs }: Manifest, store: Store): Promise<void> {
  for (const need of needs) {
    if (!('backup' in need) || (await store.stat(manifestKey(ctx.base, need.backup)))) continue;
    throw new BkpError('failed', `it does not hold backup ${need.backup}, on which this one builds`);
  }
}

/** Takes the manifest out again wherever this run may have put it; a conflict means that the one there is another run's. */
async function withdraw(ctx: TargetContext, id: string, tried: readonly Store[], failures: Failures): Promise<void> {
  for (const store of tried) {
    const error = failures.get(store);
    if (error instanceof BkpError && error.exit === 'conflict') continue;
    const key = manifestKey(ctx.base, id);
    const [result] = await store.remove([key]).catch(reason => [{ key, ok: false, reason: sentence(reason) }]);
    if (result && !result.ok)
      ctx.report.emit({ type: 'warning', text: `store ${store.name} keeps the manifest of the failed run: ${key}: ${result.reason}` });
  }
}

/** Pieces without a manifest are no backup; they are removed where the store lets us, and swept by prune where it does not. Never throws. */
export async function discard(ctx: TargetContext, pieces: Pieces): Promise<void> {
  // What makes a held piece exist goes first.
  const keys = pieces.flatMap(piece =>
    ('objects' in piece ? piece.objects : [...(piece.held.objects ?? [])].reverse()).map(({ key }) => key),
  );
  if (keys.length === 0) return;
  for (const store of ctx.stores) {
    const results = await store.remove(keys).catch(error => [{ key: keys[0] ?? '', ok: false, reason: sentence(error) }]);
    const failed = results.find(result => !result.ok);
    if (failed)
      ctx.report.emit({ type: 'warning', text: `store ${store.name} keeps pieces of the failed run: ${failed.key}: ${failed.reason}` });
  }
}
