import { describe, expect, it } from '@jest/globals';
import { type HaltInput, haltsOf } from '../../src/core/halts.ts';
import { type Candidate, decide, type Policy } from '../../src/core/retention.ts';
import { at, daysAgo, FRAME, idAt, NOW, nights } from './retention/make.ts';

const MINUTE_MS = 60_000;

/** What halts a prune of these backups now, at the built-in share, with a daily schedule at 02:00 UTC. */
function halts(candidates: readonly Candidate[], more: Partial<HaltInput> = {}, policy: Policy = { daily: 30 }): string[] {
  const decisions = decide(candidates, policy, { ...FRAME, now: more.now ?? NOW });
  return haltsOf({ decisions, candidates, schedule: '0 2 * * *', zone: 'UTC', now: NOW, sharePercent: 50, force: false, ...more });
}

const later = (ms: number): Date => new Date(NOW.getTime() + ms);
const changed = (all: Candidate[], n: number, more: Partial<Candidate>): Candidate[] =>
  all.map((each, index) => (index === (n < 0 ? all.length + n : n) ? { ...each, ...more } : each));

describe('haltsOf', () => {
  it('lets a healthy store be pruned, whatever happened before the newest good one', () => {
    const all = changed(changed(nights(40), 20, { anomalous: true }), 21, { state: 'damaged' });
    expect(halts(all, { storeNow: later(-4 * MINUTE_MS), lastFailure: { at: daysAgo(1), message: 'disk full' } })).toEqual([]);
  });

  it.each([
    ['none at all', []],
    ['damaged ones', nights(5, { state: 'damaged' })],
    ['anomalies', nights(5, { anomalous: true })],
    ['unreadable ones', nights(5, { state: 'unreadable' })],
    ['increments without what they need', nights(5, { needs: [idAt(daysAgo(50))] })],
  ])('no good backup: %s', (_, all) => {
    expect(halts(all)).toContain('there is no good backup: none is whole, of the usual size and complete with what it needs');
  });

  it('MO06: the newest good one is stale; damaged, broken and anomalous ones since then do not freshen it', () => {
    const stale = [
      `the newest good backup, ${idAt('2026-06-29T02:00Z')}, began 1 d ago, and the one due 2026-06-30T02:00:00.000Z is not there`,
    ];
    expect(halts(nights(40).slice(0, -1))).toEqual(stale);
    expect(halts(changed(nights(40), -1, { state: 'damaged' }))).toEqual(stale);
    expect(halts(changed(nights(40), -1, { needs: ['gone'] }))).toEqual(stale);
    expect(halts(changed(nights(40), -1, { anomalous: true }))).toEqual([...stale, expect.stringContaining('is an anomaly')]);
  });

  it('MO09: an anomaly blocks prune until a good one has come after it', () => {
    const small = at('2026-06-30T08:00Z', { anomalous: true });
    const why = `${small.id} is an anomaly, sharply smaller than those before it or of another history than the log, and no good backup came after it`;
    expect(halts([...nights(40), small])).toEqual([why]);
    expect(halts([...nights(40), small, at('2026-06-30T08:30Z', { state: 'damaged' })])).toEqual([why]);
    expect(halts([...nights(40), small, at('2026-06-30T09:00Z')])).toEqual([]);
  });

  it('MO04: the newest run failed', () => {
    const at = new Date('2026-06-30T03:00Z');
    expect(halts(nights(40), { lastFailure: { at, message: 'disk full' } })).toEqual([
      'the backup run of 2026-06-30T03:00:00.000Z failed: disk full',
    ]);
    expect(halts(nights(40), { lastFailure: { at } })).toEqual(['the backup run of 2026-06-30T03:00:00.000Z failed']);
    expect(halts([], { lastFailure: { at } })).toHaveLength(2);
  });

  it('the clock jumped: back behind a backup, or away from the store', () => {
    const ahead = at(later(6 * MINUTE_MS));
    const jumped = `${ahead.id} lies in the future of this host's clock (${NOW.toISOString()}): a clock jumped`;
    expect(halts([...nights(40), ahead])).toEqual([jumped]);
    expect(halts([...nights(40), at(later(4 * MINUTE_MS))])).toEqual([]);
    expect(halts([...nights(40), at(NOW, { endedAt: later(6 * MINUTE_MS) })])).toHaveLength(1);
    for (const ms of [-6, 6])
      expect(halts(nights(40), { storeNow: later(ms * MINUTE_MS) })).toEqual([
        `the clocks of this host (${NOW.toISOString()}) and of the store (${later(ms * MINUTE_MS).toISOString()}) differ`,
      ]);
    const years = new Date('2036-06-30T12:00Z');
    expect(halts(nights(40), { now: years }).join()).toContain('began 3653 d ago');
    expect(halts(nights(40), { now: new Date('2020-01-01T00:00Z') })).toEqual(
      expect.arrayContaining([expect.stringContaining('there is no good backup'), expect.stringContaining('a clock jumped')]),
    );
  });

  it('more than the share of the whole copies would go: only force lifts that, and only that', () => {
    const all = [
      ...nights(9),
      ...nights(40)
        .slice(0, 30)
        .map(each => ({ ...each, state: 'damaged' as const, id: `${each.id}x` })),
    ];
    const why = '6 of 9 whole backups would go, more than the 66 % of pruneShare; --force lets them go';
    expect(halts(all, { sharePercent: 66 }, { daily: 3 })).toEqual([why]);
    expect(halts(all, { sharePercent: 67 }, { daily: 3 })).toEqual([]);
    expect(halts(nights(6), { sharePercent: 50 }, { daily: 3 })).toEqual([]);
    expect(halts(all, { sharePercent: 66, force: true }, { daily: 3 })).toEqual([]);
    const failed = { lastFailure: { at: new Date('2026-06-30T03:00Z') }, storeNow: later(9e9), force: true };
    expect(halts(nights(9).slice(0, -1), failed, { daily: 1 })).toHaveLength(3);
  });
});
