import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { dueAfter, nextRun } from '../../src/core/due.ts';

const BERLIN = 'Europe/Berlin';
const DAILY = '0 2 * * *';
const HOUR_MS = 3_600_000;

const hoursAfter = (text: string, hours: number): Date => new Date(Date.parse(text) + hours * HOUR_MS);
const next = (schedule: string, zone: string, after: string): string => nextRun(schedule, zone, new Date(after)).toISOString();

describe('nextRun', () => {
  test.each([
    [DAILY, 'UTC', '2026-01-15T01:59:59.999Z', '2026-01-15T02:00:00.000Z'],
    [DAILY, 'UTC', '2026-01-15T02:00:00.000Z', '2026-01-16T02:00:00.000Z'],
    [DAILY, BERLIN, '2026-01-15T12:00:00Z', '2026-01-16T01:00:00.000Z'],
    [DAILY, BERLIN, '2026-07-15T12:00:00Z', '2026-07-16T00:00:00.000Z'],
    ['@monthly', 'Asia/Kolkata', '2026-01-15T12:00:00Z', '2026-01-31T18:30:00.000Z'],
    ['*/10 * * * *', 'UTC', '2026-01-15T02:00:01Z', '2026-01-15T02:10:00.000Z'],
    ['0 2 29 2 *', 'UTC', '2026-01-15T02:00:01Z', '2028-02-29T02:00:00.000Z'],
  ])('RT01: %s in %s, after %s, is %s', (schedule, zone, after, expected) => {
    expect(next(schedule, zone, after)).toBe(expected);
  });

  it('RT01: a time of day that clocks skip or show twice has one run on that day', () => {
    const runs = (from: string, count: number): string[] => {
      const found = [nextRun('30 2 * * *', BERLIN, new Date(from))];
      while (found.length < count) found.push(nextRun('30 2 * * *', BERLIN, found.at(-1)!));
      return found.map(run => run.toISOString().slice(0, 16));
    };
    expect(runs('2026-03-28T12:00Z', 2)).toEqual(['2026-03-29T01:00', '2026-03-30T00:30']);
    expect(runs('2026-10-24T12:00Z', 2)).toEqual(['2026-10-25T00:30', '2026-10-26T01:30']);
  });

  it('always lies later, and never more than a period away', () => {
    const schedules = { '*/10 * * * *': 1, '0 * * * *': 3, [DAILY]: 26, '30 2 * * *': 26, '0 4 * * 0': 24 * 7 + 2 };
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.entries(schedules)),
        fc.constantFrom('UTC', BERLIN, 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe'),
        fc.oneof(
          fc.integer({ min: Date.parse('2024-01-01'), max: Date.parse('2028-01-01') }),
          fc
            .constantFrom('2025-10-26', '2026-03-29', '2025-11-02', '2026-04-05')
            .chain(day => fc.integer({ min: -24, max: 24 }).map(halfHours => Date.parse(day) + halfHours * 1_800_000)),
        ),
        ([schedule, hours], zone, after) => {
          const wait = nextRun(schedule, zone, new Date(after)).getTime() - after;
          expect(wait).toBeGreaterThan(0);
          expect(wait).toBeLessThanOrEqual(hours * HOUR_MS);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('refuses a schedule that never comes', () => {
    expect(() => next('0 0 30 2 *', 'UTC', '2026-01-15T02:00Z')).toThrow(
      expect.objectContaining({ exit: 'usage', message: expect.stringContaining('"0 0 30 2 *" has no run after 2026-01-15') }),
    );
  });
});

describe('dueAfter', () => {
  const LAST = '2026-01-15T02:00:00Z';

  it('MO06: a daily run that never happened is late 26 h after the one before, and not a moment earlier', () => {
    const { due, graceMs, late } = dueAfter(DAILY, 'UTC', new Date(LAST), hoursAfter(LAST, 26));
    expect([due.toISOString(), graceMs, late]).toEqual(['2026-01-16T02:00:00.000Z', 2 * HOUR_MS, true]);
    expect(dueAfter(DAILY, 'UTC', new Date(LAST), new Date(hoursAfter(LAST, 26).getTime() - 1)).late).toBe(false);
  });

  it('MO06: is late on the days of 23 and 25 hours too, by the clock of the zone', () => {
    for (const [last, due] of [
      ['2026-03-28T01:00Z', '2026-03-29T01:00:00.000Z'],
      ['2026-10-25T00:00Z', '2026-10-26T01:00:00.000Z'],
    ] as const) {
      expect(dueAfter(DAILY, BERLIN, new Date(last), hoursAfter(due, 1.99))).toMatchObject({ due: new Date(due), late: false });
      expect(dueAfter(DAILY, BERLIN, new Date(last), hoursAfter(due, 2.01)).late).toBe(true);
    }
  });

  test.each([
    ['*/10 * * * *', 5 / 60],
    ['0 * * * *', 0.1],
    ['0 */12 * * *', 1.2],
    ['0 4 * * 0', 2],
  ])('grace of %s is %f h: a tenth of its interval, at least 5 minutes and at most 2 hours', (schedule, hours) => {
    expect(dueAfter(schedule, 'UTC', new Date(LAST), hoursAfter(LAST, 1)).graceMs).toBeCloseTo(hours * HOUR_MS);
  });

  it('looks at the interval that begins there: after a run on Friday the weekend is no delay', () => {
    const friday = new Date('2026-01-16T02:00:05Z');
    expect(dueAfter('0 2 * * 1-5', 'UTC', friday, new Date('2026-01-19T03:59Z'))).toMatchObject({
      due: new Date('2026-01-19T02:00Z'),
      late: false,
    });
  });

  it('takes what began seconds early for the run of that time, and what began minutes early for another', () => {
    const now = new Date('2026-01-15T12:00Z');
    expect(dueAfter(DAILY, 'UTC', new Date('2026-01-15T01:59:30Z'), now)).toMatchObject({
      due: new Date('2026-01-16T02:00Z'),
      late: false,
    });
    expect(dueAfter(DAILY, 'UTC', new Date('2026-01-15T01:50:00Z'), now)).toMatchObject({ due: new Date(LAST), late: true });
  });
});
