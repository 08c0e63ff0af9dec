import { randomBytes } from 'node:crypto';
import type { Clock, Facts, Manifest, TargetContext } from '../../src/core/contracts.ts';
import { systemClock } from '../../src/system/clock.ts';
import { chunks, fakeTarget, type Rig } from './rig.ts';

const DAY = 86_400_000;

/** A daily schedule whose last slot was twelve to thirteen hours ago, at whatever hour a test runs. */
export const DAILY = `0 ${(new Date().getUTCHours() + 12) % 24} * * *`;

/** A clock that stands a number of days before now. */
export const daysAgo = (days: number): Clock => ({ ...systemClock, now: () => new Date(Date.now() - days * DAY) });

/** Takes one backup, of random bytes, as it was so many days ago. */
export async function aged(
  r: Rig,
  days: number,
  options: { bytes?: number; facts?: Partial<Facts>; ctx?: Partial<TargetContext> } = {},
): Promise<Manifest> {
  const clock = daysAgo(days);
  const target = fakeTarget(() => ({ data: chunks(randomBytes(options.bytes ?? 2000)) }), { at: clock.now(), ...options.facts });
  return (await r.backup(target, { clock, ...options.ctx })).manifest;
}
