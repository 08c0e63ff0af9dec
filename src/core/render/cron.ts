import { Cron } from 'croner';
import { BkpError } from '../errors.ts';

/** One field of a schedule: the values at which it runs, in order; `any` = `*`, which matters for days. */
export interface Field {
  values: readonly number[];
  any: boolean;
}

/** A schedule as sets of values. Weekdays count from Sunday = 0. */
export interface Fields {
  minute: Field;
  hour: Field;
  day: Field;
  month: Field;
  weekday: Field;
}

const NICKNAMES: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
};

const MONTHS = ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** Name, least and greatest value, words for values. */
const BOUNDS = [
  ['minute', 0, 59, []],
  ['hour', 0, 23, []],
  ['day', 1, 31, []],
  ['month', 1, 12, MONTHS],
  ['weekday', 0, 7, DAYS],
] as const;

type Bounds = (typeof BOUNDS)[number];

const strange = (part: string): BkpError => new BkpError('usage', `"${part}" is known to bkp's own reading of schedules only`);

function numberOf(text: string, [, least, most, words]: Bounds): number {
  const named = (words as readonly string[]).indexOf(text.toLowerCase());
  const value = named >= 0 ? named : /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) throw strange(text);
  return value;
}

/** One part between commas. A number with a step and no end, `5/15`, is refused by the config already. */
function partOf(part: string, bounds: Bounds): number[] {
  const [, range, low, high, step] = /^(\*|\?|(\w+)(?:-(\w+))?)(?:\/(\d{1,2}))?$/.exec(part) ?? [];
  if (range === undefined) throw strange(part);
  const [from, to] =
    low === undefined ? [bounds[1], bounds[0] === 'weekday' ? 6 : bounds[2]] : [numberOf(low, bounds), numberOf(high ?? low, bounds)];
  const by = Number(step ?? 1);
  if (by < 1 || to < from || (step !== undefined && low !== undefined && high === undefined)) throw strange(part);
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, n) => from + n * by);
}

function fieldOf(text: string, bounds: Bounds): Field {
  const found = text.split(',').flatMap(part => partOf(part, bounds));
  const values = bounds[0] === 'weekday' ? found.map(value => value % 7) : found;
  return { values: [...new Set(values)].sort((a, b) => a - b), any: text === '*' || text === '?' };
}

/** The five fields of a schedule as text; a nickname such as `@daily` becomes what it stands for. */
export const plainFields = (schedule: string): string[] => (NICKNAMES[schedule] ?? schedule).trim().split(/\s+/);

/**
 * Reads a schedule.
 * @param schedule five cron fields, or `@hourly` and the like, as the config allows them
 * @throws BkpError('usage') for what other schedulers do not know: `L`, `W`, `#`, a sixth field
 */
export function readCron(schedule: string): Fields {
  const parts = plainFields(schedule);
  if (parts.length !== BOUNDS.length) throw strange(schedule);
  const [minute, hour, day, month, weekday] = BOUNDS.map((bounds, n) => fieldOf(parts[n]!, bounds)) as [Field, Field, Field, Field, Field];
  return { minute, hour, day, month, weekday };
}

/**
 * A schedule for a CronJob, which knows no weekday 7.
 * @param what for the sentence, such as `schedule of postgres/app`
 * @throws BkpError('usage') when it cannot be said, or never comes
 */
export function cronJobSchedule(schedule: string, what: string): string {
  const { weekday } = checked(schedule, what);
  const parts = plainFields(schedule);
  if (parts[4]!.includes('7')) parts[4] = weekday.values.length === 7 ? '*' : weekday.values.join(',');
  return parts.join(' ');
}

/** `readCron` with a sentence that says whose schedule it is. Throws BkpError('usage'). */
export function checked(schedule: string, what: string): Fields {
  try {
    const fields = readCron(schedule);
    if (new Cron(plainFields(schedule).join(' ')).nextRun() === null) throw new Error('it never comes');
    return fields;
  } catch (cause) {
    throw new BkpError('usage', `the ${what}, "${schedule}", cannot be rendered: ${(cause as Error).message}`, {
      next: 'five fields of numbers, names, * , - and /, such as "0 2 * * *"',
      cause,
    });
  }
}

/** Any instant will do as a beginning: schedules repeat. */
export const ANCHOR = new Date('2026-01-01T00:00:00Z');
const LOOKED_AT = 60;

/** The shortest time between two runs of a schedule, in ms, as the next sixty of them show it. */
export function shortestIntervalMs(schedule: string): number {
  const runs = new Cron(plainFields(schedule).join(' '), { timezone: 'UTC' }).nextRuns(LOOKED_AT, ANCHOR).map(run => run.getTime());
  return Math.min(...runs.slice(1).map((run, n) => run - runs[n]!));
}
