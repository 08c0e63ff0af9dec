import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseHistory, pathTo } from '../../../src/core/postgres/history.ts';
import { formatLsn, parseLsn, parseSegment, segmentAt, segmentName, segmentStart } from '../../../src/core/postgres/lsn.ts';
import { type Archive, type Base, baseForLsn, baseForTime, newestBase, onward, reachOf } from '../../../src/core/postgres/plan.ts';

const SIZE = 16 * 1024 * 1024;
const at = (number: number, offset = 0): bigint => segmentStart(number, SIZE) + BigInt(offset);
const base = (over: Partial<Base> = {}): Base => ({
  id: 'b',
  endedAt: new Date('2026-01-01T02:00:00Z'),
  timeline: 1,
  from: at(2, 40),
  to: at(2, 256),
  segmentBytes: SIZE,
  ...over,
});
const names = (timeline: number, numbers: readonly number[]): string[] => numbers.map(number => segmentName({ timeline, number }, SIZE));
const archive = (segments: readonly string[], histories: [number, string][] = []): Archive => ({
  segments: new Set(segments),
  histories: new Map(histories.map(([timeline, text]) => [timeline, parseHistory(text)])),
});

describe('LSNs and segment names', () => {
  it('are read back as they were written, for every segment size', () => {
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 63n),
        fc.integer({ min: 0, max: 10 }),
        fc.integer({ min: 1, max: 0xffff }),
        (lsn, power, timeline) => {
          const size = 2 ** power * 1024 * 1024;
          const number = segmentAt(lsn, size);
          expect(parseLsn(formatLsn(lsn))).toBe(lsn);
          expect(parseSegment(segmentName({ timeline, number }, size), size)).toEqual({ timeline, number });
          expect(segmentStart(number, size) <= lsn && lsn < segmentStart(number + 1, size)).toBe(true);
        },
      ),
    );
  });

  it('follow PostgreSQL over the end of a log file', () => {
    expect(segmentName({ timeline: 1, number: 255 }, SIZE)).toBe('0000000100000000000000FF');
    expect(segmentName({ timeline: 1, number: 256 }, SIZE)).toBe('000000010000000100000000');
  });

  it('names the text that is no LSN', () => {
    expect(() => parseLsn('12')).toThrow('"12" is no LSN');
  });
});

describe('reach of a base', () => {
  it('ends with the base where nothing is archived', () => {
    expect(reachOf(base(), archive([]))).toMatchObject({ end: at(2, 256), segments: names(1, [2]), timeline: 1 });
  });

  it('goes to the end of the last segment in a row', () => {
    expect(reachOf(base(), archive(names(1, [2, 3, 4]))).end).toBe(at(5));
  });

  it('stops at a hole and names it', () => {
    const reach = reachOf(base(), archive(names(1, [2, 3, 5, 6])));
    expect(reach.end).toBe(at(4));
    expect(reach.hole).toBe(names(1, [4])[0]);
  });

  it('does not call old WAL behind the end a hole', () => {
    expect(reachOf(base(), archive(names(1, [0, 1, 2, 3]))).hole).toBeUndefined();
  });

  it('follows a failover onto the new timeline', () => {
    const reach = reachOf(
      base(),
      archive([...names(1, [2, 3]), ...names(2, [4, 5])], [[2, `1\t${formatLsn(at(4, 100))}\tno recovery target specified\n`]]),
    );
    expect(reach.timeline).toBe(2);
    expect(reach.segments).toEqual([...names(1, [2, 3]), ...names(2, [4, 5])]);
  });

  it('stays on its own timeline when another one left before the base', () => {
    const reach = reachOf(base(), archive([...names(1, [2, 3]), ...names(2, [1, 2])], [[2, `1\t${formatLsn(at(1, 100))}\tbefore\n`]]));
    expect(reach.timeline).toBe(1);
    expect(reach.segments).toEqual(names(1, [2, 3]));
  });

  it('never reaches over a missing segment, whatever is archived', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 30 })), numbers => {
        const reach = reachOf(base(), archive(names(1, numbers)));
        const beyond = reach.segments.filter(name => name !== names(1, [2])[0]);
        expect(beyond.every(name => names(1, numbers).includes(name))).toBe(true);
        expect(reach.segments).toEqual(
          names(
            1,
            reach.segments.map((_, n) => n + 2),
          ),
        );
        expect(reach.hole !== undefined).toBe(numbers.some(number => at(number) >= reach.end && at(number) > at(2)));
      }),
    );
  });
});

describe('choice of a base', () => {
  const bases = fc
    .array(fc.record({ day: fc.integer({ min: 0, max: 400 }), segment: fc.integer({ min: 1, max: 5000 }) }), { minLength: 1 })
    .map(list =>
      list.map(({ day, segment }, n) =>
        base({ id: `b${n}`, endedAt: new Date(Date.UTC(2026, 0, 1) + day * 86_400_000), from: at(segment), to: at(segment, 500) }),
      ),
    );

  it('PG07: is never one that ended after the target, and no newer one would do', () => {
    fc.assert(
      fc.property(bases, fc.integer({ min: 0, max: 400 }), (list, day) => {
        const target = new Date(Date.UTC(2026, 0, 1) + day * 86_400_000);
        const chosen = baseForTime(list, target);
        const fit = list.filter(b => b.endedAt <= target);
        if (fit.length === 0) return expect(chosen).toBeUndefined();
        expect(chosen!.endedAt.getTime()).toBe(Math.max(...fit.map(b => b.endedAt.getTime())));
      }),
    );
  });

  it('for an LSN ends at or before it', () => {
    fc.assert(
      fc.property(bases, fc.integer({ min: 0, max: 6000 }), (list, segment) => {
        const chosen = baseForLsn(list, at(segment));
        expect(chosen === undefined ? list.every(b => b.to > at(segment)) : chosen.to <= at(segment)).toBe(true);
      }),
    );
  });

  it('PG05: the newest is the one that ended last, whatever the order', () => {
    fc.assert(fc.property(bases, list => expect(newestBase(list)!.endedAt).toEqual(newestBase([...list].reverse())!.endedAt)));
  });
});

describe('histories', () => {
  it('give the way from the first timeline', () => {
    const histories = new Map([[3, parseHistory('# comment\n1\t0/3000000\tx\n\n2\t0/5000000\ty\n')]]);
    expect(pathTo(3, histories).map(s => s.timeline)).toEqual([1, 2, 3]);
    expect(pathTo(1, histories)).toEqual([{ timeline: 1, from: 0n }]);
  });
});

it('a base taken on an old primary after a failover is not what leads onward', () => {
  const base = (id: string, timeline: number, from: bigint): Base => ({
    id,
    endedAt: new Date(Number(from)),
    timeline,
    from,
    to: from + 1n,
    segmentBytes: 16 << 20,
  });
  const archive: Archive = { segments: new Set(), histories: new Map([[2, [{ timeline: 1, until: 5000n }]]]) };
  const [before, astray, after] = [base('before', 1, 1000n), base('astray', 1, 6000n), base('after', 2, 5500n)];
  expect(onward([before, astray, after], archive)).toEqual([before, after]);
  expect(onward([before, astray], archive)).toEqual([before]);
  expect(onward([astray], archive)).toEqual([astray]);
});
