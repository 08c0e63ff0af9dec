import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Manifest, ObjectInfo, Stay } from '../../../src/core/contracts.ts';
import { parseHistory } from '../../../src/core/postgres/history.ts';
import { formatLsn, historyName, segmentName, segmentStart } from '../../../src/core/postgres/lsn.ts';
import { type Archive, type Base, baseForTime, newestPath, reachOf } from '../../../src/core/postgres/plan.ts';
import { baseOf } from '../../../src/providers/targets/postgres/choose.ts';
import { expired } from '../../../src/providers/targets/postgres/logKeep.ts';
import { distance, state } from '../../../src/providers/targets/postgres/logState.ts';

const SIZE = 16 * 1024 * 1024;
const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);
const CTX = { base: 'bkp/prod/postgres/app' };
const LINEAGE = '7000000000000000001-1';

const day = (n: number): Date => new Date(START + n * DAY);
const at = (number: number, offset = 0, size = SIZE): bigint => segmentStart(number, size) + BigInt(offset);
const name = (timeline: number, number: number, size = SIZE): string => segmentName({ timeline, number }, size);
const upTo = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, n) => first + n);

/** A file of the archive, stored on a day. */
const file = (wal: string, stored: number, lineage = LINEAGE): ObjectInfo => ({
  key: `${CTX.base}/wal/${lineage}/${wal.slice(0, 8)}/${wal}-${'0123456789abcdef'.repeat(2)}.zst.age`,
  bytes: 1000,
  modified: day(stored),
});

/** One segment a day, each with the number of its day. */
const daily = (timeline: number, first: number, last: number, lineage = LINEAGE): ObjectInfo[] =>
  upTo(first, last).map(number => file(name(timeline, number), number, lineage));

interface Made {
  id?: string;
  ended: number;
  first: number;
  last?: number;
  timeline?: number;
  lineage?: string;
  guarded?: boolean;
  anomaly?: string;
  size?: number;
  hash?: string;
}

/** A kept backup that spans segments `first` to `last`. */
function stay({
  id = 'b',
  ended,
  first,
  last = first,
  timeline = 1,
  lineage = LINEAGE,
  guarded = false,
  anomaly,
  size = SIZE,
  hash,
}: Made): Stay {
  const wal = {
    timeline,
    from: formatLsn(at(first, 40, size)),
    to: formatLsn(at(last, 256, size)),
    segmentBytes: size,
    ...(hash ? { hash } : {}),
  };
  const manifest = { id, lineage, recoveryPointAt: day(ended).toISOString(), wal, ...(anomaly ? { anomaly } : {}) };
  return { manifest: manifest as unknown as Manifest, guarded };
}

const walName = ({ key }: { key: string }): string => key.split('/').at(-1)!.split('-')[0]!;
const gone = (objects: readonly ObjectInfo[], kept: readonly Stay[], cutoff: number): string[] =>
  expired(CTX, objects, kept, day(cutoff)).map(walName);
const left = (objects: readonly ObjectInfo[], kept: readonly Stay[], cutoff: Date): ObjectInfo[] => {
  const keys = new Set(expired(CTX, objects, kept, cutoff).map(({ key }) => key));
  return objects.filter(({ key }) => !keys.has(key));
};
const names = (timeline: number, numbers: readonly number[]): string[] => numbers.map(number => name(timeline, number));

