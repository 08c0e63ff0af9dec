import type { TargetContext } from '../../core/contracts.ts';
import { isRed } from '../../core/notify/select.ts';
import type { Outcome } from '../../core/notify/types.ts';
import { type RunRecord, recordRun } from '../records/run.ts';
import { lastFailure } from './standing.ts';

/** A red state that was told: of what kind it is, and to whom it was told when (ISO 8601 UTC). */
export interface Known {
  state: string;
  told: Readonly<Record<string, string>>;
}

/** What `bkp status` has told of a target and is not over; undefined when there is nothing. */
export async function knownRed(ctx: TargetContext, before: Date): Promise<Known | undefined> {
  const record = await lastFailure(ctx, 'status', before);
  if (!record) return undefined;
  const { state, told } = record.details ?? {};
  return { state: String(state), told: (told ?? {}) as Known['told'] };
}

/** Whether a notifier was told the same state so short a time ago that it is spared. */
export function isSpared(known: Known | undefined, outcome: Outcome, notifier: { name: string; repeatMs: number }, now: Date): boolean {
  const at = isRed(outcome) && known?.state === outcome.state ? known?.told[notifier.name] : undefined;
  return at !== undefined && now.getTime() - Date.parse(at) < notifier.repeatMs;
}

/**
 * Writes down whom a red state was told to. Never throws.
 * @param names notifiers that took the message
 */
export async function recordTold(
  ctx: TargetContext,
  outcome: Outcome,
  names: readonly string[],
  before: Known | undefined,
  startedAt: Date,
  random: Uint8Array,
): Promise<void> {
  const at = ctx.clock.now().toISOString();
  const kept = before?.state === outcome.state ? before?.told : {};
  const told = { ...kept, ...Object.fromEntries(names.map(name => [name, at])) };
  const run: RunRecord = {
    version: 1,
    verb: 'status',
    startedAt: startedAt.toISOString(),
    finishedAt: at,
    exit: 'unhealthy',
    ...(outcome.message ? { message: outcome.message } : {}),
    details: { state: outcome.state, told },
  };
  await recordRun(ctx, ctx.stores, run, random);
}
