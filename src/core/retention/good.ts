import type { Candidate, Dated } from './types.ts';

/** Whether the start of a backup is known. */
export const isDated = (candidate: Candidate): candidate is Dated =>
  candidate.startedAt !== undefined && !Number.isNaN(candidate.startedAt.getTime());

const beganAt = (candidate: Candidate): number => (isDated(candidate) ? candidate.startedAt.getTime() : Number.NEGATIVE_INFINITY);

/** Oldest first, those of unknown time before all others; of one instant by id, so that no order of a listing shows. */
export function byAge(a: Candidate, b: Candidate): number {
  const [first, second] = [beganAt(a), beganAt(b)];
  if (first !== second) return first < second ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/**
 * Ids of what this store alone cannot restore: what is damaged or unreadable in it, and all that needs such a one, or one that is not
 * there, over however many others.
 */
export function brokenOf(candidates: readonly Candidate[]): ReadonlySet<string> {
  const children = new Map<string, string[]>(candidates.map(({ id }) => [id, []]));
  const broken = new Set(candidates.filter(({ state }) => state !== 'whole').map(({ id }) => id));
  for (const { id, needs } of candidates)
    for (const need of needs) {
      const siblings = children.get(need);
      if (siblings) siblings.push(id);
      else broken.add(id);
    }
  // What is added on the way is visited too.
  for (const id of broken) for (const child of children.get(id) ?? []) broken.add(child);
  return broken;
}

/** What rules count once its bytes are right: a trusted manifest, the usual size, a known start that is not in the future. Oldest first. */
export const countable = (candidates: readonly Candidate[], now: Date): Dated[] =>
  candidates
    .filter(isDated)
    .filter(({ state, anomalous, startedAt }) => state !== 'unreadable' && !anomalous && startedAt.getTime() <= now.getTime())
    .sort(byAge);

/** The good ones, oldest first: countable, and restorable from this store alone. */
export function goodOnes(candidates: readonly Candidate[], now: Date): Dated[] {
  const broken = brokenOf(candidates);
  return countable(candidates, now).filter(({ id }) => !broken.has(id));
}
