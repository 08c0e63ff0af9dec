import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatAge, formatBytes, formatDuration, formatInstant } from '../../src/report/format.ts';

const KIB = 1024;

describe('bytes', () => {
  test.each([
    [0, '0 B'],
    [1, '1 B'],
    [1023, '1023 B'],
    [KIB, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [100 * KIB, '100 KiB'],
    [KIB ** 2, '1.0 MiB'],
    [123_456_789, '118 MiB'],
    [1.25 * KIB ** 3, '1.3 GiB'],
    [KIB ** 4, '1.0 TiB'],
    [5000 * KIB ** 4, '5000 TiB'],
  ])('%d is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test('never reach a whole unit above: just under 1 MiB is not "1024 KiB"', () => {
    for (const unit of [KIB ** 2, KIB ** 3, KIB ** 4]) expect(formatBytes(unit - 1)).not.toContain('1024');
    fc.assert(fc.property(fc.integer({ min: 0, max: KIB ** 4 }), bytes => Number.parseFloat(formatBytes(bytes)) < KIB));
  });

  test('more bytes never read as fewer', () => {
    const value = (text: string) => Number.parseFloat(text) * KIB ** ['B', 'KiB', 'MiB', 'GiB', 'TiB'].indexOf(text.split(' ')[1]!);
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), fc.nat(2 ** 31 - 1), (a, b) => {
        const [less, more] = a < b ? [a, b] : [b, a];
        expect(value(formatBytes(more))).toBeGreaterThanOrEqual(value(formatBytes(less)));
      }),
    );
  });
});

describe('durations and ages', () => {
  test.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [999.7, '1 s'],
    [1000, '1 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [3_599_999, '59 min'],
    [3_600_000, '1 h'],
    [86_399_999, '23 h'],
    [86_400_000, '1 d'],
    [400 * 86_400_000, '400 d'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test('an age says in which direction', () => {
    const now = new Date('2026-01-15T02:00:00Z');
    expect(formatAge(new Date('2026-01-14T23:00:00Z'), now)).toBe('3 h ago');
    expect(formatAge(new Date('2026-01-15T02:05:00Z'), now)).toBe('in 5 min');
    expect(formatAge(now, now)).toBe('0 ms ago');
  });

  test('an instant is in UTC, to the second', () => {
    expect(formatInstant(new Date('2026-01-15T02:00:00.999Z'))).toBe('2026-01-15 02:00:00Z');
    expect(formatInstant(new Date('2026-01-15T02:00:00+05:00'))).toBe('2026-01-14 21:00:00Z');
  });
});
