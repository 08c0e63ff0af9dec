import { formatAge } from './age.ts';
import { dueAfter } from './due.ts';
import { goodOnes, isDated } from './retention/good.ts';
import type { Candidate, Dated, Decision } from './retention/types.ts';
import { SKEW_MS } from './time.ts';

export interface HaltInput {
  decisions: readonly Decision[];
  candidates: readonly Candidate[];
  /** Cron, in `zone`. */
  schedule: string;
  zone: string;
  /** By this host's clock. */
  now: Date;
  /** The store's clock at the same time, read from something just written. */
  storeNow?: Date;
  /** The newest backup run that failed: when it began, and why. */
  lastFailure?: { at: Date; message?: string };
  /** Most of the whole copies that may go, in percent. */
  sharePercent: number;
  /** Lifts the limit of `sharePercent`, nothing else. */
  force: boolean;
}

function clockHalts({ candidates, now, storeNow }: HaltInput): string[] {
  const apart = storeNow ? Math.abs(storeNow.getTime() - now.getTime()) : 0;
  const ahead = candidates.find(({ startedAt, endedAt }) =>
    [startedAt, endedAt].some(at => at !== undefined && at.getTime() > now.getTime() + SKEW_MS),
  );
  return [
    ...(apart > SKEW_MS ? [`the clocks of this host (${now.toISOString()}) and of the store (${storeNow!.toISOString()}) differ`] : []),
    ...(ahead ? [`${ahead.id} lies in the future of this host's clock (${now.toISOString()}): a clock jumped`] : []),
  ];
}

function staleHalts({ schedule, zone, now }: HaltInput, newest: Dated): string[] {
  const { due, late } = dueAfter(schedule, zone, newest.startedAt, now);
  if (!late) return [];
  return [
    `the newest good backup, ${newest.id}, began ${formatAge(newest.startedAt, now)}, and the one due ${due.toISOString()} is not there`,
  ];
}

/** What went wrong after the newest good backup; without one, whenever. */
function failureHalts({ candidates, lastFailure }: HaltInput, newest: Dated | undefined): string[] {
  const since = newest?.startedAt.getTime() ?? Number.NEGATIVE_INFINITY;
  const anomaly = candidates.filter(isDated).find(({ anomalous, startedAt }) => anomalous && startedAt.getTime() > since);
  const failed = lastFailure && lastFailure.at.getTime() > since ? lastFailure : undefined;
  return [
    ...(anomaly
      ? [
          `${anomaly.id} is an anomaly, sharply smaller than those before it or of another history than the log, and no good backup came after it`,
        ]
      : []),
    ...(failed ? [`the backup run of ${failed.at.toISOString()} failed${failed.message ? `: ${failed.message}` : ''}`] : []),
  ];
}

function shareHalts({ candidates, decisions, sharePercent, force }: HaltInput): string[] {
  const kept = new Set(decisions.filter(({ keep }) => keep).map(({ id }) => id));
  const whole = candidates.filter(({ state }) => state === 'whole');
  const going = whole.filter(({ id }) => !kept.has(id)).length;
  if (force || going * 100 <= whole.length * sharePercent) return [];
  return [`${going} of ${whole.length} whole backups would go, more than the ${sharePercent} % of pruneShare; --force lets them go`];
}

/**
 * Why prune must not remove anything from a store now, a sentence each; none = go on. `force` lifts only the limit on the share.
 * @throws BkpError('usage') for a schedule that never comes
 */
export function haltsOf(input: HaltInput): string[] {
  const newest = goodOnes(input.candidates, input.now).at(-1);
  return [
    ...(newest ? staleHalts(input, newest) : ['there is no good backup: none is whole, of the usual size and complete with what it needs']),
    ...failureHalts(input, newest),
    ...clockHalts(input),
    ...shareHalts(input),
  ];
}
