import { checked, type Field, type Fields } from '../cron.ts';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

const two = (value: number): string => String(value).padStart(2, '0');

/** Values in words of systemd: `*` for all that there are, ranges of three and more as `a..b`. */
function listed(values: readonly number[], all: number, word: (value: number) => string): string {
  if (values.length === all) return '*';
  const runs: number[][] = [];
  for (const value of values) {
    const run = runs.at(-1);
    if (run && value === run.at(-1)! + 1) run.push(value);
    else runs.push([value]);
  }
  return runs.map(run => (run.length > 2 ? `${word(run[0]!)}..${word(run.at(-1)!)}` : run.map(word).join(','))).join(',');
}

const weekdays = ({ values }: Field): string => (values.length === 7 ? '' : `${listed(values, 7, value => DAYS[value]!)} `);

const line = (fields: Fields, day: Field, weekday: Field, zone: string): string =>
  `${weekdays(weekday)}*-${listed(fields.month.values, 12, two)}-${listed(day.values, 31, two)} ${listed(fields.hour.values, 24, two)}:${listed(fields.minute.values, 60, two)}:00 ${zone}`;

const ANY = (count: number, first: number): Field => ({ values: Array.from({ length: count }, (_, n) => n + first), any: true });

/**
 * A schedule as values of `OnCalendar=`, of which a timer may have several (systemd.time(7)). Where cron has both a day and a weekday, one
 * of the two is enough; systemd wants both, so it gets two lines.
 * @param zone IANA name
 * @param what for the sentence, such as `schedule of postgres/app`
 * @throws BkpError('usage') for what cannot be said so
 */
export function onCalendar(schedule: string, zone: string, what: string): string[] {
  const fields = checked(schedule, what);
  const { day, weekday } = fields;
  if (day.any || weekday.any) return [line(fields, day, weekday, zone)];
  return [line(fields, day, ANY(7, 0), zone), line(fields, ANY(31, 1), weekday, zone)];
}
