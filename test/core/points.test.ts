import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { bestPoint, pointIn, type Reach, skewOf } from '../../src/core/points.ts';

const at = (minute: number): string => new Date(Date.UTC(2026, 0, 15, 2, minute)).toISOString();
const backup = (minute: number) => ({ id: `20260115T02${String(minute).padStart(2, '0')}00Z-aaaaaa`, at: at(minute) });
const reach = (change: Partial<Reach>): Reach => ({ store: 'one', backups: [], spans: [], ...change });
const span = (from: number, to: number, live = true) => ({ from: at(from), to: at(to), live, backups: [backup(from)] });

describe('the state that a target can be brought back to', () => {
  it('without a log: the newest backup at or before the instant', () => {
    const snaps = reach({ backups: [backup(10), backup(20)] });
    expect(pointIn(snaps)).toMatchObject({ at: at(20), by: 'backup', want: { backup: backup(20).id } });
    expect(pointIn(snaps, new Date(at(19)))).toMatchObject({ at: at(10), want: { backup: backup(10).id } });
    expect(pointIn(snaps, new Date(at(9)))).toBeUndefined();
  });

  it('with a log: the instant itself within the stretch, its end behind it', () => {
    const logged = reach({ backups: [backup(10)], spans: [span(10, 30)] });
    expect(pointIn(logged, new Date(at(17)))).toMatchObject({ at: at(17), by: 'log', want: { time: new Date(at(17)) } });
    expect(pointIn(logged, new Date(at(40)))).toMatchObject({ at: at(30), want: { latest: true } });
    expect(pointIn(logged)).toMatchObject({ at: at(30), want: { latest: true } });
  });

  it('in a stretch that no longer grows a backup of it says which one is meant', () => {
    const left = reach({ spans: [span(10, 20, false), span(25, 30)] });
    expect(pointIn(left, new Date(at(15)))).toMatchObject({ want: { backup: backup(10).id, time: new Date(at(15)) } });
    expect(pointIn(left, new Date(at(22)))).toMatchObject({ at: at(20), want: { backup: backup(10).id, latest: true } });
  });

  it('out of the store that has the newest; the first one where they are alike', () => {
    const [old, young, other] = [
      reach({ backups: [backup(10)] }),
      reach({ store: 'two', backups: [backup(20)] }),
      reach({ store: 'three', backups: [backup(20)] }),
    ];
    expect(bestPoint([old, young, other])).toMatchObject({ store: 'two', at: at(20) });
    expect(bestPoint([reach({})])).toBeUndefined();
  });

  it('the skew is from the oldest to the newest', () => {
    expect(skewOf([{ at: at(3) }, { at: at(10) }, { at: at(5) }])).toBe(7 * 60_000);
    expect(skewOf([])).toBe(0);
  });
});

const minute = fc.integer({ min: 0, max: 59 });
const someReach = fc.record({
  store: fc.constantFrom('one', 'two'),
  backups: fc.array(minute.map(backup), { maxLength: 4 }),
  spans: fc.array(
    fc.tuple(minute, minute, fc.boolean()).map(([a, b, live]) => span(Math.min(a, b), Math.max(a, b), live)),
    { maxLength: 3 },
  ),
});

test('never after the instant, and no store has a newer one', () => {
  fc.assert(
    fc.property(fc.array(someReach, { maxLength: 3 }), minute, (reaches, when) => {
      const time = new Date(at(when));
      const best = bestPoint(reaches, time);
      if (best) expect(best.at <= time.toISOString()).toBe(true);
      const reachable = reaches.flatMap(({ backups, spans }) => [
        ...backups.map(each => each.at),
        ...spans.filter(({ from }) => from <= time.toISOString()).map(({ to }) => [to, time.toISOString()].sort()[0]!),
      ]);
      const newest = reachable
        .filter(each => each <= time.toISOString())
        .sort()
        .at(-1);
      expect(best?.at).toBe(newest);
    }),
  );
});
