import { TZDate } from '@date-fns/tz';
import { describe, expect, it } from '@jest/globals';
import { startOfDay, startOfMonth, startOfWeek, startOfYear } from 'date-fns';
import fc from 'fast-check';
import { goodOnes } from '../../../src/core/retention/good.ts';
import { type Candidate, decide, type Frame, type Policy } from '../../../src/core/retention.ts';
import { at, DAY_MS, daysAgo, FRAME, idAt, keptOf, NOW } from './make.ts';

const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/Havana'];
const RUNS = { numRuns: 400 };

/** What is drawn for one backup; `needs` are drawn as numbers and become ids of backups before it. */
interface Draw {
  ms: number;
  tookMs: number;
  state: Candidate['state'];
  anomalous: boolean;
  lineage: string | undefined;
  unknown: boolean;
  guards: string[];
  needs: number[];
}

const often = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(usual, ...others) });

const draw: fc.Arbitrary<Draw> = fc.record({
  ms: fc.oneof(
    fc.integer({ min: NOW.getTime() - 1100 * DAY_MS, max: NOW.getTime() + 5 * DAY_MS }),
    fc.integer({ min: NOW.getTime() - 12 * DAY_MS, max: NOW.getTime() }),
    // The days on which clocks in Berlin, New York and Lord Howe change.
    fc
      .constantFrom('2025-10-26', '2025-11-02', '2026-03-29', '2026-03-08', '2026-04-05')
      .chain(day => fc.integer({ min: -30, max: 30 }).map(halfHours => Date.parse(`${day}T00:00Z`) + halfHours * 1_800_000)),
  ),
  tookMs: fc.integer({ min: 0, max: 6 * DAY_MS }),
  state: often<Candidate['state']>('whole', 'damaged', 'unreadable'),
  anomalous: often(false, true),
  lineage: fc.constantFrom('7000-1', '7000-1', '7000-2', undefined),
  unknown: often(false, true),
  guards: often<string[]>([], ['held']),
  needs: often<number[]>([], [0], [1], [0, 3], [2]),
});

function built(draws: readonly Draw[]): Candidate[] {
  const sorted = [...draws].sort((a, b) => a.ms - b.ms);
  const ids = sorted.map(({ ms }, n) => idAt(new Date(ms), n));
  return sorted.map(({ ms, tookMs, unknown, lineage, needs, ...rest }, n) => ({
    ...rest,
    id: ids[n]!,
    ...(unknown ? {} : { startedAt: new Date(ms) }),
    endedAt: new Date(ms + tookMs),
    ...(lineage ? { lineage } : {}),
    // Counted back from the backup itself; before the first there are only ids that are not there.
    needs: needs.map(back => ids[n - 1 - back] ?? idAt(new Date(0), back)),
  }));
}

const history = fc.array(draw, { maxLength: 40 }).map(built);
const count = fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined });
const span = fc.option(
  fc.integer({ min: 1, max: 60 }).map(days => days * DAY_MS),
  { nil: undefined },
);
const policy: fc.Arbitrary<Policy> = fc
  .record({ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count, within: span, window: span })
  .map(all => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));
const frame: fc.Arbitrary<Frame> = fc.record({
  now: fc.constant(NOW),
  zone: fc.constantFrom(...ZONES),
  weekStart: fc.constantFrom('sunday' as const, 'monday' as const),
  logUntil: fc
    .uniqueArray(fc.tuple(fc.constantFrom('7000-1', '7000-2'), fc.integer({ min: 0, max: 90 })), { selector: ([lineage]) => lineage })
    .map(pairs => new Map(pairs.map(([lineage, days]) => [lineage, daysAgo(days)]))),
});

const all = (check: (candidates: Candidate[], policy: Policy, frame: Frame) => void): void =>
  fc.assert(fc.property(history, policy, frame, check), RUNS);

