import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BYTES, SECONDS, timeAxis, valueAxis } from '../../../src/report/evidence/plot/axis.ts';
import { thin } from '../../../src/report/evidence/plot/thin.ts';
import { formatSpan } from '../../../src/report/evidence/words.ts';

describe('an axis', () => {
  it('of values: 0 at the bottom, a greater value above a lesser one, all of it within', () => {
    const value = fc.double({ min: 0, max: 1e15, noNaN: true });
    fc.assert(
      fc.property(value, value, fc.constantFrom(SECONDS, BYTES), (a, b, units) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        const axis = valueAxis(more, units, [100, 0]);
        expect(axis.at(0)).toBe(100);
        expect(axis.at(less)).toBeGreaterThanOrEqual(axis.at(more));
        expect(axis.at(more)).toBeGreaterThanOrEqual(-1e-6);
        expect(axis.ticks[0]).toEqual({ at: 100, text: '0' });
        expect(axis.ticks.length).toBeGreaterThan(1);
        expect(axis.ticks.length).toBeLessThan(9);
      }),
    );
  });

  it.each([
    [SECONDS, 1700, '10 min'],
    [SECONDS, 90_000, '10 h'],
    [SECONDS, 100, '50 s'],
    [BYTES, 60 * 2 ** 30, '20 GiB'],
    [BYTES, 0, '1 B'],
  ] as const)('has round numbers of a unit that fits', (units, greatest, tick) => {
    expect(valueAxis(greatest, units, [100, 0]).ticks.map(({ text }) => text)).toContain(tick);
  });

  it('of time: no words run into one another, whatever the span', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: 0, max: 4e11 }), (first, span) => {
        const { ticks } = timeAxis(first, first + span, [0, 290]);
        for (const [n, { at }] of ticks.slice(1).entries()) expect(at - ticks[n]!.at).toBeGreaterThan(45);
        for (const { at } of ticks) expect(at >= 0 && at <= 290).toBe(true);
      }),
    );
  });

  it('of one instant has it in the middle', () => {
    expect(timeAxis(Date.UTC(2026, 10, 1), Date.UTC(2026, 10, 1), [0, 200])).toMatchObject({ ticks: [{ at: 100, text: '1 Nov' }] });
  });
});

describe('thinning', () => {
  const samples = fc
    .array(fc.record({ at: fc.integer({ min: 0, max: 1e6 }), value: fc.integer({ min: 0, max: 1000 }) }), { maxLength: 400 })
    .map(all => all.sort((a, b) => a.at - b.at));

  it('keeps first, last, least and greatest, in order, and few', () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 50 }), (all, stretches) => {
        const kept = thin(all, stretches);
        expect(kept.length).toBeLessThanOrEqual(Math.max(all.length > 2 * stretches ? 0 : all.length, 2 * stretches + 2));
        expect(all.filter(each => kept.includes(each))).toEqual(kept);
        expect([kept[0], kept.at(-1)]).toEqual([all[0], all.at(-1)]);
        const values = (of: typeof all) => of.map(({ value }) => value);
        if (all.length > 0) {
          expect(Math.min(...values(kept))).toBe(Math.min(...values(all)));
          expect(Math.max(...values(kept))).toBe(Math.max(...values(all)));
        }
      }),
    );
  });
});

it.each([
  [0, '0 s'],
  [0.34, '0.3 s'],
  [59.4, '59 s'],
  [59.6, '1 min'],
  [2472, '41 min 12 s'],
  [3599.7, '1 h'],
  [7140, '1 h 59 min'],
  [273_600, '3 d 4 h'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatSpan(seconds)).toBe(text);
});
