import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readCron } from '../../../src/core/render/cron.ts';
import { onCalendar } from '../../../src/core/render/systemd/calendar.ts';
import { schedules } from './schedules.ts';

it.each([
  ['0 2 * * *', ['*-*-* 02:00:00 UTC']],
  ['@weekly', ['Sun *-*-* 00:00:00 UTC']],
  ['*/20 * * * *', ['*-*-* *:00,20,40:00 UTC']],
  ['0 9-17 * * 1-5', ['Mon..Fri *-*-* 09..17:00:00 UTC']],
  ['30 3 1,15 1-6 *', ['*-01..06-01,15 03:30:00 UTC']],
  ['0 0 * * 7', ['Sun *-*-* 00:00:00 UTC']],
  ['0 0 1 * 1', ['*-*-01 00:00:00 UTC', 'Mon *-*-* 00:00:00 UTC']],
])('%s is %j', (schedule, wanted) => {
  expect(onCalendar(schedule, 'UTC', 'schedule')).toEqual(wanted);
});

it('names the zone of the config', () => {
  expect(onCalendar('0 2 * * *', 'Europe/Berlin', 'schedule')).toEqual(['*-*-* 02:00:00 Europe/Berlin']);
});

it.each(['0 0 L * *', '0 0 * * 1#1', '0 0 30 2 *'])('%s is refused in a sentence', schedule => {
  expect(() => onCalendar(schedule, 'UTC', 'schedule of backup postgres/app')).toThrow(
    /^the schedule of backup postgres\/app, ".*", cannot be rendered/,
  );
});

/** Values of a list of systemd, such as `01..03,07`. */
const valuesOf = (text: string, all: number[]): number[] =>
  text === '*'
    ? all
    : text.split(',').flatMap(part => {
        const [from, to = from] = part.split('..').map(Number) as [number, number?];
        return Array.from({ length: to! - from + 1 }, (_, n) => from + n);
      });
const range = (low: number, high: number): number[] => Array.from({ length: high - low + 1 }, (_, n) => low + n);

it('says every value of the schedule and no other, by one line or by two', () => {
  fc.assert(
    fc.property(schedules, schedule => {
      const fields = readCron(schedule);
      const lines = onCalendar(schedule, 'UTC', 'schedule');
      expect(lines).toHaveLength(fields.day.any || fields.weekday.any ? 1 : 2);
      for (const line of lines) {
        const [, month, day, hour, minute] = /\*-(\S+)-(\S+) (\S+):(\S+):00 UTC$/.exec(line)!;
        expect(valuesOf(month!, range(1, 12))).toEqual(fields.month.values);
        expect(valuesOf(hour!, range(0, 23))).toEqual(fields.hour.values);
        expect(valuesOf(minute!, range(0, 59))).toEqual(fields.minute.values);
        expect([fields.day.values, range(1, 31)]).toContainEqual(valuesOf(day!, range(1, 31)));
      }
    }),
  );
});
