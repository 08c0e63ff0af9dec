import type { PieceRef, Reached, RestoreRequest, Store, Target, TargetContext } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { openPiece } from '../flow/open.ts';
import { catalog } from './catalog.ts';

/**
 * Brings one target back. The stores of `ctx` are the only ones asked, so `--from` is a shorter list.
 * @returns undefined after a dry run
 * @throws BkpError with 'refused' | 'notFound' | 'storeUnreachable' before anything changes
 */
export async function restoreTarget(target: Target, ctx: TargetContext, request: RestoreRequest): Promise<Reached | undefined> {
  const { known, problems } = await catalog(ctx.stores, ctx.base, ctx.keys);
  for (const { store, key, error } of problems)
    ctx.report.emit({ type: 'warning', text: `store ${store}${key ? `, ${key}` : ''}: ${error}` });
  const asked = request.want.backup;
  if (asked && asked !== 'latest' && !known.some(({ manifest }) => manifest.id === asked)) {
    throw new BkpError('notFound', `${ctx.kind}/${ctx.name} has no backup ${asked} in ${ctx.stores.map(store => store.name).join(', ')}`, {
      next: [`bkp list ${ctx.kind} ${ctx.name}`, ...problems.map(({ store, error }) => `store ${store} has a problem: ${error}`)],
    });
  }
  const read = (piece: PieceRef, from: readonly Store[]) => {
    const of = known.find(({ manifest }) => manifest.pieces.some(each => each === piece));
    return openPiece(piece, of?.manifest.line ?? [], from, { ...ctx, recipients: of?.manifest.recipients ?? [] });
  };
  return target.restore(ctx, request, known, read);
}
