import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { assemble, coveredTo, knownTo, needed, type Part, parseRange, rangeName } from '../../../src/core/postgres/chunks.ts';

const SIZE = 256;

const range = fc
  .tuple(fc.integer({ min: 0, max: SIZE - 1 }), fc.integer({ min: 1, max: 64 }))
  .map(([from, length]) => ({ from, to: Math.min(SIZE, from + length) }));
const ranges = fc.array(range, { maxLength: 20 });
const content = Buffer.from(Array.from({ length: SIZE }, (_, n) => (n * 7 + 1) % 251));
const part = ({ from, to }: { from: number; to: number }): Part => ({ from, to, bytes: content.subarray(from, to) });

/** Byte by byte: what the first byte on without a hole is. */
const slowly = (all: readonly { from: number; to: number }[]): number => {
  const there = Array.from({ length: SIZE + 1 }, (_, n) => all.some(({ from, to }) => from <= n && n < to));
  return there.indexOf(false);
};

describe('chunks of a segment', () => {
  it('cover up to the first byte that none of them has', () => {
    fc.assert(fc.property(ranges, all => expect(coveredTo(all)).toBe(slowly(all))));
  });

  it('are all that is needed when those are left out that others hold', () => {
    fc.assert(
      fc.property(ranges, all => {
        const few = needed(all);
        expect(coveredTo(few)).toBe(coveredTo(all));
        for (const one of few) expect(coveredTo(few.filter(other => other !== one))).toBeLessThan(coveredTo(all));
      }),
    );
  });

  it('make the beginning of the segment in any order and with any overlap, and zeros behind it', () => {
    fc.assert(
      fc.property(ranges, all => {
        const end = coveredTo(all);
        const whole = assemble(all.map(part), end, SIZE);
        expect(whole).toHaveLength(SIZE);
        expect(whole!.subarray(0, end).equals(content.subarray(0, end))).toBe(true);
        expect(whole!.subarray(end).every(byte => byte === 0)).toBe(true);
      }),
    );
  });

  it('make nothing with a hole, with two contents for one place, or beyond the segment', () => {
    expect(assemble([part({ from: 0, to: 10 }), part({ from: 11, to: 32 })], 32, SIZE)).toBeUndefined();
    const other = { from: 5, to: 20, bytes: Buffer.alloc(15, 9) };
    expect(assemble([part({ from: 0, to: 10 }), other], 20, SIZE)).toBeUndefined();
    expect(assemble([{ from: 0, to: SIZE + 1, bytes: Buffer.alloc(SIZE + 1) }], 8, SIZE)).toBeUndefined();
  });

  it('are cut where less is asked for: what lies behind a switch of timelines is of no use', () => {
    const whole = assemble([part({ from: 0, to: 64 })], 40, SIZE)!;
    expect(whole.subarray(0, 40).equals(content.subarray(0, 40))).toBe(true);
    expect(whole.subarray(40).every(byte => byte === 0)).toBe(true);
  });

  it('are known up to where the next record could begin: the last bytes of one may be zero', () => {
    expect(knownTo([{ from: 0, to: 41 }])).toBe(48);
    expect(knownTo([{ from: 0, to: 48 }])).toBe(48);
    expect(knownTo([{ from: 1, to: 48 }])).toBe(0);
    expect(assemble([part({ from: 0, to: 41 })], 48, SIZE)).toBeDefined();
  });

  it('are named by their places, and nothing else is taken for such a name', () => {
    fc.assert(fc.property(range, each => expect(parseRange(rangeName(each))).toEqual(each)));
    for (const text of ['00000000-00000000', '00000010-00000001', '0-1', '00000000-0000000g', '']) expect(parseRange(text)).toBeUndefined();
  });
});
