import { TZDate } from '@date-fns/tz';
import { DURATION, parseDuration } from '../../core/duration.ts';
import { BkpError } from '../../core/errors.ts';

const DAY = /^(\d{4})-(\d{2})-(\d{2})$/;
const INSTANT = /^(\d{4})-(\d{2})-(\d{2})[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/;

/** The last instant that ISO 8601 writes with four digits of a year. */
const LAST = Date.UTC(9999, 11, 31);

const bad = (text: string, why: string): BkpError =>
  new BkpError('usage', `--until "${text}" ${why}`, {
    next: 'write a day (2027-01-01), an instant (2027-01-01T12:00:00Z), or a duration from now (90d)',
  });

const isDay = ([, year, month, day]: RegExpExecArray): boolean => {
  const at = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return at.getUTCMonth() === Number(month) - 1 && at.getUTCDate() === Number(day);
};

function read(text: string, zone: string, now: Date): number {
  if (DURATION.test(text)) return now.getTime() + parseDuration(text);
  const day = DAY.exec(text);
  const instant = INSTANT.exec(text);
  const match = day ?? instant;
  if (!match) throw bad(text, 'is no day, no instant with its offset from UTC, and no duration');
  if (!isDay(match)) throw bad(text, 'is no day of the calendar');
  return day ? new TZDate(Number(day[1]), Number(day[2]) - 1, Number(day[3]), zone).getTime() : Date.parse(text.replace(' ', 'T'));
}

/**
 * Reads how long something is held: a day (from its first instant in `zone` on it is held no longer), an instant with `Z` or an offset,
 * or a duration from now.
 * @throws BkpError('usage') for anything else, and for what does not lie in the future
 */
export function readUntil(text: string, zone: string, now: Date): Date {
  const at = read(text.trim(), zone, now);
  if (at <= now.getTime()) throw bad(text, 'does not lie in the future');
  if (at > LAST) throw bad(text, 'lies too far ahead; without --until it is held until it is released');
  return new Date(at);
}
