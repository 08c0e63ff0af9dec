import { spread } from './spread.ts';

const DAY_MS = 86_400_000;

/**
 * Whether something belongs to the sample of a day. Every name falls into one of `100 / percent` groups, and each day takes the next
 * group, so that a daily run has seen everything after as many days.
 * @param percent above 0, 100 at most
 * @param at instant of the run
 */
export function inSample(name: string, percent: number, at: Date): boolean {
  const groups = Math.max(1, Math.round(100 / percent));
  return spread(name) % groups === Math.floor(at.getTime() / DAY_MS) % groups;
}
