import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseHistory, pathTo } from '../../../src/core/postgres/history.ts';
import { segmentName, segmentStart } from '../../../src/core/postgres/lsn.ts';
import { isAstray, isOnPath, newestTimeline, resumeAt } from '../../../src/core/postgres/resume.ts';

const SIZE = 16 * 1024 * 1024;
const at = (number: number, offset = 0): bigint => segmentStart(number, SIZE) + BigInt(offset);
const name = (timeline: number, number: number): string => segmentName({ timeline, number }, SIZE);
/** Timeline 1 was left for 2 inside segment 5. */
const failedOver = pathTo(2, new Map([[2, parseHistory('1\t0/5000100\tpromoted\n')]]));
const one = pathTo(1, new Map());

describe('where an empty spool goes on', () => {
  it('without anything stored it is the slot', () => {
    expect(resumeAt(one, [], at(7, 40), SIZE)).toEqual({ timeline: 1, number: 7 });
  });

  it('behind what is stored from the slot on, at the first that no store has', () => {
    expect(
      resumeAt(
        one,
        [3, 4, 6].map(n => name(1, n)),
        at(3),
        SIZE,
      ),
    ).toEqual({ timeline: 1, number: 5 });
  });

  it('a slot that begins later than what is stored leaves no hole', () => {
    expect(
      resumeAt(
        one,
        [3, 4].map(n => name(1, n)),
        at(9),
        SIZE,
      ),
    ).toEqual({ timeline: 1, number: 5 });
  });

  it('after a failover it is the switch, whatever the old primary had stored beyond it', () => {
    expect(
      resumeAt(
        failedOver,
        [3, 4, 5, 6, 7].map(n => name(1, n)),
        at(6),
        SIZE,
      ),
    ).toEqual({ timeline: 2, number: 5 });
    expect(
      resumeAt(
        failedOver,
        [2, 3].map(n => name(1, n)),
        at(6),
        SIZE,
      ),
    ).toEqual({ timeline: 1, number: 4 });
    expect(resumeAt(failedOver, [name(1, 4), name(2, 5), name(2, 6)], at(5), SIZE)).toEqual({ timeline: 2, number: 7 });
  });

  it('is never stored already, and nothing lies between it and the stored or the slot', () => {
    const stored = fc.uniqueArray(fc.tuple(fc.constantFrom(1, 2), fc.integer({ min: 1, max: 12 })).map(([t, n]) => name(t, n)));
    fc.assert(
      fc.property(stored, fc.integer({ min: 0, max: 15 }), fc.constantFrom(one, failedOver), (names, slot, path) => {
        const { timeline, number } = resumeAt(path, names, at(slot), SIZE);
        const mine = names.filter(each => isOnPath(each, path, SIZE));
        expect(names).not.toContain(name(timeline, number));
        expect(isOnPath(name(timeline, number), path, SIZE)).toBe(true);
        if (mine.length === 0) expect(number).toBe(slot);
        for (let n = slot; n < number; n += 1) expect(mine.some(each => each.slice(8) === name(1, n).slice(8))).toBe(true);
        if (number < slot) expect(mine.every(each => each.slice(8) < name(1, number).slice(8))).toBe(true);
      }),
    );
  });
});

describe('what a server cannot go on with', () => {
  it.each([
    [name(1, 4), false],
    [`${name(1, 5)}.partial`, false],
    [name(1, 5), true],
    [`${name(1, 6)}.partial`, true],
    [name(2, 9), false],
    [`${name(3, 9)}.partial`, true],
    ['00000002.history', false],
    ['left', false],
  ])('%s after a failover in segment 5: %s', (file, astray) => {
    expect(isAstray(file, failedOver, SIZE)).toBe(astray);
  });

  it('a segment that ends exactly at the switch: it goes on with the new timeline', () => {
    const path = pathTo(2, new Map([[2, parseHistory('1\t0/6000000\tpromoted\n')]]));
    expect([name(1, 5), `${name(1, 6)}.partial`].map(file => isAstray(file, path, SIZE))).toEqual([true, true]);
    expect(isAstray(name(1, 4), path, SIZE)).toBe(false);
    expect(
      resumeAt(
        path,
        [4, 5].map(n => name(1, n)),
        at(5),
        SIZE,
      ),
    ).toEqual({ timeline: 2, number: 6 });
  });
});

it('the newest timeline is that of any file', () => {
  expect(newestTimeline([name(1, 3), '00000003.history', `${name(2, 3)}.partial`, 'left'])).toBe(3);
  expect(newestTimeline([])).toBe(0);
});
