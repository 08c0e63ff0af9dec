import { makeId } from '../../../src/core/id.ts';
import { type Candidate, type Decision, decide, type Frame, type Policy } from '../../../src/core/retention.ts';

export const NOW = new Date('2026-06-30T12:00:00Z');
export const DAY_MS = 86_400_000;
export const FRAME: Frame = { now: NOW, zone: 'UTC', weekStart: 'sunday', logUntil: new Map() };

/** The id of a backup that began at an instant; `n` tells two of one second apart. */
export const idAt = (at: Date | string, n = 0): string => makeId(new Date(at), Uint8Array.of(0, n >> 8, n & 255));

/** A good backup that began at an instant and took a minute, changed by `more`. */
export const at = (when: Date | string, more: Partial<Candidate> = {}): Candidate => {
  const startedAt = new Date(when);
  const endedAt = new Date(startedAt.getTime() + 60_000);
  return { id: idAt(startedAt), startedAt, endedAt, state: 'whole', anomalous: false, needs: [], guards: [], ...more };
};

export const daysAgo = (days: number, now = NOW): Date => new Date(now.getTime() - days * DAY_MS);

/** One good backup every night at 02:00 UTC, the newest of them tonight's. */
export const nights = (count: number, more: Partial<Candidate> = {}): Candidate[] =>
  Array.from({ length: count }, (_, n) => at(new Date(Date.parse('2026-06-30T02:00:00Z') - (count - 1 - n) * DAY_MS), more));

export const keptOf = (decisions: readonly Decision[]): string[] => decisions.filter(({ keep }) => keep).map(({ id }) => id);

/** Instants, or ids where the time is unknown, of what stays. */
export const staying = (candidates: readonly Candidate[], policy: Policy, frame: Partial<Frame> = {}): string[] => {
  const kept = new Set(keptOf(decide(candidates, policy, { ...FRAME, ...frame })));
  return candidates.filter(({ id }) => kept.has(id)).map(({ id, startedAt }) => startedAt?.toISOString().slice(0, 16) ?? id);
};

/** The reasons given for one backup, as one text. */
export const whyOf = (id: string, candidates: readonly Candidate[], policy: Policy, frame: Partial<Frame> = {}): string =>
  decide(candidates, policy, { ...FRAME, ...frame })
    .find(decision => decision.id === id)!
    .reasons.join('; ');