describe('WAL that may go', () => {
  it('RT16: with a window of three days and a base a week, the base before the window keeps its WAL, and no more', () => {
    const kept = [
      stay({ id: 'old', ended: 7, first: 7 }),
      stay({ id: 'slow', ended: 14, first: 13, last: 14 }),
      stay({ ended: 21, first: 21 }),
    ];
    expect(gone(daily(1, 1, 22), kept, 19)).toEqual(names(1, [...upTo(1, 6), ...upTo(8, 12)]));
    expect(expired(CTX, daily(1, 1, 22), kept, day(19))[0]).toEqual({
      key: file(name(1, 1), 1).key,
      bytes: 1000,
      reason: 'older than the window, which begins at 2026-01-20T00:00:00.000Z, and no kept backup needs it',
    });
  });

  it('RT11: WAL from start to stop of every kept base stays, however old, and nothing else of its age', () => {
    const kept = [stay({ ended: 12, first: 10, last: 12 }), stay({ ended: 100, first: 100 })];
    expect(gone(daily(1, 8, 120), kept, 110)).toEqual(names(1, [8, 9, ...upTo(13, 99)]));
  });

  it('what a store got within the window stays, whatever it holds', () => {
    const late = [file(name(1, 2), 50), file(name(1, 3), 30), file(name(1, 4), 29)];
    expect(gone(late, [stay({ ended: 20, first: 20 })], 30)).toEqual(names(1, [4]));
  });

  it('where no base is as old as the window, the oldest keeps all that came after it', () => {
    const kept = [stay({ ended: 21, first: 21 }), stay({ ended: 25, first: 25 })];
    expect(gone(daily(1, 1, 30), kept, 20)).toEqual(names(1, upTo(1, 19)));
    expect(gone(daily(1, 1, 30), kept, 30)).toEqual(names(1, [...upTo(1, 20), ...upTo(22, 24)]));
    expect(gone(daily(1, 1, 18), [stay({ ended: 25, first: 10 })], 20)).toEqual(names(1, upTo(1, 9)));
  });

  it('a guarded base keeps all that came after it', () => {
    const kept = [stay({ ended: 5, first: 5 }), stay({ ended: 9, first: 9, guarded: true }), stay({ ended: 40, first: 40 })];
    expect(gone(daily(1, 1, 50), kept, 45)).toEqual(names(1, [...upTo(1, 4), ...upTo(6, 8)]));
  });

  it('a base that is not trusted does not stand in for the one before it', () => {
    const kept = [stay({ ended: 10, first: 10 }), stay({ ended: 14, first: 14, anomaly: 'much smaller' }), stay({ ended: 20, first: 20 })];
    expect(gone(daily(1, 1, 20), kept, 15)).toEqual(names(1, upTo(1, 9)));
  });

  it('nor does one of a copy of the server, whose last segment the archive has with another content', () => {
    const kept = [stay({ ended: 10, first: 10 }), stay({ ended: 14, first: 14, hash: 'f'.repeat(32) }), stay({ ended: 20, first: 20 })];
    expect(gone(daily(1, 1, 20), kept, 15)).toEqual(names(1, upTo(1, 9)));
    const own = [stay({ ended: 10, first: 10 }), stay({ ended: 14, first: 14, hash: '0123456789abcdef'.repeat(2) })];
    expect(gone(daily(1, 1, 20), own, 15)).toEqual(names(1, [...upTo(1, 9), ...upTo(11, 13)]));
  });

  it('a later base that begins at a smaller LSN counts: after a failover that lost WAL, and where bases overlap', () => {
    const lost = [stay({ ended: 10, first: 30 }), stay({ ended: 12, first: 25, timeline: 2 })];
    const stored = [...upTo(20, 30).map(n => file(name(1, n), 9)), ...upTo(24, 28).map(n => file(name(2, n), 10))];
    expect(gone(stored, lost, 11)).toEqual([...names(1, upTo(20, 24)), ...names(2, [24])]);
    const overlapping = [stay({ ended: 10, first: 8 }), stay({ ended: 14, first: 6, last: 12 })];
    expect(gone(daily(1, 1, 14), overlapping, 12)).toEqual(names(1, upTo(1, 5)));
  });

  it('goes by the position on every timeline, with what is named after a segment; the histories stay', () => {
    const kept = [stay({ ended: 20, first: 20, timeline: 3 })];
    const files = [name(1, 19), `${name(2, 19)}.partial`, `${name(1, 7)}.00000028.backup`, name(2, 20), `${name(2, 20)}.partial`];
    const histories = [historyName(2), historyName(3)];
    expect(
      gone(
        [...files, ...histories].map(each => file(each, 1)),
        kept,
        25,
      ),
    ).toEqual(files.slice(0, 3));
  });

  it.each([1, 64, 1024])('with segments of %i MiB', mib => {
    const size = mib * 1024 * 1024;
    const kept = [stay({ ended: 5, first: 4100, last: 4101, size }), stay({ ended: 20, first: 8200, size })];
    const stored = [4099, 4100, 4101, 4102, 8199, 8200].map(number => file(name(1, number, size), 1));
    expect(gone(stored, kept, 25)).toEqual([4099, 4102, 8199].map(number => name(1, number, size)));
  });

  it('a lineage of which no base is kept goes file by file, its histories with the last one', () => {
    const history = file(historyName(2), 1);
    expect(gone([history, ...daily(2, 1, 12)], [], 10)).toEqual(names(2, upTo(1, 9)));
    expect(gone([history, ...daily(2, 1, 9)], [], 10)).toEqual([historyName(2), ...names(2, upTo(1, 9))]);
    expect(expired(CTX, [history], [], day(10))[0]?.reason).toContain(`and no backup of lineage ${LINEAGE} is kept`);
  });

  it('a kept base of a restored cluster keeps nothing of the lineage that it came from', () => {
    const child = LINEAGE.replace('-1', '-2');
    const kept = [stay({ ended: 12, first: 12, timeline: 2, lineage: child })];
    const stored = [...daily(1, 1, 16), ...daily(2, 11, 16, child)];
    expect(expired(CTX, stored, kept, day(20)).map(({ key }) => key)).toEqual(
      [...daily(1, 1, 16), ...daily(2, 11, 11, child)].map(({ key }) => key),
    );
  });

  it('what bkp did not name, records of lineages and other targets are never touched', () => {
    const own = file(name(1, 1), 1).key;
    const strange = [
      `${CTX.base}/lineages/${LINEAGE}.json`,
      `${CTX.base}/wal/${LINEAGE}/notes.txt`,
      `${CTX.base}/wal/${LINEAGE}/00000001/`,
      `${CTX.base}/wal/${LINEAGE}/00000001/${name(1, 1)}`,
      `${CTX.base}/walg/x`,
      own.replace('/00000001/', '/00000002/'),
      own.replace('/00000001/', '/'),
      own.replace(LINEAGE, 'somewhere'),
      own.replace('.zst.age', '.gz'),
      `${own}.bak`,
      own.replace('/app/', '/app2/'),
      own.replace(CTX.base, `copy/${CTX.base}`),
    ].map(key => ({ key, bytes: 1, modified: day(0) }));
    expect(expired(CTX, strange, [], day(100))).toEqual([]);
    expect(expired(CTX, [...strange, file(name(1, 1), 1)], [], day(100)).map(({ key }) => key)).toEqual([own]);
  });
});

