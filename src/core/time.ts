import { BkpError } from './errors.ts';

/** Clocks that differ by less are called the same. */
export const SKEW_MS = 5 * 60_000;

const TEXT = /^(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?\s*(Z|[+-]\d{2}(?::?\d{2})?|UTC)?$/;

/** A target time as it was understood. */
export interface TargetTime {
  utc: Date;
  /** The same to the microsecond, as PostgreSQL reads it: `2026-01-15 14:30:00.123456+00`. */
  exact: string;
  /** How it was read, for the person to check. */
  reading: string;
}

const bad = (text: string, why: string): BkpError =>
  new BkpError('usage', `"${text}" is no time to restore to: ${why}`, {
    next: 'write it like "2026-01-15 14:30:00" or 2026-01-15T14:30:00Z',
  });

const formats = new Map<string, Intl.DateTimeFormat>();

/** Making a format costs a hundred times what using it does. */
function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(zone, format);
  return format;
}

/** Offset of `zone`, an IANA name, at an instant, milliseconds east of UTC. Throws a RangeError for a zone that is none. */
export function offsetAt(zone: string, at: number): number {
  const parts = formatOf(zone).formatToParts(at);
  const part = (type: string) => Number(parts.find(each => each.type === type)?.value);
  return (
    Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second')) - Math.floor(at / 1000) * 1000
  );
}

/** Every instant that a wall clock in `zone` shows as `wall` (a UTC count of the wall's fields): none in a gap, two when clocks go back. */
function instantsOf(wall: number, zone: string): number[] {
  const offsets = new Set([offsetAt(zone, wall - 86_400_000), offsetAt(zone, wall), offsetAt(zone, wall + 86_400_000)]);
  return [...offsets].map(offset => wall - offset).filter(at => at + offsetAt(zone, at) === wall);
}

/** Milliseconds east of UTC; undefined for what no place on Earth has. psql leaves the minutes out where there are none. */
function offsetOf(text: string): number | undefined {
  if (text === 'Z' || text === 'UTC') return 0;
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})?$/.exec(text)!;
  if (Number(hours) > 14 || Number(minutes ?? 0) > 59) return undefined;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes ?? 0)) * 60_000;
}

/**
 * Reads `--target-time`. With an offset it is an instant; without one it is a wall clock in `zone`.
 * @throws BkpError('usage') for no time, a day that is none, a local time that does not exist or exists twice, or the future
 */
export function readTargetTime(text: string, zone: string, now: Date): TargetTime {
  const match = TEXT.exec(text.trim());
  if (!match) throw bad(text, 'it is not a date and a time of day');
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(part => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const wall = Date.UTC(year, month - 1, day, hour, minute, second) + Math.floor(Number(match[7] ?? 0) * 1000);
  const back = new Date(wall);
  if (
    back.getUTCFullYear() !== year ||
    back.getUTCMonth() !== month - 1 ||
    back.getUTCDate() !== day ||
    hour > 23 ||
    minute > 59 ||
    second > 59
  )
    throw bad(text, 'there is no such day or time of day');
  const offset = match[8] ? offsetOf(match[8]) : 0;
  if (offset === undefined) throw bad(text, 'there is no such offset from UTC');
  const utc = new Date(match[8] ? wall - offset : single(instantsOf(wall, zone), text, zone));
  if (utc.getTime() > now.getTime()) throw bad(text, `${utc.toISOString()} lies in the future`);
  const reading = match[8] ? `${text} is ${utc.toISOString()}` : `${text} read in ${zone} is ${utc.toISOString()}`;
  const micros = (match[7] ?? '.').slice(1).padEnd(6, '0').slice(0, 6);
  return { utc, exact: `${utc.toISOString().slice(0, 19).replace('T', ' ')}.${micros}+00`, reading };
}

function single(instants: readonly number[], text: string, zone: string): number {
  const [only, second] = instants;
  if (only === undefined) throw bad(text, `clocks in ${zone} skipped it; give it with an offset`);
  if (second === undefined) return only;
  throw bad(
    text,
    `clocks in ${zone} showed it twice, as ${instants.map(at => new Date(at).toISOString()).join(' and ')}; give one of these`,
  );
}
