import { formatDuration } from '../age.ts';
import { isDated } from './good.ts';
import type { Candidate, Why } from './types.ts';

const YOUNG_MS = 3 * 86_400_000;

function ageReason(ms: number): string[] {
  if (ms < 0) return ['starts in the future: a clock is wrong'];
  return ms < YOUNG_MS ? [`younger than ${formatDuration(YOUNG_MS)}`] : [];
}

function reasonsOf(candidate: Candidate, now: Date): string[] {
  return [
    ...candidate.guards,
    ...(candidate.state === 'unreadable' ? ['unreadable, and what is not known is never removed'] : []),
    ...(isDated(candidate)
      ? ageReason(now.getTime() - candidate.startedAt.getTime())
      : ['of unknown time, and what is not known is never removed']),
  ];
}

/** Why backups stay whatever the policy says: guarded, unreadable, of unknown or future time, or younger than 3 days. */
export const outrightOf = (candidates: readonly Candidate[], now: Date): Why =>
  candidates.flatMap(each => reasonsOf(each, now).map(why => [each.id, why] as const));

/**
 * Why anomalies stay: those sharply smaller than usual may be all that was left of the source, so they go with the good ones around them.
 * @param oldest when the oldest good one that a rule keeps began; undefined = there is none
 */
export function anomaliesOf(candidates: readonly Candidate[], oldest: Date | undefined): Why {
  const since = oldest?.getTime() ?? Number.NEGATIVE_INFINITY;
  const why = oldest ? 'an anomaly, younger than the oldest good one that a rule keeps' : 'an anomaly, and no good one is there';
  return candidates
    .filter(isDated)
    .filter(({ anomalous, startedAt }) => anomalous && startedAt.getTime() >= since)
    .map(({ id }) => [id, why]);
}