const HISTORY = /^[0-9A-F]{8}\.history$/;

/** The planner's view of one lineage in a listing; `texts` are the histories by timeline. */
const archiveOf = (objects: readonly ObjectInfo[], lineage: string, texts: ReadonlyMap<number, string>): Archive => {
  const present = objects.filter(({ key }) => key.includes(`/wal/${lineage}/`)).map(walName);
  const timelines = present.filter(each => HISTORY.test(each)).map(each => Number.parseInt(each, 16));
  return {
    segments: new Set(present.filter(each => /^[0-9A-F]{24}$/.test(each))),
    histories: new Map(timelines.map(timeline => [timeline, parseHistory(texts.get(timeline) ?? '')])),
  };
};

const baseIn = ({ manifest }: Stay): Base => baseOf({ manifest, stores: [] })[0]!;

describe('PG03: bases on timelines 22 and 24', () => {
  const texts = new Map([
    [22, `21\t${formatLsn(at(5, 100))}\tno recovery target specified\n`],
    [23, `21\t${formatLsn(at(5, 100))}\tx\n22\t${formatLsn(at(20, 100))}\tx\n`],
    [24, `21\t${formatLsn(at(5, 100))}\tx\n22\t${formatLsn(at(20, 100))}\tx\n23\t${formatLsn(at(24, 100))}\tx\n`],
  ]);
  const stored = [
    ...[22, 23, 24].map((timeline, n) => file(historyName(timeline), [5, 20, 24][n]!)),
    ...[...daily(21, 1, 5), ...daily(22, 5, 20), ...daily(23, 20, 24), ...daily(24, 24, 40)],
  ];
  const first = stay({ id: 'first', ended: 8, first: 8, timeline: 22 });
  const second = stay({ id: 'second', ended: 16, first: 15, last: 16, timeline: 22 });
  const third = stay({ id: 'third', ended: 30, first: 30, timeline: 24 });
  const before = archiveOf(stored, LINEAGE, texts);

  it('after the oldest is removed, every kept base reaches all that it reached, over its histories', () => {
    const after = archiveOf(left(stored, [second, third], day(18)), LINEAGE, texts);
    for (const base of [second, third].map(baseIn)) {
      expect(newestPath(base, after).map(({ timeline }) => timeline)).toEqual([21, 22, 23, 24]);
      expect(reachOf(base, after)).toEqual(reachOf(base, before));
      expect(reachOf(base, after)).toMatchObject({ timeline: 24, end: at(41) });
    }
    expect(gone(stored, [second, third], 18)).toEqual([...names(21, upTo(1, 5)), ...names(22, upTo(5, 14))]);
    expect(reachOf(baseIn(first), after).end).toBe(at(8, 256));
  });

  it('once both of timeline 22 lie before the window, its last WAL goes, and what the base on 24 reaches stays', () => {
    const after = archiveOf(left(stored, [second, third], day(35)), LINEAGE, texts);
    expect(reachOf(baseIn(third), after)).toEqual(reachOf(baseIn(third), before));
    expect([...after.histories.keys()]).toEqual([22, 23, 24]);
    expect([...after.segments]).toEqual([...names(22, [15, 16]), ...names(24, upTo(30, 40))]);
  });
});

