import type { DrillResult, Evidence } from '../../../core/evidence.ts';
import { type Markup, markup } from '../markup.ts';
import { RESULT } from '../words.ts';

/** Months shown at most, the newest ones. */
const MONTHS = 24;

const CELL = 17;
const HEAD = 28;

const WORST: readonly DrillResult[] = ['passed', 'unproven', 'failed'];
const WEEKDAYS = ['Mo', 'Tu', 'We', 'Th', 'Fr', 'Sa', 'Su'];
const NAME = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', month: 'long', year: 'numeric' });

export const dayOf = (instant: string): string => new Date(instant).toISOString().slice(0, 10);

/** Drills by the day in UTC on which they began. */
function byDay(drills: readonly Evidence[]): Map<string, Evidence[]> {
  const days = new Map<string, Evidence[]>();
  for (const drill of drills) days.set(dayOf(drill.startedAt), [...(days.get(dayOf(drill.startedAt)) ?? []), drill]);
  return days;
}

const worstOf = (drills: readonly Evidence[]): DrillResult =>
  drills.reduce<DrillResult>((worst, { result }) => (WORST.indexOf(result) > WORST.indexOf(worst) ? result : worst), 'passed');

/** Begin of each month from that of `first` to that of `last`, as counts of months since year 0. */
function monthsBetween(first: Date, last: Date): number[] {
  const count = (at: Date): number => at.getUTCFullYear() * 12 + at.getUTCMonth();
  const from = Math.max(count(first), count(last) - MONTHS + 1);
  return Array.from({ length: Math.max(0, count(last) - from + 1) }, (_, n) => from + n);
}

function cell(day: number, column: number, row: number, drills: readonly Evidence[], date: string): Markup {
  const x = column * CELL;
  const y = HEAD + row * CELL;
  const state = drills.length > 0 ? worstOf(drills) : 'none';
  const words = drills.map(({ scope, result }) => `${scope} ${RESULT[result].word}`).join(', ');
  return markup`<g class="day ${state}"><title>${date}: ${words || 'no drill'}</title><rect x="${x + 1}" y="${y + 1}" width="${CELL - 2}" height="${CELL - 2}" rx="3"/><text x="${x + CELL / 2}" y="${y + 12}" text-anchor="middle">${
    state === 'none' ? day : RESULT[state].sign
  }</text></g>`;
}

function month(count: number, days: ReadonlyMap<string, readonly Evidence[]>): Markup {
  const first = new Date(Date.UTC(Math.floor(count / 12), count % 12, 1));
  const length = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
  const offset = (first.getUTCDay() + 6) % 7;
  const name = NAME.format(first);
  const cells = Array.from({ length }, (_, n) => {
    const date = dayOf(new Date(first.getTime() + n * 86_400_000).toISOString());
    return cell(n + 1, (n + offset) % 7, Math.floor((n + offset) / 7), days.get(date) ?? [], date);
  });
  const inMonth = [...days].filter(([date]) => date.startsWith(dayOf(first.toISOString()).slice(0, 7))).flatMap(([, drills]) => drills);
  return markup`<svg class="month" viewBox="0 0 ${7 * CELL} ${HEAD + 6 * CELL}" role="img" aria-label="${name}: ${inMonth.length} drills"><text class="name" x="1" y="11">${name}</text>${WEEKDAYS.map(
    (word, n) => markup`<text class="weekday" x="${(n + 0.5) * CELL}" y="24" text-anchor="middle" aria-hidden="true">${word}</text>`,
  )}${cells}</svg>
`;
}

/** A month beside the other, each day with what was drilled on it, up to the month of `at`; the newest two years. */
export function calendar(drills: readonly Evidence[], at: string): Markup {
  const first = drills[0]?.startedAt ?? at;
  const last = new Date(Math.max(Date.parse(at), Date.parse(drills.at(-1)?.startedAt ?? at)));
  const days = byDay(drills);
  return markup`<div class="calendar">${monthsBetween(new Date(first), last).map(count => month(count, days))}</div>`;
}
