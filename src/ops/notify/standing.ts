import type { Store, TargetContext } from '../../core/contracts.ts';
import { isId } from '../../core/id.ts';
import { joinKey } from '../../core/key.ts';
import { listed } from '../records/entry.ts';
import { lastBefore, type RunRecord, recordRun } from '../records/run.ts';
import { endedWell } from '../records/runRecord.ts';

/** `20260115T020000`: ids of backups begin with it. */
const stamp = (instant: string): string => new Date(instant).toISOString().replace(/[-:]/g, '').slice(0, 15);

/** Whether another backup than `own` began in that store since a run failed: then the failure was over before. */
async function overBefore(ctx: TargetContext, store: Store, failure: RunRecord, own: string | undefined): Promise<boolean> {
  const root = `${joinKey(ctx.base, 'backups')}/`;
  const ids = (await listed(store, root))
    .filter(({ key }) => key.endsWith('/manifest.json'))
    .map(({ key }) => key.slice(root.length).split('/')[0]!);
  return ids.some(id => isId(id) && id !== own && id.slice(0, 15) > stamp(failure.finishedAt));
}

/** The newest record of a verb from before an instant, in any store that answers, when it is a failure. */
export async function lastFailure(ctx: TargetContext, verb: RunRecord['verb'], before: Date): Promise<RunRecord | undefined> {
  const found = await Promise.all(ctx.stores.map(store => lastBefore(ctx, store, verb, before).catch(() => undefined)));
  return found.flatMap(each => (each && !endedWell(each) ? [each] : [])).sort((a, b) => b.finishedAt.localeCompare(a.finishedAt))[0];
}

/**
 * Whether a good run is a recovery: the one before it failed. Good backups leave no record, since they are one themselves, so that one is
 * written where a failure would else go on being the newest record.
 * @param before when the run began
 * @param own id of the backup that the run took
 * @param random at least three bytes
 */
export async function isRecovery(
  ctx: TargetContext,
  verb: RunRecord['verb'],
  before: Date,
  own: string | undefined,
  random: Uint8Array,
): Promise<boolean> {
  const failure = await lastFailure(ctx, verb, before);
  if (!failure) return false;
  if (verb !== 'backup') return true;
  const over = await Promise.all(ctx.stores.map(store => overBefore(ctx, store, failure, own).catch(() => false)));
  await recordRecovery(ctx, verb, before, random);
  return !over.includes(true);
}

/** Writes down that a verb goes well again, so that the next good run is no recovery. Never throws. */
export const recordRecovery = (ctx: TargetContext, verb: RunRecord['verb'], startedAt: Date, random: Uint8Array): Promise<void> =>
  recordRun(
    ctx,
    ctx.stores,
    { version: 1, verb, startedAt: startedAt.toISOString(), finishedAt: ctx.clock.now().toISOString(), exit: 'done' },
    random,
  );
