import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseHistory } from '../../../src/core/postgres/history.ts';
import { segmentName, segmentStart } from '../../../src/core/postgres/lsn.ts';
import { type Archive, type Base, reachOf } from '../../../src/core/postgres/plan.ts';
import { windowsOf } from '../../../src/core/postgres/windows.ts';

const SIZE = 16 * 1024 * 1024;
const at = (number: number, offset = 0): bigint => segmentStart(number, SIZE) + BigInt(offset);
const name = (timeline: number, number: number): string => segmentName({ timeline, number }, SIZE);
const archive = (segments: readonly string[], histories: [number, string][] = []): Archive => ({
  segments: new Set(segments),
  histories: new Map(histories.map(([of, text]) => [of, parseHistory(text)])),
});
const one = (numbers: readonly number[], histories: [number, string][] = []): Archive =>
  archive(
    numbers.map(number => name(1, number)),
    histories,
  );
const base = (id: string, first: number, last = first, timeline = 1): Base => ({
  id,
  endedAt: new Date(Date.UTC(2026, 0, 1, 0, last)),
  timeline,
  from: at(first, 40),
  to: at(last, 256),
  segmentBytes: SIZE,
});
const ids = (bases: readonly Base[]): string[] => bases.map(({ id }) => id);

describe('windows', () => {
  it('one without a gap is one line from the first base to the end of the WAL, and open', () => {
    const { windows, before } = windowsOf([base('b', 5), base('a', 2)], one([2, 3, 4, 5, 6]));
    expect(before).toEqual([]);
    expect(windows).toMatchObject([{ end: at(7), open: true, gaps: [], path: [{ timeline: 1 }] }]);
    expect(ids(windows[0]!.bases)).toEqual(['a', 'b']);
    expect(windows[0]!.segments).toEqual([2, 3, 4, 5, 6].map(n => name(1, n)));
  });

  it('PG14: a gap cuts: what is missing, the bases that it breaks, and the base with which it goes on', () => {
    const { windows } = windowsOf([base('a', 2), base('b', 4), base('c', 9)], one([2, 3, 4, 5, 8, 9, 10]));
    expect(windows.map(({ bases, end, open }) => [ids(bases).join(), end, open])).toEqual([
      ['a,b', at(6), false],
      ['c', at(11), true],
    ]);
    expect(windows[0]!.gaps).toMatchObject([{ first: name(1, 6), last: name(1, 7), segments: 2, from: at(6), next: { id: 'c' } }]);
    expect(ids(windows[0]!.gaps[0]!.breaks)).toEqual(['a', 'b']);
    expect(windows[1]!.gaps).toEqual([]);
  });

  it('a gap behind the newest base: nothing goes on, and nothing is open', () => {
    const { windows } = windowsOf([base('a', 2)], one([2, 3, 5, 6]));
    expect(windows).toMatchObject([{ end: at(4), open: false, gaps: [{ first: name(1, 4) }] }]);
    expect(windows[0]!.gaps[0]!.next).toBeUndefined();
  });

  it('two gaps before the next base are both told', () => {
    const { windows } = windowsOf([base('a', 2), base('b', 9)], one([2, 3, 5, 7, 8, 9]));
    expect(windows[0]!.gaps.map(({ first }) => first)).toEqual([name(1, 4), name(1, 6)]);
  });

  it('PG15: gaps before the oldest base cut nothing, and are told apart', () => {
    const { windows, before } = windowsOf([base('a', 6)], one([1, 2, 5, 6, 7]));
    expect(windows).toMatchObject([{ end: at(8), open: true, gaps: [] }]);
    expect(before).toMatchObject([{ first: name(1, 3), last: name(1, 4) }]);
  });

  it('a base without WAL behind it is a single point', () => {
    const { windows } = windowsOf([base('a', 2), base('b', 20)], one([20, 21]));
    expect(windows.map(({ bases, end, segments }) => [ids(bases).join(), end, segments.length])).toEqual([
      ['a', at(2, 256), 0],
      ['b', at(22), 2],
    ]);
  });

  it('goes on over a failover, and says where the timeline was left', () => {
    const known = archive([...[2, 3, 4].map(n => name(1, n)), ...[4, 5, 6].map(n => name(2, n))], [[2, '1\t0/4000100\tpromoted\n']]);
    const { windows } = windowsOf([base('a', 2), base('b', 5, 5, 2)], known);
    expect(windows).toMatchObject([{ end: at(7), open: true, path: [{ timeline: 1, until: at(4, 256) }, { timeline: 2 }] }]);
    expect(windows[0]!.segments).toEqual([name(1, 2), name(1, 3), name(2, 4), name(2, 5), name(2, 6)]);
  });

  it('what the old primary wrote beyond the switch is a window of its own, and never the open one', () => {
    const known = archive([...[2, 3, 4, 5, 6].map(n => name(1, n)), ...[4, 5].map(n => name(2, n))], [[2, '1\t0/4000100\tpromoted\n']]);
    const { windows } = windowsOf([base('a', 2), base('lost', 5)], known);
    expect(windows.map(({ bases, end, open, path }) => [ids(bases).join(), end, open, path.map(({ timeline }) => timeline)])).toEqual([
      ['lost', at(7), false, [1]],
      ['a', at(6), true, [1, 2]],
    ]);
  });

  it('without the histories each timeline stands for itself', () => {
    const known = archive([...[2, 3].map(n => name(1, n)), ...[4, 5].map(n => name(2, n))]);
    const { windows } = windowsOf([base('a', 2), base('b', 4, 4, 2)], known);
    expect(windows.map(({ bases, end, open }) => [ids(bases).join(), end, open])).toEqual([
      ['a', at(4), false],
      ['b', at(6), true],
    ]);
  });

  it('hold exactly the positions that some base reaches, apart from each other along one timeline', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 20 });
    const spans = fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 3 })), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(numbers, spans, fc.integer({ min: 1, max: 25 }), fc.boolean(), (present, pairs, switchAt, failed) => {
        const all = pairs.map(([first, length], n) => base(`b${n}`, first, first + length, failed && first > switchAt ? 2 : 1));
        const bases = all.filter(({ from, to }) => !failed || to <= at(switchAt, 300) || from > at(switchAt, 300));
        const names = present.map(n => name(failed && n >= switchAt ? 2 : 1, n));
        const known = archive(
          names,
          failed ? [[2, `1\t${(at(switchAt, 300) >> 32n).toString(16)}/${at(switchAt, 300).toString(16)}\tx\n`]] : [],
        );
        const { windows } = windowsOf(bases, known);
        const reaches = bases.map(each => reachOf(each, known));
        for (let number = 0; number < 26; number += 1) {
          for (const lsn of [at(number), at(number, 256), at(number, 1000)]) {
            const reached = reaches.some(({ base: { to }, end }) => to <= lsn && lsn <= end);
            expect(windows.some(({ bases: [first], end }) => first!.to <= lsn && lsn <= end)).toBe(reached);
          }
        }
        expect(windows.flatMap(each => ids(each.bases)).sort()).toEqual(ids(bases).sort());
        windows.slice(1).forEach((next, n) => {
          expect(next.bases[0]!.to > windows[n]!.end).toBe(true);
          expect(windows[n]!.gaps.length).toBeGreaterThan(0);
        });
        expect(windows.filter(({ open }) => open).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 500 },
    );
  });
});
