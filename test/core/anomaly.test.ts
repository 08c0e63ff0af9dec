import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anomalyOf, median, plainBytes } from '../../src/core/anomaly.ts';
import type { Manifest } from '../../src/core/contracts.ts';

const GB = 1_000_000_000;

/** What is looked at of a manifest, over two pieces and one that another tool holds. */
const sized = (bytes: number, more: Partial<Manifest> = {}): Manifest =>
  ({
    pieces: [
      { name: 'base', bytes: Math.floor(bytes / 2) },
      { name: 'held', held: { by: 'wal-g', id: 'x' } },
      { name: 'rest', bytes: Math.ceil(bytes / 2) },
    ],
    ...more,
  }) as unknown as Manifest;

const sizes = (...all: number[]): Manifest[] => all.map(bytes => sized(bytes));

describe('anomalyOf', () => {
  it('MO09: 7 GB, 7 GB, 1 KB: the third is one, and both sizes are said', () => {
    expect(anomalyOf(1000, sizes(7 * GB, 7 * GB), 50)).toBe(
      'it has 1000 B, less than 50 % of the 6.5 GiB that is usual (median of the last 2)',
    );
    expect(anomalyOf(1000, sizes(7 * GB), 50)).toBe('it has 1000 B, less than 50 % of the 6.5 GiB of the one before it');
  });

  it('MO09: an anomaly is not what is usual, however often it comes', () => {
    const shrunk = Array.from({ length: 9 }, () => sized(1000, { anomaly: 'it has 1000 bytes' }));
    expect(anomalyOf(1000, [...sizes(7 * GB, 7 * GB), ...shrunk], 50)).toContain('6.5 GiB');
  });

  it('compares the data alone where the target says how much that is', () => {
    const manifest = sized(9 * GB, { contentBytes: GB });
    expect(plainBytes(manifest)).toBe(GB);
    expect(anomalyOf(GB, [manifest, manifest], 50)).toBeUndefined();
  });

  it('MO08: nothing at all is one', () => {
    expect(anomalyOf(0, sizes(7), 1)).toBeDefined();
  });

  it('gives no verdict without an earlier one, nor at 0 percent', () => {
    expect(anomalyOf(0, [], 50)).toBeUndefined();
    expect(anomalyOf(0, [sized(7 * GB, { anomaly: 'x' })], 50)).toBeUndefined();
    expect(anomalyOf(0, sizes(7 * GB, 7 * GB), 0)).toBeUndefined();
  });

  it('begins at the last one whose size was accepted, with it', () => {
    const earlier = [...sizes(9 * GB, 9 * GB), sized(GB, { sizeAccepted: true }), sized(GB)];
    expect(anomalyOf(0.6 * GB, earlier, 50)).toBeUndefined();
    expect(anomalyOf(0.4 * GB, earlier, 50)).toContain('954 MiB that is usual (median of the last 2)');
    const twice = [sized(9 * GB, { sizeAccepted: true }), ...sizes(9 * GB), sized(GB, { sizeAccepted: true })];
    expect(anomalyOf(0.6 * GB, twice, 50)).toBeUndefined();
  });

  it('compares with the median of the last five: one that was large or small does not say what is usual', () => {
    expect(anomalyOf(4, sizes(1000, 1000, 1000, 10, 10, 10, 1000, 1), 50)).toContain('of the 10 B that');
    expect(anomalyOf(6, sizes(1000, 1000, 1000, 10, 10, 10, 1000, 1), 50)).toBeUndefined();
  });

  it('is one just below the share and none at it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 10 * GB }), fc.integer({ min: 1, max: 100 }), (usual, percent) => {
        const least = Math.ceil((usual * percent) / 100);
        expect(anomalyOf(least, sizes(usual, usual, usual), percent)).toBeUndefined();
        expect(anomalyOf(least - 1, sizes(usual, usual, usual), percent)).toBeDefined();
      }),
    );
  });
});

it('plainBytes sums what was streamed', () => {
  expect(plainBytes(sized(1001))).toBe(1001);
});

it('median is the middle, or the mean of two', () => {
  expect([[], [3], [9, 1], [9, 1, 3], [10, 9, 1, 3]].map(median)).toEqual([undefined, 3, 5, 3, 6]);
});
