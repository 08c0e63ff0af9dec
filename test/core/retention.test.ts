import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, test } from '@jest/globals';
import { decide, policyOf } from '../../src/core/retention.ts';
import { at, DAY_MS, daysAgo, FRAME, idAt, keptOf, NOW, nights, staying, whyOf } from './retention/make.ts';

const BERLIN = 'Europe/Berlin';
const BUILT_IN = { daily: 30, weekly: 12, monthly: 12, wal: '30d' };
const YEAR = nights(800);

describe('the built-in policy over years of nights', () => {
  const decisions = decide(YEAR, policyOf(BUILT_IN), { ...FRAME, logUntil: new Map() });
  const labelled = (period: string) =>
    decisions.flatMap(({ id, reasons }) => reasons.filter(why => why.startsWith(period)).map(why => `${id.slice(0, 8)} ${why}`));

  it('keeps 30 days, 12 Sundays and 12 firsts of a month, oldest first', () => {
    expect(labelled('daily')).toHaveLength(30);
    expect(labelled('weekly').slice(-2)).toEqual(['20260621 weekly: week of 2026-06-21', '20260628 weekly: week of 2026-06-28']);
    expect(labelled('monthly').slice(0, 2)).toEqual(['20250701 monthly: 2025-07', '20250801 monthly: 2025-08']);
    expect(decisions.map(({ id }) => id)).toEqual(YEAR.map(({ id }) => id));
  });

  it('gives every decision a reason', () => {
    expect(decisions.filter(({ reasons }) => reasons.length === 0)).toEqual([]);
    expect(decisions[0]).toEqual({ id: YEAR[0]!.id, keep: false, reasons: ['no rule keeps it'] });
  });

  it('begins weeks on Monday where the config says so', () => {
    const why = whyOf(idAt('2026-06-22T02:00Z'), YEAR, { weekly: 2 }, { weekStart: 'monday' });
    expect(why).toBe('weekly: week of 2026-06-22');
  });
});