interface Lineage {
  lineage: string;
  texts: Map<number, string>;
  objects: ObjectInfo[];
  stays: Stay[];
}

const LAST = 30;

/** What happens to a cluster on one day. `many` are segments written, started before (a slow base), or lost (a failover). */
const step = fc.record({
  what: fc.constantFrom<('wal' | 'base' | 'failover' | 'hole')[]>('wal', 'wal', 'base', 'base', 'failover', 'hole'),
  many: fc.integer({ min: 0, max: 3 }),
  /** The store got it some days later. */
  late: fc.constantFrom(0, 0, 0, 5),
  guarded: fc.constantFrom(false, false, false, true),
  anomalous: fc.constantFrom(false, false, false, true),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Lives through the steps, a day each: what the store has of the cluster then, and its bases. */
function live(lineage: string, steps: readonly Step[]): Lineage {
  const made: Lineage = { lineage, texts: new Map([[1, '']]), objects: [], stays: [] };
  let number = 1;
  let timeline = 1;
  const store = (wal: string, stored: number): void => void made.objects.push(file(wal, stored, lineage));
  for (const [today, { what, many, late, guarded, anomalous }] of steps.entries()) {
    if (what === 'failover') {
      number = Math.max(0, number - many);
      made.texts.set(timeline + 1, `${made.texts.get(timeline)}${timeline}\t${formatLsn(at(number, 99))}\tx\n`);
      timeline += 1;
      store(historyName(timeline), today + late);
      continue;
    }
    if (what === 'base') {
      const when = { id: `${lineage}/${today}`, ended: today, first: Math.max(0, number - many), last: number };
      made.stays.push(stay({ ...when, timeline, lineage, guarded, ...(anomalous ? { anomaly: 'smaller' } : {}) }));
    }
    for (const each of what === 'hole' ? [] : upTo(number, number + many)) store(name(timeline, each), today + late);
    number += many + 1;
  }
  return made;
}

const lineages = (counter: number): fc.Arbitrary<Lineage> =>
  fc.array(step, { maxLength: LAST, size: 'max' }).map(steps => live(LINEAGE.replace('-1', `-${counter}`), steps));

/** Two lineages in one store, some of whose bases are kept, and the begin of the window. */
const cases = fc
  .record({
    one: lineages(1),
    two: lineages(2),
    cutoff: fc.integer({ min: 0, max: LAST + 1 }),
    pick: fc.array(fc.boolean(), { minLength: 2 * LAST, maxLength: 2 * LAST }),
  })
  .map(({ one, two, cutoff, pick }) => {
    const objects = [...one.objects, ...two.objects];
    const kept = [...one.stays, ...two.stays].filter((_, n) => pick[n]);
    const after = left(objects, kept, day(cutoff));
    return { all: [one, two], objects, kept, cutoff: day(cutoff), after };
  });

type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

const reachIn = (stayed: Stay, objects: readonly ObjectInfo[], { all }: Case) => {
  const own = all.find(({ lineage }) => lineage === stayed.manifest.lineage)!;
  return reachOf(baseIn(stayed), archiveOf(objects, own.lineage, own.texts));
};

/** What restore would take for an instant, of every kept base or of the trusted ones. */
const chosen = (kept: readonly Stay[], time: Date): Stay[] =>
  [kept, kept.filter(({ manifest }) => !manifest.anomaly)].flatMap(some => {
    const base = baseForTime(some.map(baseIn), time);
    return some.filter(({ manifest }) => manifest.id === base?.id);
  });

describe('whatever the timelines, forks, holes, bases and the window are', () => {
  it('every guarded base reaches what it reached', () => {
    fc.assert(
      fc.property(cases, one => {
        for (const each of one.kept.filter(({ guarded }) => guarded))
          expect(reachIn(each, one.after, one)).toEqual(reachIn(each, one.objects, one));
      }),
    );
  });

  it('for every instant of the window, the base that restore takes reaches what it reached', () => {
    fc.assert(
      fc.property(cases, one => {
        for (const time of upTo(0, LAST + 1)
          .map(day)
          .filter(each => each >= one.cutoff))
          for (const each of chosen(one.kept, time)) expect(reachIn(each, one.after, one)).toEqual(reachIn(each, one.objects, one));
      }),
    );
  });

  it('RT11: no kept base loses WAL from its start to its stop', () => {
    fc.assert(
      fc.property(cases, one => {
        for (const { manifest, guarded } of one.kept) {
          const base = baseIn({ manifest, guarded });
          const inside = upTo(Number(base.from / BigInt(SIZE)), Number((base.to - 1n) / BigInt(SIZE))).map(n => name(base.timeline, n));
          const have = (objects: readonly ObjectInfo[]) =>
            objects.filter(({ key }) => key.includes(manifest.lineage!)).filter(each => inside.includes(walName(each)));
          expect(have(one.after)).toEqual(have(one.objects));
        }
      }),
    );
  });

  it('nothing younger than the window goes, no history of a lineage that keeps anything, and what is left stays', () => {
    fc.assert(
      fc.property(cases, ({ all, objects, kept, cutoff, after }) => {
        const lost = objects.filter(each => !after.includes(each));
        expect(lost.filter(({ modified }) => modified >= cutoff)).toEqual([]);
        for (const { lineage } of all) {
          const of = (list: readonly ObjectInfo[]) => list.filter(({ key }) => key.includes(`/${lineage}/`));
          if (of(lost).some(each => HISTORY.test(walName(each)))) expect(of(after)).toEqual([]);
          if (kept.some(({ manifest }) => manifest.lineage === lineage))
            expect(of(lost).filter(each => HISTORY.test(walName(each)))).toEqual([]);
        }
        expect(expired(CTX, after, kept, cutoff)).toEqual([]);
      }),
    );
  });

  it('a later window lets go at least as much', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 0, max: LAST }), ({ objects, kept, cutoff, after }, days) => {
        const later = left(objects, kept, new Date(cutoff.getTime() + days * DAY));
        expect(later.filter(each => !after.includes(each))).toEqual([]);
      }),
    );
  });
});

