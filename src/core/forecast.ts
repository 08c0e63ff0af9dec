import type { Evidence } from './evidence.ts';
import { type Member, wavesOf } from './waves.ts';

/** How long parts took to come back when they were last drilled with success, by `kind/name`, seconds. */
export function lastRto(drills: readonly Pick<Evidence, 'targets'>[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const { targets } of drills)
    for (const { kind, name, rtoSeconds } of targets) if (rtoSeconds !== undefined) found.set(`${kind}/${name}`, rtoSeconds);
  return found;
}

/**
 * How long the stack takes by its own drills: of each wave the slowest part, one wave after the other.
 * @returns seconds; `unknown` = parts that were never drilled, which are not in it
 */
export function forecastOf(parts: readonly Member[], rto: ReadonlyMap<string, number>): { seconds: number; unknown: string[] } {
  const named = ({ kind, name }: Member): string => `${kind}/${name}`;
  const waves = wavesOf(parts).waves.map(wave => Math.max(0, ...wave.map(part => rto.get(named(part)) ?? 0)));
  return { seconds: waves.reduce((a, b) => a + b, 0), unknown: parts.map(named).filter(name => !rto.has(name)) };
}