describe('calendar', () => {
  it('RT01: one named zone for the schedule and the buckets: each of three nights around summer time is a day of its own', () => {
    const three = ['2019-03-30T00:01', '2019-03-31T00:02', '2019-03-31T23:02'];
    const candidates = three.map(text => at(`${text}Z`));
    expect(staying(candidates, { daily: 3 }, { zone: BERLIN })).toEqual(three);
    expect(staying(candidates, { daily: 3 }, { zone: 'UTC' })).toEqual(three.slice(0, 2).concat(three[2]!));
    expect(whyOf(candidates[2]!.id, candidates, { daily: 3 }, { zone: BERLIN })).toContain('daily: 2019-04-01');
  });

  it('RT03: a week is named by the date of its first day, right across New Year', () => {
    const sundays = ['2020-12-20', '2020-12-27', '2021-01-03', '2021-01-10'].map(day => at(`${day}T02:00Z`));
    const within = [at('2020-12-31T02:00Z'), at('2021-01-01T02:00Z'), at('2021-01-02T02:00Z'), at('2021-01-09T02:00Z')];
    const all = [...sundays, ...within];
    expect(staying(all, { weekly: 3 })).toEqual(['2020-12-27T02:00', '2021-01-03T02:00', '2021-01-10T02:00']);
    expect(whyOf(sundays[1]!.id, all, { weekly: 3 })).toBe('weekly: week of 2020-12-27');
    expect(staying(all, { weekly: 4 }, { weekStart: 'monday' }).slice(0, 3)).toEqual([
      '2020-12-20T02:00',
      '2020-12-27T02:00',
      '2021-01-10T02:00',
    ]);
  });

  it("RT04: a month's only backup stays as long as its month is among the newest that hold one", () => {
    const all = [at('2026-01-31T02:00Z'), at('2026-03-01T02:00Z'), at('2026-03-04T02:00Z'), at('2026-05-09T02:00Z')];
    expect(staying(all, { monthly: 3 })).toEqual(['2026-01-31T02:00', '2026-03-01T02:00', '2026-05-09T02:00']);
    expect(staying(all, { monthly: 2 })).toEqual(['2026-03-01T02:00', '2026-05-09T02:00']);
  });

  it.each([
    ['2021-05-01T00:00Z', 'America/New_York', 'monthly: 2021-04', 'daily: 2021-04-30', 'yearly: 2021'],
    ['2021-05-01T04:00Z', 'America/New_York', 'monthly: 2021-05', 'daily: 2021-05-01', 'yearly: 2021'],
    ['2024-02-29T23:30Z', 'UTC', 'monthly: 2024-02', 'daily: 2024-02-29', 'yearly: 2024'],
    ['2024-02-29T23:30Z', BERLIN, 'monthly: 2024-03', 'daily: 2024-03-01', 'yearly: 2024'],
    ['2025-12-31T18:30Z', 'Asia/Kolkata', 'monthly: 2026-01', 'daily: 2026-01-01', 'yearly: 2026'],
    ['2011-12-30T10:30Z', 'Pacific/Apia', 'monthly: 2011-12', 'daily: 2011-12-31', 'yearly: 2011'],
  ])('RT05: %s in %s', (when, zone, ...labels) => {
    const why = whyOf(idAt(when), [at(when)], { daily: 1, monthly: 1, yearly: 1 }, { zone });
    for (const label of labels) expect(why.split('; ')).toContain(label);
  });

  it('RT05: months are counted as months: on 31 March the month before is February, and none is skipped', () => {
    const ends = ['2023-12-31', '2024-01-31', '2024-02-29', '2024-03-31'].map(day => at(`${day}T02:00Z`));
    expect(staying(ends, { monthly: 3 }, { now: new Date('2024-03-31T12:00Z') })).toEqual([
      '2024-01-31T02:00',
      '2024-02-29T02:00',
      '2024-03-31T02:00',
    ]);
  });

  it('counts an hour that clocks show twice as two, and one that they skip as none', () => {
    const fall = ['2025-10-26T00:10', '2025-10-26T00:40', '2025-10-26T01:10', '2025-10-26T02:10'];
    expect(
      staying(
        fall.map(text => at(`${text}Z`)),
        { hourly: 3 },
        { zone: BERLIN },
      ),
    ).toEqual([fall[0], fall[2], fall[3]]);
    const halfHour = ['2026-04-04T14:40', '2026-04-04T15:10', '2026-04-04T15:40'].map(text => at(`${text}Z`));
    const labels = halfHour.map(each => whyOf(each.id, halfHour, { hourly: 3 }, { zone: 'Australia/Lord_Howe' }));
    expect(labels).toEqual([
      expect.stringContaining('hourly: 2026-04-05 01:00 +11:00'),
      expect.stringContaining('hourly: 2026-04-05 01:00 +10:30'),
      expect.stringContaining('hourly: 2026-04-05 02:00 +10:30'),
    ]);
  });

  it.each(['UTC', 'Europe/Moscow', 'America/New_York'])('RT02: the same decisions under TZ=%s of the process', TZ => {
    const path = (name: string) => JSON.stringify(fileURLToPath(new URL(name, import.meta.url)));
    const policy = { hourly: 5, daily: 3, weekly: 3, monthly: 3, yearly: 2 };
    const script = `
      import { decide } from ${path('../../src/core/retention.ts')};
      import { at, FRAME, nights } from ${path('./retention/make.ts')};
      const set = ['2019-03-30T00:01Z', '2019-03-31T00:02Z', '2019-03-31T23:02Z'].map(text => at(text)).concat(nights(400));
      const all = ['UTC', 'Europe/Berlin', 'America/New_York'].map(zone => decide(set, ${JSON.stringify(policy)}, { ...FRAME, zone }));
      console.log(JSON.stringify([new Date(0).getTimezoneOffset(), all]));`;
    const out = execFileSync(process.execPath, ['--no-warnings', '--input-type=module-typescript', '-e', script], {
      env: { ...process.env, TZ },
      encoding: 'utf8',
    });
    const set = ['2019-03-30T00:01Z', '2019-03-31T00:02Z', '2019-03-31T23:02Z'].map(text => at(text)).concat(nights(400));
    const here = ['UTC', BERLIN, 'America/New_York'].map(zone => decide(set, policy, { ...FRAME, zone }));
    expect(JSON.parse(out)).toEqual([{ UTC: 0, 'Europe/Moscow': -180, 'America/New_York': 300 }[TZ], here]);
  });
});

