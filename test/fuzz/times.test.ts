import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseDuration } from '../../src/core/duration.ts';
import { checkId, instantOf, makeId } from '../../src/core/id.ts';
import { checkKey } from '../../src/core/key.ts';
import { formatLsn, parseLsn } from '../../src/core/postgres/lsn.ts';
import { offsetAt, readTargetTime } from '../../src/core/time.ts';
import { RUNS, told } from './told.ts';

const NOW = new Date('2026-06-30T12:00:00Z');
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Pacific/Apia', 'Asia/Kolkata', 'Africa/Casablanca', 'Antarctica/Troll'];

const pad = (max: number): fc.Arbitrary<string> => fc.integer({ min: 0, max }).map(n => String(n).padStart(2, '0'));
const almost = fc
  .tuple(
    fc.oneof(
      fc.integer({ min: 0, max: 9999 }).map(n => String(n).padStart(4, '0')),
      fc.constantFrom('2024', '2026'),
    ),
    pad(13),
    pad(32),
    fc.constantFrom('T', ' ', '  ', 't'),
    pad(25),
    pad(61),
    pad(61),
    fc.constantFrom('', '.5', '.123456789', '.', '.1234567890'),
    fc.constantFrom('', 'Z', ' UTC', '+02', '-03:30', '+1400', '+14:59', '+99:00', '-00', '−02:00', 'CET'),
  )
  .map(
    ([year, month, day, gap, hour, minute, second, part, offset]) =>
      `${year}-${month}-${day}${gap}${hour}:${minute}:${second}${part}${offset}`,
  );

describe('a time to restore to', () => {
  it('is read as one instant of the past that its zone shows as it was written, or refused', () => {
    fc.assert(
      fc.property(fc.oneof(almost, fc.string({ maxLength: 30 })), fc.constantFrom(...ZONES), (text, zone) => {
        const outcome = told(() => readTargetTime(text, zone, NOW));
        if ('error' in outcome)
          return expect(outcome.error).toMatchObject({ exit: 'usage', next: [expect.stringContaining('2026-01-15')] });
        const { utc, exact, reading } = outcome.value;
        expect(utc.getTime()).toBeLessThanOrEqual(NOW.getTime());
        expect(exact).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00$/);
        expect(Date.parse(`${exact.slice(0, 23).replace(' ', 'T')}Z`)).toBe(utc.getTime());
        expect(reading).toContain(utc.toISOString());
        const written = /(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)/.exec(text)!;
        if (!/(Z|UTC|[+-]\d\d(:?\d\d)?)\s*$/.test(text.trim().slice(16)))
          expect(new Date(utc.getTime() + offsetAt(zone, utc.getTime())).toISOString().slice(0, 16)).toBe(`${written[1]}T${written[2]}`);
      }),
      { numRuns: RUNS * 5 },
    );
  });
});

describe('other words of the command line', () => {
  const text = fc.oneof(fc.string({ maxLength: 40 }), fc.stringMatching(/^[0-9A-Fa-f/]{1,12}$/), fc.stringMatching(/^\d{1,8}[a-z]{1,3}$/));

  it('an LSN comes back as it was written, or is refused', () => {
    fc.assert(
      fc.property(text, given => {
        const outcome = told(() => parseLsn(given));
        if ('value' in outcome) expect(parseLsn(formatLsn(outcome.value))).toBe(outcome.value);
      }),
      { numRuns: RUNS },
    );
  });

  it('a duration is a whole number of ms, or is refused', () => {
    fc.assert(
      fc.property(text, given => {
        const outcome = told(() => parseDuration(given));
        if ('value' in outcome) expect(Number.isSafeInteger(outcome.value) && outcome.value >= 0).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  it('an id and a key lead nowhere else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 60 }), fc.stringMatching(/^[a-z./]{1,20}$/)), given => {
        const key = told(() => checkKey(given));
        if ('value' in key) expect(new URL(`http://h/${key.value}`).pathname).toBe(`/${given}`);
        const id = told(() => checkId(given));
        if ('value' in id) expect(given).toMatch(/^[0-9TZa-f-]+$/);
      }),
      { numRuns: RUNS },
    );
  });

  it('an id tells its instant, whatever the clock said', () => {
    const instants = fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true });
    fc.assert(
      fc.property(instants, fc.uint8Array({ minLength: 3, maxLength: 3 }), (at, random) => {
        expect(instantOf(makeId(at, random))?.getTime()).toBe(Math.floor(at.getTime() / 1000) * 1000);
      }),
      { numRuns: RUNS },
    );
  });
});
