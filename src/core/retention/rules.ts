import { formatDuration } from '../age.ts';
import { PERIODS, type Period, type Wall } from './periods.ts';
import type { Dated, Frame, Policy, Why } from './types.ts';

type Clock = (at: Date) => Wall;

/** The earliest of each of the newest `count` periods that hold one: what comes later in a period never changes who stays for it. */
function keepersOf(pool: readonly Dated[], period: Period, count: number, weekStart: Frame['weekStart'], clock: Clock): Why {
  const { key, name } = PERIODS[period];
  const first = new Map<number, Dated>();
  for (const each of pool) {
    const bucket = key(clock(each.startedAt), weekStart);
    if (!first.has(bucket)) first.set(bucket, each);
  }
  return [...first.values()].slice(-count).map(({ id, startedAt }) => [id, `${period}: ${name(clock(startedAt), weekStart)}`]);
}

function withinOf(pool: readonly Dated[], within: number, now: Date): Why {
  const since = now.getTime() - within;
  return pool.filter(({ startedAt }) => startedAt.getTime() > since).map(({ id }) => [id, `within ${formatDuration(within)}`]);
}

/**
 * Why the rules keep what they keep of `pool`. Counts are of periods that hold something, so no clock alone empties them; and the newest
 * stays whatever the counts are.
 * @param pool oldest first
 * @param clock what clocks in the zone of the frame show
 */
export function rulesOf(pool: readonly Dated[], policy: Policy, { now, weekStart }: Frame, clock: Clock): Why {
  const { last = 0, within } = policy;
  const on = (Object.keys(PERIODS) as Period[]).filter(period => (policy[period] ?? 0) > 0);
  return [
    ...pool.slice(-1).map(({ id }) => [id, 'the newest good one'] as const),
    ...(last > 0 ? pool.slice(-last).map(({ id }) => [id, `last ${last}`] as const) : []),
    ...(within === undefined ? [] : withinOf(pool, within, now)),
    ...on.flatMap(period => keepersOf(pool, period, policy[period]!, weekStart, clock)),
  ];
}