describe('what counts', () => {
  it.each([
    ['damaged', { state: 'damaged' as const }],
    ['anomalous', { anomalous: true }],
  ])('RT06: 15 failed nights (%s) never touch the newest good one', (_, failed) => {
    const all = nights(20).map((each, n) => (n < 5 ? each : { ...each, ...failed }));
    for (const policy of [{ within: 14 * DAY_MS }, { daily: 14 }, { last: 1 }, {}])
      expect(staying(all, policy)).toContain('2026-06-15T02:00');
    expect(whyOf(all[4]!.id, all, { within: 14 * DAY_MS })).toBe('the newest good one');
    expect(staying(all, { daily: 3 }).slice(0, 3)).toEqual(['2026-06-13T02:00', '2026-06-14T02:00', '2026-06-15T02:00']);
  });

  it('RT07: two good, three that are not, keep 2: the two good ones stay', () => {
    const bad = [{ state: 'damaged' as const }, { anomalous: true }, { state: 'damaged' as const, anomalous: true }];
    const all = [at(daysAgo(14)), at(daysAgo(13)), ...bad.map((more, n) => at(daysAgo(12 - n), more))];
    for (const policy of [{ last: 2 }, { daily: 2 }])
      expect(keptOf(decide(all, policy, FRAME))).toEqual(expect.arrayContaining([all[0]!.id, all[1]!.id]));
  });

  it('PG21: what lacks a piece is not counted, and goes only when it would go were it whole', () => {
    const all = nights(10).map((each, n) => (n === 2 || n === 6 ? { ...each, state: 'damaged' as const } : each));
    const kept = [25, 26, 27, 28, 29, 30].map(day => `2026-06-${day}T02:00`);
    expect(staying(all, { daily: 5 })).toEqual(kept);
    expect(whyOf(all[6]!.id, all, { daily: 5 })).toBe('damaged; were it whole it would stay (daily: 2026-06-27)');
    expect(whyOf(all[2]!.id, all, { daily: 5 })).toBe('damaged; were it whole no rule would keep it');
  });

  it('never counts an increment whose full one is damaged or gone', () => {
    const full = at(daysAgo(30));
    const hurt = at(daysAgo(20), { state: 'damaged' });
    const orphan = at(daysAgo(10), { needs: [idAt(daysAgo(11))] });
    const child = at(daysAgo(9), { needs: [hurt.id] });
    const grandchild = at(daysAgo(8), { needs: [child.id] });
    const all = [full, hurt, orphan, child, grandchild];
    expect(keptOf(decide(all, { last: 1 }, FRAME))).toEqual([full.id, hurt.id, child.id, grandchild.id]);
    expect(whyOf(grandchild.id, all, { last: 1 })).toBe(
      'what it needs is damaged or missing; were it whole it would stay (the newest good one; last 1)',
    );
    expect(whyOf(hurt.id, all, { last: 1 })).toBe(`needed by ${child.id}`);
    expect(whyOf(orphan.id, all, { last: 1 })).toBe('what it needs is damaged or missing; were it whole no rule would keep it');
  });

  it('keeps anomalies as long as an older good one, and all of them where no good one is', () => {
    const all = nights(20).map((each, n) => (n === 2 || n === 10 ? { ...each, anomalous: true } : each));
    expect(whyOf(all[10]!.id, all, { daily: 15 })).toMatch(/^an anomaly, younger than the oldest good one/);
    expect(whyOf(all[2]!.id, all, { daily: 15 })).toMatch(/^an anomaly, older than every good one/);
    expect(staying(all, { daily: 15 })).toHaveLength(16);
    expect(staying(nights(20, { anomalous: true }), { daily: 3 })).toHaveLength(20);
  });

  it('keeps what is young, guarded, unreadable, of unknown or of future time, and says why', () => {
    const all = [
      at(daysAgo(90), { id: 'held', guards: ['held until 2027-01-01 (audit)'] }),
      at(daysAgo(80), { id: 'unreadable', state: 'unreadable' }),
      { ...at(daysAgo(70), { id: 'unknown' }), startedAt: new Date(Number.NaN) },
      at(daysAgo(60), { id: 'goes' }),
      at(daysAgo(3 - 1 / DAY_MS), { id: 'young', state: 'damaged' }),
      at(daysAgo(1), { id: 'newest' }),
      at(daysAgo(-1), { id: 'future' }),
    ];
    expect(decide(all, {}, FRAME)).toEqual([
      { id: 'unknown', keep: true, reasons: ['of unknown time, and what is not known is never removed'] },
      { id: 'held', keep: true, reasons: ['held until 2027-01-01 (audit)'] },
      { id: 'unreadable', keep: true, reasons: ['unreadable, and what is not known is never removed'] },
      { id: 'goes', keep: false, reasons: ['no rule keeps it'] },
      { id: 'young', keep: true, reasons: ['younger than 3 d'] },
      { id: 'newest', keep: true, reasons: ['younger than 3 d', 'the newest good one'] },
      { id: 'future', keep: true, reasons: ['starts in the future: a clock is wrong'] },
    ]);
  });

  it('does not count what is unreadable, not even where all that is damaged counts', () => {
    const all = [at(daysAgo(30)), at(daysAgo(20), { state: 'damaged' }), at(daysAgo(10), { state: 'unreadable' })];
    expect(whyOf(all[2]!.id, all, { last: 1 })).toBe('unreadable, and what is not known is never removed');
    expect(whyOf(all[1]!.id, all, { last: 1 })).toBe('damaged; were it whole it would stay (the newest good one; last 1)');
  });

  it('keeps what began within a span, and not what began right at its start', () => {
    const all = [at(daysAgo(7), { id: 'start' }), at(daysAgo(7 - 1 / DAY_MS), { id: 'after' }), at(daysAgo(5), { id: 'newest' })];
    expect(keptOf(decide(all, { within: 7 * DAY_MS }, FRAME))).toEqual(['after', 'newest']);
  });

  it('RT08: without any rule the newest good one and the young stay', () => {
    expect(staying(nights(10), {})).toEqual(['2026-06-28T02:00', '2026-06-29T02:00', '2026-06-30T02:00']);
    expect(staying([at(daysAgo(9)), at(daysAgo(8))], { last: 0, daily: 0, weekly: 0 })).toHaveLength(1);
  });
});

