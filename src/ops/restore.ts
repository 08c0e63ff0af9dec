import type { Bytes, PieceRef, Reached, RestoreRequest, Store, Target, TargetContext } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { openPiece } from '../flow/open.ts';
import { catalog } from './catalog.ts';
import { gathered } from './gathered.ts';
import { pinning } from './records/pin.ts';

/**
 * Brings one target back. The stores of `ctx` are the only ones asked, so `--from` is a shorter list. From the first byte on, prune
 * leaves the backup alone.
 * @param random at least eight bytes
 * @returns undefined after a dry run
 * @throws BkpError with 'refused' | 'notFound' | 'storeUnreachable' before anything changes
 */
export async function restoreTarget(
  target: Target,
  ctx: TargetContext,
  request: RestoreRequest,
  random: Uint8Array,
): Promise<Reached | undefined> {
  const { known, problems } = await catalog(ctx.stores, ctx.base, ctx.keys);
  for (const { store, key, error } of gathered(problems))
    ctx.report.emit({ type: 'warning', text: `store ${store}${key ? `, ${key}` : ''}: ${error}` });
  const asked = request.want.backup;
  if (asked && asked !== 'latest' && !known.some(({ manifest }) => manifest.id === asked)) {
    throw new BkpError('notFound', `${ctx.kind}/${ctx.name} has no backup ${asked} in ${ctx.stores.map(store => store.name).join(', ')}`, {
      next: [`bkp list ${ctx.kind} ${ctx.name}`, ...gathered(problems).map(({ store, error }) => `store ${store} has a problem: ${error}`)],
    });
  }
  const pins = pinning(ctx, 'restore', random);
  async function* read(piece: PieceRef, from: readonly Store[]): Bytes {
    const of = known.find(({ manifest }) => manifest.pieces.some(each => each === piece));
    if (of) await pins.begin(of.manifest.id);
    yield* openPiece(piece, of?.manifest.line ?? [], from, { ...ctx, recipients: of?.manifest.recipients ?? [] });
  }
  try {
    return await target.restore(ctx, request, known, read, id => pins.begin(id));
  } finally {
    await pins.end();
  }
}
