import { Cron } from 'croner';
import { BkpError } from './errors.ts';

const MINUTE_MS = 60_000;

/**
 * The first run of a schedule later than `after`. Where clocks skip a time of day, its run comes as they have skipped it; where they show
 * it twice, a daily run comes once.
 * @param schedule five cron fields, or `@hourly` and the like
 * @param zone IANA name
 * @throws BkpError('usage') for a schedule that never comes, such as 30 February
 */
export function nextRun(schedule: string, zone: string, after: Date): Date {
  // Without a function croner starts no timer.
  const next = new Cron(schedule, { timezone: zone }).nextRun(after);
  if (next) return next;
  throw new BkpError('usage', `the schedule "${schedule}" has no run after ${after.toISOString()}`, {
    next: 'bkp config show prints the schedule of each target',
  });
}

export interface Due {
  /** When the next run after `last` was, or is, to begin. */
  due: Date;
  graceMs: number;
  late: boolean;
}

const within = (least: number, value: number, most: number): number => Math.min(Math.max(value, least), most);

/**
 * When the run after `last` was due, and whether it is late: not seen once a tenth of the interval that begins there is over, at least 5
 * minutes and at most 2 hours. So a daily run of 02:00 that never happened is late at 04:00, 26 h after the one before (MO06).
 * @param last when the newest good backup began. One that began shortly before its time, a tenth of an interval or a minute at most, is
 *   taken for the run of that time: the scheduler's clock is another one.
 */
export function dueAfter(schedule: string, zone: string, last: Date, now: Date): Due {
  const following = (at: Date): Date => nextRun(schedule, zone, at);
  const next = following(last);
  const interval = following(next).getTime() - next.getTime();
  const isIt = next.getTime() - last.getTime() <= Math.min(interval / 10, MINUTE_MS);
  const due = isIt ? following(next) : next;
  const graceMs = within(5 * MINUTE_MS, (following(due).getTime() - due.getTime()) / 10, 120 * MINUTE_MS);
  return { due, graceMs, late: now.getTime() >= due.getTime() + graceMs };
}