describe('the newest WAL of a store', () => {
  const known = (lineage: string, size = SIZE) => ({ manifest: stay({ ended: 1, first: 1, lineage, size }).manifest, stores: ['local'] });

  it('is the segment that ends last on the newest timeline of each lineage, though older ones came later', () => {
    const other = LINEAGE.replace('-1', '-2');
    const objects = [
      ...daily(1, 1, 9),
      ...daily(2, 7, 8),
      file(name(1, 3), 30),
      file(historyName(2), 40),
      file(`${name(2, 9)}.partial`, 41),
    ];
    expect(state(CTX, [...objects, ...daily(1, 255, 255, other)], [known(LINEAGE)])).toEqual([
      { lineage: LINEAGE, at: day(8), begins: formatLsn(at(1)), end: formatLsn(at(9)) },
      { lineage: other, at: day(255), begins: formatLsn(at(255)), end: '1/0' },
    ]);
  });

  it('has gaps where numbers are missing on every timeline, up to what was begun', () => {
    const objects = [...daily(1, 1, 9).filter((_, n) => n !== 3 && n !== 4), ...daily(2, 8, 10), ...daily(2, 12, 12)];
    const gap = (first: string, last: string, from: number, until: number, stored: number) => ({
      first,
      last,
      from: formatLsn(at(from)),
      until: formatLsn(at(until)),
      at: day(stored),
    });
    const gaps = [gap(name(1, 4), name(1, 5), 4, 6, 3), gap(name(2, 11), name(2, 11), 11, 12, 10)];
    expect(state(CTX, objects, [known(LINEAGE)])).toMatchObject([{ end: formatLsn(at(13)), gaps }]);
    const chunk = (number: number): ObjectInfo => ({
      key: `${CTX.base}/wal/${LINEAGE}/00000002/${name(2, number)}/00000000-00001000-${'0'.repeat(32)}.zst.age`,
      bytes: 1000,
      modified: day(20),
    });
    const open = state(CTX, [...objects, chunk(15)], [known(LINEAGE)])[0]!;
    expect(open.gaps).toEqual([...gaps, gap(name(2, 13), name(2, 14), 13, 15, 12)]);
    expect(state(CTX, [...daily(1, 1, 3), chunk(4)], [known(LINEAGE)])[0]).not.toHaveProperty('gaps');
  });

  it('is counted by the segment size of the same lineage, else of the same system, else not at all', () => {
    const size = 64 * 1024 * 1024;
    const objects = [file(name(1, 5, size), 5)];
    expect(state(CTX, objects, [known(LINEAGE, size), known(LINEAGE.replace('-1', '-2'))])).toMatchObject([
      { end: formatLsn(at(6, 0, size)) },
    ]);
    expect(state(CTX, objects, [known('7999-1')])).toEqual([]);
    expect(state(CTX, objects, [])).toEqual([]);
  });

  it('a lineage without a whole segment has none', () => {
    expect(state(CTX, [file(historyName(2), 1), file(`${name(1, 1)}.partial`, 1)], [known(LINEAGE)])).toEqual([]);
  });

  it('bytes between two positions, over the end of a log file and never negative', () => {
    expect(distance('0/FF000000', '1/1000000')).toBe(2 * SIZE);
    expect(distance('0/3000148', '0/3000148')).toBe(0);
    expect(distance('1/0', '0/FF000000')).toBe(0);
    expect(() => distance('x', '0/1')).toThrow('"x" is no LSN');
  });
});