describe('whatever the history, the policy and the zone', () => {
  it('the newest good one stays', () => {
    all((candidates, rules, where) => {
      const newest = goodOnes(candidates, NOW).at(-1);
      if (newest) expect(keptOf(decide(candidates, rules, where))).toContain(newest.id);
    });
  });

  it('all that is needed by what stays, stays', () => {
    all((candidates, rules, where) => {
      const kept = new Set(keptOf(decide(candidates, rules, where)));
      const there = new Set(candidates.map(({ id }) => id));
      const lacking = candidates.filter(({ id, needs }) => kept.has(id) && needs.some(need => there.has(need) && !kept.has(need)));
      expect(lacking).toEqual([]);
    });
  });

  it('pruning twice is pruning once', () => {
    all((candidates, rules, where) => {
      const kept = new Set(keptOf(decide(candidates, rules, where)));
      const left = candidates.filter(({ id }) => kept.has(id));
      expect(decide(left, rules, where).filter(({ keep }) => !keep)).toEqual([]);
    });
  });

  it('the order of the listing does not matter', () => {
    fc.assert(
      fc.property(
        history.chain(candidates => fc.tuple(fc.constant(candidates), fc.shuffledSubarray(candidates, { minLength: candidates.length }))),
        policy,
        frame,
        ([candidates, shuffled], rules, where) => {
          expect(decide(shuffled, rules, where)).toEqual(decide(candidates, rules, where));
        },
      ),
      RUNS,
    );
  });

  it('what is guarded, unreadable, unknown, young or of the future stays, and every decision has a reason', () => {
    all((candidates, rules, where) => {
      const decisions = decide(candidates, rules, where);
      expect(decisions.filter(({ reasons }) => reasons.length === 0 || reasons.includes(''))).toEqual([]);
      const going = new Set(decisions.filter(({ keep }) => !keep).map(({ id }) => id));
      const wrong = candidates.filter(
        ({ id, guards, state, startedAt }) =>
          going.has(id) && (guards.length > 0 || state === 'unreadable' || !startedAt || startedAt.getTime() > NOW.getTime() - 3 * DAY_MS),
      );
      expect(wrong).toEqual([]);
    });
  });

  it('the keeper of a bucket is the same once a newer backup has come', () => {
    const keepers = (candidates: Candidate[], rules: Policy, where: Frame) =>
      new Map(
        decide(candidates, rules, where).flatMap(({ id, reasons }) =>
          reasons.filter(why => /^(hourly|daily|weekly|monthly|yearly): /.test(why)).map(why => [why, id] as const),
        ),
      );
    fc.assert(
      fc.property(history, policy, frame, fc.integer({ min: 0, max: 40 * DAY_MS }), (candidates, rules, where, later) => {
        const before = keepers(candidates, rules, where);
        const now = new Date(NOW.getTime() + later);
        const started = candidates.map(({ startedAt }) => startedAt?.getTime() ?? 0);
        const newer = at(new Date(Math.max(NOW.getTime() - DAY_MS, ...started.filter(ms => ms <= NOW.getTime())) + 1), { id: 'newer' });
        // What was of the future has begun meanwhile: it would be newer too, and is left out.
        const past = candidates.filter(({ startedAt }) => !startedAt || startedAt.getTime() <= NOW.getTime());
        const after = keepers([...past, newer], rules, { ...where, now });
        for (const [bucket, id] of after) if (before.has(bucket)) expect([bucket, id]).toEqual([bucket, before.get(bucket)]);
      }),
      RUNS,
    );
  });

  it('no instant of the window is lost that could be reached by a log without holes', () => {
    const reachable = (candidates: readonly Candidate[], lineage: string, cutoff: number) =>
      Math.max(
        cutoff,
        Math.min(
          ...goodOnes(candidates, NOW)
            .filter(each => each.lineage === lineage)
            .map(({ endedAt }) => endedAt!.getTime()),
        ),
      );
    all((candidates, rules, where) => {
      if (rules.window === undefined) return;
      const cutoff = NOW.getTime() - rules.window;
      const kept = new Set(keptOf(decide(candidates, rules, where)));
      const left = candidates.filter(({ id }) => kept.has(id));
      for (const [lineage, until] of where.logUntil)
        if (until.getTime() > cutoff) expect(reachable(left, lineage, cutoff)).toBe(reachable(candidates, lineage, cutoff));
    });
  });
});

describe('buckets', () => {
  const starts: Readonly<Record<string, (day: TZDate, weekStart: Frame['weekStart']) => Date>> = {
    daily: day => startOfDay(day),
    weekly: (day, weekStart) => startOfWeek(day, { weekStartsOn: weekStart === 'sunday' ? 0 : 1 }),
    monthly: day => startOfMonth(day),
    yearly: day => startOfYear(day),
  };
  /** By another library: the earliest of each of the newest `n` periods. */
  function expected(candidates: readonly Candidate[], period: string, n: number, where: Frame): string[] {
    const first = new Map<number, string>();
    for (const { id, startedAt } of candidates) {
      const start = starts[period]!(new TZDate(startedAt!.getTime(), where.zone), where.weekStart).getTime();
      if (!first.has(start)) first.set(start, id);
    }
    return [...first.values()].slice(-n);
  }

  it.each(Object.keys(starts))('%s are as date-fns counts them in the zone', period => {
    const old = fc
      .array(fc.integer({ min: NOW.getTime() - 1100 * DAY_MS, max: NOW.getTime() - 4 * DAY_MS }), { minLength: 1, maxLength: 60 })
      .map(list => [...new Set(list)].sort((a, b) => a - b).map((ms, n) => at(new Date(ms), { id: `n${n}` })));
    fc.assert(
      fc.property(old, fc.integer({ min: 1, max: 12 }), frame, (candidates, n, where) => {
        const kept = decide(candidates, { [period]: n }, where);
        const byRule = kept.filter(({ reasons }) => reasons.some(why => why.startsWith(`${period}:`))).map(({ id }) => id);
        expect(byRule).toEqual(expected(candidates, period, n, where));
      }),
      RUNS,
    );
  });
});

// One that looked at every pair of them would not end in the time that a test may take.
it('decides on 100,000 backups, some damaged', () => {
  const many = Array.from({ length: 100_000 }, (_, n) =>
    at(new Date(NOW.getTime() - n * 600_000), {
      id: idAt(new Date(0), n) + n,
      ...(n % 50 === 7 ? { state: 'damaged' as const } : {}),
      needs: n % 9 ? [idAt(new Date(0), 99_999) + 99_999] : [],
    }),
  );
  const rules = { last: 9, hourly: 48, daily: 30, weekly: 12, monthly: 12, yearly: 3, within: 7 * DAY_MS, window: 30 * DAY_MS };
  expect(keptOf(decide(many, rules, { ...FRAME, zone: 'Europe/Berlin' })).length).toBeGreaterThan(1000);
});
