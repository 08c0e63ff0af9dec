import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseDuration } from '../../src/core/duration.ts';

const UNITS = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 } as const;

describe('parseDuration', () => {
  test('a count and a unit is that many milliseconds', () => {
    const unit = fc.constantFrom(...(Object.keys(UNITS) as (keyof typeof UNITS)[]));
    fc.assert(fc.property(fc.nat(100_000), unit, (n, u) => expect(parseDuration(`${n}${u}`)).toBe(n * UNITS[u])));
  });

  test('any other text is refused or comes from that pattern', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        if (!/^\d{1,9}(ms|s|m|h|d|w)$/.test(text)) expect(() => parseDuration(text)).toThrow('is no duration');
      }),
    );
  });

  test.each(['', '15', 'm', '-1m', '1.5h', '15 m', '15M', '1h30m', '15m\n'])('%j is refused', text => {
    expect(() => parseDuration(text)).toThrow(expect.objectContaining({ exit: 'usage' }));
  });
});
