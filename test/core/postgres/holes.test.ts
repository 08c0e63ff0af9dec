import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseHistory } from '../../../src/core/postgres/history.ts';
import { holesOf, lostHistory } from '../../../src/core/postgres/holes.ts';
import { segmentName, segmentStart } from '../../../src/core/postgres/lsn.ts';
import { type Archive, type Base, reachOf } from '../../../src/core/postgres/plan.ts';

const SIZE = 16 * 1024 * 1024;
const at = (number: number, offset = 0): bigint => segmentStart(number, SIZE) + BigInt(offset);
const name = (timeline: number, number: number): string => segmentName({ timeline, number }, SIZE);
const archive = (numbers: readonly number[], histories: [number, string][] = [], timeline = 1): Archive => ({
  segments: new Set(numbers.map(number => name(timeline, number))),
  histories: new Map(histories.map(([of, text]) => [of, parseHistory(text)])),
});
const base = (id: string, first: number, last: number, timeline = 1): Base => ({
  id,
  endedAt: new Date(Date.UTC(2026, 0, 1, 0, last)),
  timeline,
  from: at(first, 40),
  to: at(last, 256),
  segmentBytes: SIZE,
});

describe('holes in the WAL', () => {
  it('PG14: a hole names its segment, the bases that it breaks and the base after it', () => {
    const bases = [base('a', 2, 2), base('b', 4, 4), base('c', 9, 9)];
    const [hole, ...more] = holesOf(bases, archive([2, 3, 4, 5, 7, 8, 9, 10]));
    expect(more).toEqual([]);
    expect(hole).toMatchObject({ first: name(1, 6), last: name(1, 6), segments: 1, from: at(6), next: { id: 'c' } });
    expect(hole?.breaks.map(({ id }) => id)).toEqual(['a', 'b']);
  });

  it('PG15: a gap before the oldest base breaks nothing', () => {
    const [hole] = holesOf([base('a', 6, 6)], archive([1, 2, 5, 6, 7]));
    expect(hole).toMatchObject({ first: name(1, 3), last: name(1, 4), breaks: [] });
  });

  it('a base that has the missing segments inside is not broken', () => {
    const [hole] = holesOf([base('a', 2, 2), base('b', 4, 6)], archive([2, 3, 7, 8]));
    expect(hole?.breaks.map(({ id }) => id)).toEqual(['a']);
    expect(hole?.next?.id).toBe('b');
  });

  it('WAL that begins some way behind the base is a hole', () => {
    expect(holesOf([base('a', 2, 2)], archive([5, 6]))).toMatchObject([{ first: name(1, 3), last: name(1, 4), breaks: [{ id: 'a' }] }]);
  });

  it('follows a failover: the segments of the new timeline are the ones that count', () => {
    const whole = new Set([2, 3].map(n => name(1, n)).concat([4, 5].map(n => name(2, n))));
    const histories = new Map([[2, parseHistory('1\t0/4000100\tno recovery target specified')]]);
    expect(holesOf([base('a', 2, 2)], { segments: whole, histories })).toEqual([]);
    whole.delete(name(2, 4));
    expect(holesOf([base('a', 2, 2)], { segments: whole, histories })).toMatchObject([{ first: name(2, 4), breaks: [{ id: 'a' }] }]);
  });

  it('breaks a base exactly where its reach ends at a hole', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 20 });
    const spans = fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 3 })), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(numbers, spans, (present, pairs) => {
        const bases = pairs.map(([first, length], n) => base(`b${n}`, first, first + length));
        const known = archive(present);
        const holes = holesOf(bases, known);
        for (const each of bases) {
          const { hole } = reachOf(each, known);
          const first = holes.find(({ breaks }) => breaks.includes(each));
          expect(first !== undefined).toBe(hole !== undefined);
          if (first && hole) expect(hole >= first.first && hole <= first.last).toBe(true);
        }
      }),
    );
  });
});

describe('a history that is lost', () => {
  const both = { ...archive([2, 3]), segments: new Set([name(1, 2), name(1, 3), name(2, 4), name(2, 5)]) };
  const known = { ...both, histories: new Map([[2, parseHistory('1\t0/4000100\tno recovery target specified')]]) };

  it('breaks the bases before it, for which "latest" would end where the timeline was left', () => {
    const bases = [base('a', 2, 2), base('b', 4, 4, 2)];
    expect(lostHistory(bases, both)).toMatchObject({ timeline: 2, breaks: [{ id: 'a' }] });
    expect(reachOf(bases[0]!, both)).toMatchObject({ timeline: 1, hole: '00000002.history' });
    expect(reachOf(bases[1]!, both).hole).toBeUndefined();
  });

  it('is none where it is there, or where nothing is older', () => {
    expect(lostHistory([base('a', 2, 2)], known)).toBeUndefined();
    expect(reachOf(base('a', 2, 2), known)).toMatchObject({ timeline: 2 });
    expect(lostHistory([base('b', 4, 4, 2)], both)).toBeUndefined();
  });

  it('is none for a base of a way that was left', () => {
    const left = { ...known, segments: new Set([...known.segments, name(1, 4), name(1, 5)]) };
    expect(lostHistory([base('c', 5, 5)], left)).toBeUndefined();
    expect(reachOf(base('c', 5, 5), left).hole).toBeUndefined();
  });
});