describe('chains', () => {
  const chain = (...days: number[]) => days.map((day, n) => at(daysAgo(day), { id: 'ABCD'[n]!, needs: n === 0 ? [] : ['ABCD'[n - 1]!] }));

  it('RT09: one full and three increments, at least two: the whole chain stays', () => {
    const all = [at(daysAgo(40), { id: 'older' }), ...chain(30, 20, 15, 10)];
    expect(keptOf(decide(all, { last: 2 }, FRAME))).toEqual(['A', 'B', 'C', 'D']);
    expect(whyOf('A', all, { last: 2 })).toBe('needed by B');
  });

  it('RT10: A, B on A, C on B; keep the newest: A and B stay', () => {
    expect(decide(chain(30, 20, 10), { last: 1 }, FRAME)).toEqual([
      { id: 'A', keep: true, reasons: ['needed by B'] },
      { id: 'B', keep: true, reasons: ['needed by C'] },
      { id: 'C', keep: true, reasons: ['the newest good one', 'last 1'] },
    ]);
  });

  it('follows needs from what is guarded, over what is damaged, and through a chain of thousands', () => {
    const guarded = chain(30, 20, 10).map(each => ({ ...each, ...(each.id === 'B' ? { state: 'damaged' as const } : {}) }));
    guarded[2] = { ...guarded[2]!, guards: ['held'] };
    expect(keptOf(decide(guarded, {}, FRAME))).toEqual(['A', 'B', 'C']);
    const long = Array.from({ length: 20_000 }, (_, n) => at(daysAgo(20_100 - n), { id: `n${n}`, needs: n > 0 ? [`n${n - 1}`] : [] }));
    expect(keptOf(decide(long, { last: 1 }, FRAME))).toHaveLength(20_000);
  });
});

