import type { Known, Target, TargetContext } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';

/** An upload that was begun so long ago belongs to a run that is dead: no run lasts that long without a newer block. */
const STALE_MS = 24 * 3_600_000;

/** Uploads of our own earlier runs that were killed: they show in no listing and are paid for. Only a warning when it cannot be done. */
export async function sweep(ctx: TargetContext): Promise<void> {
  const before = new Date(ctx.clock.now().getTime() - STALE_MS);
  for (const store of ctx.stores) {
    const swept = await (store.sweep?.(`${ctx.base}/`, before) ?? Promise.resolve([])).catch(error => [
      { key: ctx.base, ok: false, reason: sentence(error) },
    ]);
    const failed = swept.find(({ ok }) => !ok);
    if (failed) ctx.report.emit({ type: 'warning', text: `store ${store.name} keeps a dead upload: ${failed.key}: ${failed.reason}` });
    else if (swept.length > 0)
      ctx.report.emit({ type: 'note', text: `store ${store.name}: ${swept.length} dead upload(s) of earlier runs were removed` });
  }
}

/** The backup is there whatever comes of this, so what fails is a warning. */
export async function healLog(
  target: Target,
  ctx: TargetContext,
  lineage: string,
  kept: { known: readonly Known[]; cutoff?: Date },
): Promise<void> {
  try {
    const copied = (await target.healLog?.(ctx, lineage, kept)) ?? 0;
    if (copied > 0) ctx.report.emit({ type: 'note', text: `${copied} file(s) of the log were missing in a store and are there now` });
  } catch (error) {
    ctx.report.emit({ type: 'warning', text: `the log could not be compared between the stores: ${sentence(error)}` });
  }
}
