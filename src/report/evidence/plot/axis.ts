import { scaleLinear, scaleUtc } from 'd3-scale';

/** An axis of a plot: from a value to a place, and the lines that are drawn with their words. */
export interface Axis {
  at(value: number): number;
  ticks: readonly { at: number; text: string }[];
}

const TICKS_X = 4;
const TICKS_Y = 3;

/** A greatest value below this part of a unit is drawn as if it were that. */
const LEAST = 0.001;

const DAY = 86_400_000;

/** Units of seconds and of bytes; the largest of which the greatest value has two or more is the axis's. */
export const SECONDS: readonly [number, string][] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
];
export const BYTES: readonly [number, string][] = [
  [2 ** 40, 'TiB'],
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
  [1, 'B'],
];

/**
 * Values from 0 up to a greatest one, in round numbers of a unit.
 * @param range places of 0 and of the top, e.g. `[bottom, top]`
 */
export function valueAxis(greatest: number, units: readonly [number, string][], range: readonly [number, number]): Axis {
  const [size, unit] = units.find(([each]) => greatest >= 2 * each) ?? units.at(-1)!;
  const scale = scaleLinear([0, greatest > 0 ? Math.max(greatest / size, LEAST) : 1], range).nice(TICKS_Y);
  return {
    at: value => scale(value / size),
    ticks: scale.ticks(TICKS_Y).map(tick => ({ at: scale(tick), text: tick === 0 ? '0' : `${tick} ${unit}` })),
  };
}

const part = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options });
const MONTHS = part({ month: 'short', year: 'numeric' });
const DAYS = part({ day: 'numeric', month: 'short' });
const HOURS = part({ hour: '2-digit', minute: '2-digit' });

/** Room that the words of a tick need, in units of the plot. */
const ROOM = 62;

/** Every tick, or every second, third … one, so that no words run into one another. */
function apart(ticks: Axis['ticks']): Axis['ticks'] {
  const [first, second] = ticks;
  const every = first && second ? Math.ceil(ROOM / (second.at - first.at)) : 1;
  return ticks.filter((_, n) => n % every === 0);
}

/** Instants (ms) from a first to a last one, in UTC. One instant alone stands in the middle. */
export function timeAxis(first: number, last: number, range: readonly [number, number]): Axis {
  const only = first === last;
  const scale = scaleUtc(only ? [first - DAY, last + DAY] : [first, last], range);
  const span = last - first;
  const format = span > 90 * DAY ? MONTHS : only || span > 3 * DAY ? DAYS : HOURS;
  const ticks = (only ? [new Date(first)] : scale.ticks(TICKS_X)).map(tick => ({ at: scale(tick), text: format.format(tick) }));
  return { at: value => scale(value), ticks: apart(ticks) };
}
