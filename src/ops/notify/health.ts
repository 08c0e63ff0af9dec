import type { StackContext, Store, TargetContext } from '../../core/contracts.ts';
import { joinKey } from '../../core/key.ts';
import type { NotifierStatus } from '../../core/status/types.ts';
import { lastRuns, type RunRecord, recordRun } from '../records/run.ts';
import type { Delivery } from './deliver.ts';

/** What stands for a notifier where a target would stand: its records lie below `runs/notify/<name>/`. */
export const NOTIFY = 'notify';

/** The part of a context that records need. */
export const notifierContext = (stack: StackContext, name: string): TargetContext =>
  ({ ...stack, kind: NOTIFY, name, base: joinKey(stack.base, NOTIFY, name) }) as unknown as TargetContext;

interface Fared {
  success?: RunRecord;
  failure?: RunRecord;
}

const timeOf = (run: RunRecord | undefined): number => (run ? Date.parse(run.finishedAt) : Number.NEGATIVE_INFINITY);
const newer = (a: RunRecord | undefined, b: RunRecord | undefined): RunRecord | undefined => (timeOf(b) > timeOf(a) ? b : a);

/** The newest that any store has; a store that does not answer has nothing to say here, and is told elsewhere. */
async function fared(ctx: TargetContext): Promise<Fared> {
  const ask = async (store: Store): Promise<Fared> => (await lastRuns(ctx, store, [NOTIFY]).catch(() => ({ [NOTIFY]: {} })))[NOTIFY] ?? {};
  const all = await Promise.all(ctx.stores.map(ask));
  const success = all.map(each => each.success).reduce(newer, undefined);
  const failure = all.map(each => each.failure).reduce(newer, undefined);
  return { ...(success ? { success } : {}), ...(failure ? { failure } : {}) };
}

/** Messages in a row that were not taken. */
const inARow = ({ success, failure }: Fared): number =>
  timeOf(failure) > timeOf(success) ? Number(failure?.details?.['failures'] ?? 1) : 0;

/**
 * Writes down, in every store of the environment, that a notifier failed, how often in a row, and that it works again. One that goes on
 * working leaves nothing. Never throws.
 * @param random at least three bytes
 */
export async function recordDelivery(stack: StackContext, delivery: Delivery, startedAt: Date, random: Uint8Array): Promise<void> {
  const ctx = notifierContext(stack, delivery.name);
  const before = inARow(await fared(ctx));
  if (delivery.ok && before === 0) return;
  const run: RunRecord = {
    version: 1,
    verb: NOTIFY,
    startedAt: startedAt.toISOString(),
    finishedAt: stack.clock.now().toISOString(),
    exit: delivery.ok ? 'done' : 'failed',
    ...(delivery.error ? { message: delivery.error } : {}),
    details: { failures: delivery.ok ? 0 : before + 1 },
  };
  await recordRun(ctx, stack.stores, run, random);
}

/** How each notifier last fared, by the stores. */
export const notifierStatus = (stack: StackContext, notifiers: readonly { name: string; type: string }[]): Promise<NotifierStatus[]> =>
  Promise.all(
    notifiers.map(async ({ name, type }): Promise<NotifierStatus> => {
      const known = await fared(notifierContext(stack, name));
      const failures = inARow(known);
      return {
        name,
        type,
        state: failures > 0 ? 'failing' : 'ok',
        failures,
        ...(known.failure ? { failureAt: known.failure.finishedAt } : {}),
        ...(failures > 0 ? { error: known.failure?.message ?? 'no reason is on record' } : {}),
      };
    }),
  );