describe('the window of a log', () => {
  const WINDOW = { last: 1, window: 3 * DAY_MS };
  const A = '7000-1';
  const logUntil = new Map([[A, NOW]]);
  const slow = (began: number, ended: number, lineage = A) => at(daysAgo(began), { endedAt: daysAgo(ended), lineage });

  it('RT16: a 3-day window over slow fulls: the one that had ended before the cut-off stays, and why is said', () => {
    const all = [slow(12, 9), slow(8, 5), slow(4, 1), slow(0.9, 0.5)];
    expect(keptOf(decide(all, WINDOW, { ...FRAME, logUntil }))).toEqual([all[1]!.id, all[3]!.id]);
    expect(whyOf(all[1]!.id, all, WINDOW, { logUntil })).toBe('reaches back to the start of the 3 d window');
  });

  it('RT16: one that had ended right at the cut-off is the start', () => {
    const all = [slow(8, 5), slow(4, 3), slow(0.9, 0.5)];
    expect(keptOf(decide(all, WINDOW, { ...FRAME, logUntil }))).toEqual([all[1]!.id, all[2]!.id]);
  });

  it('RT16: where none had ended by then, the first of the lineage is the start', () => {
    const wide = { last: 1, window: 30 * DAY_MS };
    const all = [slow(20, 19), slow(10, 9), slow(5, 4)];
    expect(whyOf(all[0]!.id, all, wide, { logUntil })).toBe('the first of its lineage, inside the 30 d window');
    expect(whyOf(all[1]!.id, all, wide, { logUntil })).toBe('no rule keeps it');
  });

  it('RT16: each lineage that has something after the cut-off has its own start; one that has nothing has none', () => {
    const all = [slow(40, 39, '7000-1'), slow(30, 29, '7000-1'), slow(20, 19, '7000-2'), slow(15, 14, '7000-3'), slow(1, 0.9, '7000-3')];
    const until = new Map([
      ['7000-2', daysAgo(2)],
      ['7000-1', daysAgo(10)],
    ]);
    expect(keptOf(decide(all, WINDOW, { ...FRAME, logUntil: until }))).toEqual([all[2]!.id, all[3]!.id, all[4]!.id]);
  });

  it('RT16: a lineage of which nothing stays after the cut-off, and that has no log there, has no start', () => {
    const all = [slow(41, 40, '7000-1'), slow(21, 20, '7000-1'), slow(1, 0.9, '7000-2')];
    const wide = { last: 1, window: 30 * DAY_MS };
    expect(keptOf(decide(all, wide, FRAME))).toEqual([all[2]!.id]);
    const held = [all[0]!, { ...all[1]!, guards: ['held'] }, all[2]!];
    expect(keptOf(decide(held, wide, FRAME))).toEqual(all.map(({ id }) => id));
  });

  it('RT16: what the start needs stays with it', () => {
    const full = slow(20, 19);
    const all = [full, { ...slow(8, 5), needs: [full.id] }, slow(0.9, 0.5)];
    expect(whyOf(full.id, all, WINDOW, { logUntil })).toBe(`needed by ${all[1]!.id}`);
  });

  it('RT16: keeps nothing for a window that the policy does not have, or without a lineage', () => {
    const all = [slow(8, 5), slow(4, 1), slow(0.9, 0.5)];
    expect(keptOf(decide(all, { last: 1 }, { ...FRAME, logUntil }))).toEqual([all[2]!.id]);
    const bare = all.map(({ lineage: _, ...each }) => each);
    expect(keptOf(decide(bare, WINDOW, { ...FRAME, logUntil }))).toEqual([all[2]!.id]);
  });

  it('RT16: a damaged start stays beside the good one that does its work', () => {
    const all = [slow(12, 9), { ...slow(8, 5), state: 'damaged' as const }, slow(0.9, 0.5)];
    expect(keptOf(decide(all, WINDOW, { ...FRAME, logUntil }))).toEqual(all.map(({ id }) => id));
    expect(whyOf(all[1]!.id, all, WINDOW, { logUntil })).toBe(
      'damaged; were it whole it would stay (reaches back to the start of the 3 d window)',
    );
  });
});

describe('policyOf', () => {
  it('reads the retention of a config', () => {
    expect(policyOf({ ...BUILT_IN, last: 0, within: '7d' })).toEqual({
      daily: 30,
      weekly: 12,
      monthly: 12,
      last: 0,
      within: 7 * DAY_MS,
      window: 30 * DAY_MS,
    });
    expect(policyOf({ daily: 3, within: '0d' })).toEqual({ daily: 3 });
  });

  test.each([
    [{ wal: '0d' }, /retention\.wal is 0d: it must be longer than 0/],
    [{ wal: 30 }, /"30" is no duration/],
    [{ wal: '-1d' }, /"-1d" is no duration/],
    [{ within: 'soon' }, /"soon" is no duration/],
    [{ daily: -1 }, /retention\.daily is -1: it must be a whole number/],
    [{ daily: 1.5 }, /whole number/],
    [{ daily: Number.NaN }, /whole number/],
  ])('RT20: refuses %j', (retention, why) => {
    expect(() => policyOf(retention)).toThrow(expect.objectContaining({ exit: 'usage', message: expect.stringMatching(why) }));
  });
});
