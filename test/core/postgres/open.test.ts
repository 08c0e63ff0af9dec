import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseHistory } from '../../../src/core/postgres/history.ts';
import { holesOf } from '../../../src/core/postgres/holes.ts';
import { segmentName, segmentStart } from '../../../src/core/postgres/lsn.ts';
import { type Archive, type Base, reachOf } from '../../../src/core/postgres/plan.ts';
import { windowsOf } from '../../../src/core/postgres/windows.ts';

const SIZE = 16 * 1024 * 1024;
const at = (number: number, offset = 0): bigint => segmentStart(number, SIZE) + BigInt(offset);
const name = (number: number, timeline = 1): string => segmentName({ timeline, number }, SIZE);
const base = (first: number, last = first, offset = 256): Base => ({
  id: `b${first}`,
  endedAt: new Date(Date.UTC(2026, 0, 1, 0, last)),
  timeline: 1,
  from: at(first, 40),
  to: at(last, offset),
  segmentBytes: SIZE,
});
const archive = (whole: readonly number[], open: readonly [string, number][] = [], histories: [number, string][] = []): Archive => ({
  segments: new Set(whole.map(number => name(number))),
  open: new Map(open),
  histories: new Map(histories.map(([of, text]) => [of, parseHistory(text)])),
});
const SWITCH = '1\t0/5001000\tno recovery target specified';

describe('a segment that is there in chunks', () => {
  it('is the end of what can be replayed, up to its last byte', () => {
    const reach = reachOf(base(2), archive([2, 3], [[name(4), 4096]]));
    expect(reach).toMatchObject({ end: at(4, 4096), segments: [name(2), name(3), name(4)] });
    expect(reach.hole).toBeUndefined();
  });

  it('goes on from a base that ends inside it, and adds nothing where the base has more of it', () => {
    expect(reachOf(base(2), archive([], [[name(2), 4096]])).end).toBe(at(2, 4096));
    expect(reachOf(base(2), archive([], [[name(2), 128]])).end).toBe(at(2, 256));
    expect(reachOf(base(2), archive([], [[name(3), 128]])).end).toBe(at(2, 256));
  });

  it('is a hole from its last byte on where later WAL is there, whole or not', () => {
    for (const later of [
      archive([2, 3, 5], [[name(4), 4096]]),
      archive(
        [2, 3],
        [
          [name(4), 4096],
          [name(5), 8],
        ],
      ),
    ]) {
      expect(reachOf(base(2), later)).toMatchObject({ end: at(4, 4096), hole: name(4) });
      expect(holesOf([base(2)], later)).toMatchObject([{ first: name(4), last: name(4), from: at(4, 4096), breaks: [{ id: 'b2' }] }]);
    }
  });

  it('with bytes behind a hole is a hole from where it is torn, also where its first byte is gone', () => {
    const torn = (end: number): Archive => ({
      ...archive([2, 3], end > 0 ? [[name(4), end]] : []),
      torn: new Map([[name(4), 9000]]),
    });
    for (const end of [4096, 0]) {
      expect(reachOf(base(2), torn(end))).toMatchObject({ end: at(4, end), hole: name(4) });
      expect(holesOf([base(2)], torn(end))).toMatchObject([{ first: name(4), last: name(4), from: at(4, end), breaks: [{ id: 'b2' }] }]);
    }
    expect(holesOf([base(2)], { ...archive([]), torn: new Map([[name(3), 9000]]) })).toMatchObject([{ first: name(3), last: name(3) }]);
    // What a base has inside does not miss them.
    expect(reachOf(base(2, 4, 9000), torn(4096)).hole).toBeUndefined();
  });

  it('is as good as whole with every byte', () => {
    const all = archive([2, 4], [[name(3), SIZE]]);
    expect(reachOf(base(2), all)).toMatchObject({ end: at(5), segments: [name(2), name(3), name(4)] });
    expect(holesOf([base(2)], all)).toEqual([]);
  });

  it('belongs to the window that it ends, which stays open', () => {
    const { windows } = windowsOf([base(2), base(3)], archive([2, 3], [[name(4), 4096]]));
    expect(windows).toMatchObject([{ end: at(4, 4096), open: true, gaps: [], segments: [name(2), name(3), name(4)] }]);
  });

  it('is none of a timeline that was left: it counts up to the switch', () => {
    const left = archive([2, 3, 4], [[name(5), 65536]], [[2, SWITCH]]);
    expect(reachOf(base(2), left)).toMatchObject({ timeline: 2, end: at(5, 0x1000), segments: [name(2), name(3), name(4), name(5)] });
    const begun = archive(
      [2, 3, 4],
      [
        [name(5), 65536],
        [name(5, 2), 8192],
      ],
      [[2, SWITCH]],
    );
    expect(reachOf(base(2), begun)).toMatchObject({ end: at(5, 8192), segments: [name(2), name(3), name(4), name(5, 2)] });
  });

  it('never makes the end come sooner', () => {
    const whole = fc.uniqueArray(fc.integer({ min: 1, max: 9 }));
    const open = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: SIZE })), { maxLength: 4 });
    fc.assert(
      fc.property(whole, open, (numbers, pairs) => {
        const without = reachOf(base(2), archive(numbers));
        const reach = reachOf(
          base(2),
          archive(
            numbers,
            pairs.map(([number, bytes]) => [name(number), bytes]),
          ),
        );
        expect(reach.end >= without.end).toBe(true);
      }),
    );
  });
});
