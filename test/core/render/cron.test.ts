import { describe, expect, it } from '@jest/globals';
import { Cron } from 'croner';
import fc from 'fast-check';
import { cronJobSchedule, type Fields, readCron, shortestIntervalMs } from '../../../src/core/render/cron.ts';
import { schedules } from './schedules.ts';

/** Whether a schedule runs in a minute, by what was read of it: cron's rule for days is one of both, unless one is `*`. */
function runsAt({ minute, hour, day, month, weekday }: Fields, at: Date): boolean {
  const days = [day.values.includes(at.getUTCDate()), weekday.values.includes(at.getUTCDay())] as const;
  return (
    minute.values.includes(at.getUTCMinutes()) &&
    hour.values.includes(at.getUTCHours()) &&
    month.values.includes(at.getUTCMonth() + 1) &&
    (day.any || weekday.any ? days[0] && days[1] : days[0] || days[1])
  );
}

describe('a schedule', () => {
  it('is read as bkp itself reads it', () => {
    fc.assert(
      fc.property(
        schedules,
        fc.date({ min: new Date('2026-01-01'), max: new Date('2027-12-31'), noInvalidDate: true }),
        (schedule, about) => {
          const fields = readCron(schedule);
          const runs = new Cron(schedule, { timezone: 'UTC' }).nextRuns(3, about);
          expect(runs.map(run => runsAt(fields, run))).toEqual(runs.map(() => true));
          // And not in the minutes around that croner leaves out.
          for (let ms = 60_000; ms < 30 * 60_000; ms += 60_000) {
            const at = new Date(Math.floor(about.getTime() / 60_000) * 60_000 + ms);
            expect(runsAt(fields, at)).toBe(new Cron(schedule, { timezone: 'UTC' }).match(at));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    ['@daily', '0 0 * * *'],
    ['0 3 * * 7', '0 3 * * 0'],
    ['0 3 * * 5-7', '0 3 * * 0,5,6'],
    ['0 3 * * 0-7', '0 3 * * *'],
    ['0 3 * JAN-mar mon', '0 3 * JAN-mar mon'],
  ])('%s is %s for a CronJob, which knows no weekday 7', (schedule, wanted) => {
    expect(cronJobSchedule(schedule, 'schedule')).toBe(wanted);
  });

  it.each(['0 0 L * *', '0 0 1W * *', '0 0 * * 5#2', '0 0 30 2 *', '0 0 0 2 * *', '61 * * * *', 'soon'])(
    '%s is refused in a sentence',
    schedule => {
      expect(() => cronJobSchedule(schedule, 'schedule of prune postgres/app')).toThrow(
        expect.objectContaining({
          exit: 'usage',
          message: expect.stringContaining(`the schedule of prune postgres/app, "${schedule}", cannot be rendered`),
        }),
      );
    },
  );

  it.each([
    ['*/10 * * * *', 10],
    ['0 2 * * *', 1440],
    ['0 0,1 * * *', 60],
  ])('%s comes every %d minutes at the shortest', (schedule, minutes) => {
    expect(shortestIntervalMs(schedule)).toBe(minutes * 60_000);
  });
});
