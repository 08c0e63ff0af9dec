import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Check, LogGap, Manifest } from '../../src/core/contracts.ts';
import type { Evidence } from '../../src/core/evidence.ts';
import { drillStatus } from '../../src/core/status/drills.ts';
import { sourceStatus } from '../../src/core/status/source.ts';
import { storeStatus } from '../../src/core/status/store.ts';
import type { Copy, Rules, RunEnd, Runs, SourceFacts, State, StoreFacts, TargetStatus } from '../../src/core/status/types.ts';
import { exitOf, isRed } from '../../src/core/status/verdict.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = new Date('2026-01-15T12:00:00Z');
const ago = (ms: number): string => new Date(NOW.getTime() - ms).toISOString();
const LINEAGE = '7000000000000000001-1';

const aCopy = (startedMs: number, change: Partial<Manifest> & { whole?: boolean; plain?: number } = {}): Copy => {
  const { whole = true, plain = 1000, ...manifest } = change;
  return {
    whole,
    bytes: 500,
    manifest: {
      id: `${ago(startedMs).replace(/[-:]|\.\d+/g, '')}-000000`,
      startedAt: ago(startedMs),
      recoveryPointAt: ago(startedMs - 60_000),
      finishedAt: ago(startedMs - 120_000),
      pieces: [{ name: 'data', bytes: plain }],
      ...manifest,
    } as unknown as Manifest,
  };
};

const facts = (copies: readonly Copy[], change: Partial<StoreFacts> = {}): StoreFacts => ({
  store: 'one',
  copies,
  unread: [],
  log: [],
  runs: {},
  bytes: 12_345,
  ...change,
});

/** Daily at 02:00, and a day and two hours of data may be lost. */
const DAILY: Rules = { schedule: '0 2 * * *', zone: 'UTC', rpoMs: 26 * HOUR };
/** The same with a log whose positions are decimal numbers. */
const LOGGED: Rules = { ...DAILY, rpoMs: 15 * 60_000, distance: (from, to) => Math.max(0, Number(to) - Number(from)) };

const status = (copies: readonly Copy[], change: Partial<StoreFacts> = {}, rules = DAILY, source?: SourceFacts) =>
  storeStatus(facts(copies, change), source, rules, NOW);
const red = (why: readonly { state: State; text: string }[]): string[] => why.filter(({ state }) => isRed(state)).map(({ text }) => text);

const THIS_MORNING = 10 * HOUR;
const YESTERDAY = 34 * HOUR;

describe('backups of a store', () => {
  it('one of this morning is fresh; what is next, what it reaches and what it takes are told', () => {
    const seen = status([aCopy(YESTERDAY), aCopy(THIS_MORNING)]);
    expect(seen).toEqual({
      store: 'one',
      up: true,
      state: 'ok',
      why: [],
      newest: {
        id: '20260115T020000Z-000000',
        startedAt: ago(THIS_MORNING),
        finishedAt: ago(THIS_MORNING - 120_000),
        recoveryPointAt: ago(THIS_MORNING - 60_000),
        bytes: 500,
        trendPercent: 0,
      },
      nextDue: '2026-01-16T02:00:00.000Z',
      recoveryPointAt: ago(THIS_MORNING - 60_000),
      backups: 2,
      damaged: 0,
      bytes: 12_345,
      runs: {},
    });
  });

  it('PG15: none at all is a failure', () => {
    const seen = status([]);
    expect(seen).toMatchObject({ state: 'failing', backups: 0, nextDue: '2026-01-16T02:00:00.000Z' });
    expect(red(seen.why)).toEqual(['there is no backup in it at all']);
    expect(seen.newest).toBeUndefined();
  });

  it('MO06: a run that never happened is late by its schedule, with no failure recorded anywhere', () => {
    const seen = status([aCopy(YESTERDAY)], {}, { ...DAILY, rpoMs: 365 * DAY });
    expect(seen).toMatchObject({ state: 'late', nextDue: '2026-01-15T02:00:00.000Z' });
    expect(red(seen.why)).toEqual([expect.stringMatching(/due 10 h ago .*newest one began 1 d ago/)]);
  });

  it('one that began in the future, by a wrong clock, is told and does not count: what fails or stays away meanwhile is red', () => {
    const future = aCopy(-365 * DAY);
    expect(status([aCopy(THIS_MORNING), future])).toMatchObject({
      state: 'ok',
      newest: { startedAt: ago(THIS_MORNING) },
      nextDue: '2026-01-16T02:00:00.000Z',
      why: [{ state: 'ok', text: expect.stringContaining(`${future.manifest.id} began in the future`) }],
    });
    expect(status([aCopy(THIS_MORNING), aCopy(-60_000)])).toMatchObject({ newest: { startedAt: ago(-60_000) }, why: [] });
    expect(status([aCopy(YESTERDAY + DAY), future])).toMatchObject({ state: 'late' });
    const failure: RunEnd = { finishedAt: ago(HOUR), exit: 'failed', message: 'disk full' };
    expect(status([aCopy(THIS_MORNING), future], { runs: { backup: { failure } } })).toMatchObject({ state: 'failing' });
    expect(status([future])).toMatchObject({ state: 'failing' });
  });

  it('a schedule is read in its zone', () => {
    expect(status([aCopy(THIS_MORNING)], {}, { ...DAILY, zone: 'America/New_York' }).nextDue).toBe('2026-01-15T07:00:00.000Z');
  });

  it('without a log, the age of the recovery point stands against the RPO', () => {
    const seen = status([aCopy(THIS_MORNING)], {}, { ...DAILY, rpoMs: 9 * HOUR });
    expect(seen.state).toBe('late');
    expect(red(seen.why)).toEqual([expect.stringMatching(/recovery point is of 9 h ago \(2026-01-15T02:01.*RPO is 9 h/)]);
  });

  it('MO09: the newest is an anomaly: failing, and what counts is the one before it', () => {
    const seen = status([aCopy(YESTERDAY), aCopy(THIS_MORNING, { anomaly: 'it has 1 KB' })]);
    expect(seen).toMatchObject({ state: 'failing', newest: { startedAt: ago(YESTERDAY) } });
    expect(red(seen.why)).toContainEqual(expect.stringContaining('it has 1 KB'));
    expect(red(seen.why)).toContainEqual(expect.stringContaining('left no good backup'));
  });

  it('the newest is damaged: failing; an older one is told and does not count', () => {
    const newest = status([aCopy(YESTERDAY), aCopy(THIS_MORNING, { whole: false })]);
    expect(red(newest.why)).toContainEqual(expect.stringContaining('20260115T020000Z-000000, is damaged'));
    const older = status([aCopy(YESTERDAY, { whole: false }), aCopy(THIS_MORNING)]);
    expect(older).toMatchObject({ state: 'ok', backups: 1, damaged: 1, why: [{ text: expect.stringContaining('1 older backup') }] });
  });

  it('a manifest that is not trusted is red when it is newer than the newest good one', () => {
    const unread = [{ id: '20260115T110000Z-ffffff', text: 'not signed' }];
    expect(red(status([aCopy(THIS_MORNING)], { unread }).why)).toEqual(['not signed']);
    expect(status([aCopy(THIS_MORNING)], { unread: [{ ...unread[0]!, id: '20250115T110000Z-ffffff' }] }).state).toBe('ok');
    expect(red(status([], { unread }).why)).toEqual(['not signed', 'none of its backups is good']);
  });

  it('the trend is against the median of the five good ones before', () => {
    const sizes = [1, 900, 1000, 1000, 1100, 5000, 1500];
    const copies = sizes.map((plain, n) => aCopy(THIS_MORNING + (sizes.length - 1 - n) * DAY, { plain }));
    expect(status(copies).newest?.trendPercent).toBe(50);
    expect(status(copies.slice(-1)).newest).not.toHaveProperty('trendPercent');
  });

  it('a store that does not answer is failing with its reason, whatever else is known', () => {
    const seen = status([aCopy(THIS_MORNING)], { silent: 'store one (/srv) is not there' });
    expect(seen).toMatchObject({ up: false, state: 'failing', why: [{ state: 'failing', text: 'store one (/srv) is not there' }] });
  });
});

describe('a log', () => {
  const base = aCopy(THIS_MORNING, { lineage: LINEAGE, wal: { timeline: 1, from: '100', to: '200', segmentBytes: 16 } });
  const log = (ms: number, end = '300', lineage = LINEAGE): Partial<StoreFacts> => ({ log: [{ lineage, at: new Date(ago(ms)), end }] });
  const at = (position: string, lineage = LINEAGE): SourceFacts => ({ position, lineage, checks: [] });

  it('that holds all that the source wrote is not behind, however long ago the source last wrote', () => {
    const seen = status([base], log(3 * HOUR), LOGGED, at('300'));
    expect(seen).toMatchObject({ state: 'ok', recoveryPointAt: NOW.toISOString(), log: { lagSeconds: 0, lagBytes: 0, end: '300' } });
  });

  it('that lacks some is as far behind as its newest part is old', () => {
    expect(status([base], log(60_000), LOGGED, at('350'))).toMatchObject({ state: 'ok', log: { lagSeconds: 60, lagBytes: 50 } });
    const seen = status([base], log(20 * 60_000), LOGGED, at('350'));
    expect(seen).toMatchObject({ state: 'late', recoveryPointAt: ago(20 * 60_000), log: { lagSeconds: 1200 } });
    expect(red(seen.why)).toEqual([expect.stringMatching(/20 min ago and 50 bytes behind.*RPO is 15 min/)]);
  });

  it('with a gap behind the newest backup reaches no further than that: what the source wrote is there, and of no use', () => {
    const gap = { first: 'x', last: 'z', from: '240', until: '280', at: new Date(ago(HOUR)) };
    const with_ = (...gaps: LogGap[]): Partial<StoreFacts> => ({ log: [{ lineage: LINEAGE, at: NOW, end: '300', gaps }] });
    const seen = status([base], with_(gap), LOGGED, at('300'));
    expect(seen).toMatchObject({ state: 'late', recoveryPointAt: ago(HOUR), log: { lagBytes: 60, end: '240' } });
    expect(red(seen.why)).toEqual([
      expect.stringMatching(/^it lacks x to z, behind which only a new backup goes on; the newest log in it before that is of 1 h ago/),
    ]);
    const within = { ...gap, from: '150', until: '208' };
    expect(status([base], with_(within), LOGGED, at('300'))).toMatchObject({ state: 'ok', recoveryPointAt: NOW.toISOString() });
    expect(status([base], with_(within, gap), LOGGED, at('300'))).toMatchObject({ state: 'late', log: { end: '240' } });
    expect(status([base], with_({ ...gap, at: new Date(ago(60_000)) }), LOGGED, at('300'))).toMatchObject({ state: 'ok' });
  });

  it('that begins behind the end of the newest backup is of no use: what was taken from its front is between no two files', () => {
    const from = (begins: string): Partial<StoreFacts> => ({ log: [{ lineage: LINEAGE, at: NOW, end: '300', begins }] });
    const old = aCopy(THIS_MORNING, { lineage: LINEAGE, wal: base.manifest.wal! });
    const seen = status([old], from('280'), LOGGED, at('300'));
    expect(seen).toMatchObject({ state: 'late', recoveryPointAt: old.manifest.recoveryPointAt, log: { end: '200' } });
    expect(red(seen.why)).toEqual([expect.stringMatching(/^it lacks the log from 200 to 280, behind which only a new backup goes on/)]);
    for (const begins of ['50', '200', '208'])
      expect(status([old], from(begins), LOGGED, at('300'))).toMatchObject({ state: 'ok', recoveryPointAt: NOW.toISOString() });
  });

  it('of a source that does not answer is judged by its age, and its bytes are unknown', () => {
    const silent: SourceFacts = { error: 'refused', checks: [] };
    const young = status([base], log(60_000), LOGGED, silent);
    expect(young).toMatchObject({ state: 'ok', log: { lagSeconds: 60 } });
    expect(young.log).not.toHaveProperty('lagBytes');
    expect(status([base], log(HOUR), LOGGED, silent).state).toBe('late');
  });

  describe('against what the source is on record to have committed', () => {
    const marked = (...marks: [ms: number, position: string][]): Rules => ({
      ...LOGGED,
      marks: { of: new Map([[LINEAGE, marks.map(([ms, position]) => ({ at: new Date(ago(ms)), position }))]]) },
    });
    const silent: SourceFacts = { error: 'refused', checks: [] };

    it('that has all of it is idle: as young as its newest part', () => {
      const seen = status([base], log(60_000), marked([120_000, '250'], [60_000, '299']), silent);
      expect(seen).toMatchObject({ state: 'ok', log: { lagSeconds: 60 } });
      expect(seen.log).not.toHaveProperty('missedAt');
    });

    it('that catches up after an outage is as old as what it has, however lately that came', () => {
      const rules = marked([50 * 60_000, '250'], [40 * 60_000, '310'], [60_000, '900']);
      const seen = status([base], log(1000), rules, silent);
      expect(seen).toMatchObject({
        state: 'late',
        recoveryPointAt: ago(50 * 60_000),
        log: { lagSeconds: 3000, missedAt: ago(40 * 60_000) },
      });
      expect(red(seen.why)).toEqual([expect.stringMatching(/50 min ago; what the source had committed by \S+ is not in it/)]);
    });

    it('that stalls is late though the stream lives; within the RPO it is told and not red', () => {
      expect(status([base], log(20 * 60_000), marked([20 * 60_000, '299'], [30_000, '301']), silent).state).toBe('late');
      const young = status([base], log(60_000), marked([60_000, '299'], [30_000, '300']), silent);
      expect(young).toMatchObject({ state: 'ok', log: { lagSeconds: 60, missedAt: ago(30_000) } });
    });

    it('is not older than the first record where none of them is in it, nor older than the backup', () => {
      expect(status([base], log(1000), marked([60_000, '400']), silent).log).toMatchObject({ lagSeconds: 60 });
      const fresh = aCopy(5 * 60_000, { lineage: LINEAGE, wal: { timeline: 1, from: '100', to: '200', segmentBytes: 16 } });
      const seen = status([fresh], log(1000), marked([3 * HOUR, '400']), silent);
      expect(seen.recoveryPointAt).toBe(fresh.manifest.recoveryPointAt);
    });

    it('that holds all that the source says is never behind: records of another history do not count', () => {
      expect(status([base], log(HOUR), marked([60_000, '900']), at('300')).log).toMatchObject({ lagSeconds: 0, lagBytes: 0 });
    });

    it('which nobody trusted signed is unknown', () => {
      const seen = status([base], log(60_000), { ...LOGGED, marks: { of: new Map(), error: 'not signed' } }, silent);
      expect(seen).toMatchObject({ state: 'unknown', why: [{ state: 'unknown', text: 'not signed' }] });
    });
  });

  it('that ends before the backup does is as good as the backup, which brings its own', () => {
    const fresh = aCopy(5 * 60_000, { lineage: LINEAGE, wal: { timeline: 1, from: '100', to: '900', segmentBytes: 16 } });
    const seen = status([fresh], log(3 * HOUR, '300'), LOGGED, at('950'));
    expect(seen).toMatchObject({ state: 'ok', recoveryPointAt: fresh.manifest.recoveryPointAt, log: { end: '900', lagBytes: 50 } });
  });

  it('of another history than the newest backup says nothing: no position is compared with it', () => {
    const other = '7000000000000000001-2';
    const ahead = status([base], log(60_000), LOGGED, at('300', other));
    expect(ahead.log).not.toHaveProperty('lagBytes');
    expect(ahead.why).toEqual([{ state: 'ok', text: expect.stringContaining(other) }]);
    const alone = status([base], log(60_000, '300', other), LOGGED);
    expect(alone.log).toBeUndefined();
    expect(red(alone.why)).toEqual([expect.stringContaining('no log of it')]);
  });

  it('is not expected in a store that gets none by the config; one that should and has none is late, whatever another store has', () => {
    expect(status([base], { unlogged: true }, LOGGED)).toMatchObject({
      state: 'ok',
      why: [{ text: expect.stringContaining('gets no log') }],
    });
    expect(red(status([base], {}, LOGGED).why)).toEqual([expect.stringContaining('no log of it')]);
  });
});

describe('what ran', () => {
  const end = (ms: number, exit: RunEnd['exit'] = 'failed'): RunEnd => ({ finishedAt: ago(ms), exit, message: 'the reason' });
  const seen = (runs: Runs, copies = [aCopy(YESTERDAY), aCopy(THIS_MORNING)]) => status(copies, { runs });

  it('MO04: a failed backup is red until a good one comes after it', () => {
    expect(red(seen({ backup: { failure: end(HOUR) } }).why)).toEqual([
      expect.stringMatching(/last backup run failed: .*1 h ago.*the reason/),
    ]);
    expect(seen({ backup: { failure: end(20 * HOUR) } }).state).toBe('ok');
    expect(seen({ backup: { success: end(HOUR / 2, 'done'), failure: end(HOUR) } }).state).toBe('ok');
  });

  it('MO04: prune is red when it has failed and the last good one is older than a week', () => {
    const week = seen({ prune: { success: end(8 * DAY, 'done'), failure: end(HOUR) } });
    expect(red(week.why)).toEqual([expect.stringMatching(/prune fails: .*the reason, and the last good one was 8 d ago/)]);
    const days = seen({ prune: { success: end(6 * DAY, 'done'), failure: end(HOUR) } });
    expect(days).toMatchObject({ state: 'ok', why: [{ state: 'ok', text: expect.stringContaining('last prune failed') }] });
    expect(seen({ prune: { success: end(HOUR, 'done'), failure: end(8 * DAY) } }).why).toEqual([]);
  });

  it('a prune that never came to its end is red once there was a week of something to do', () => {
    expect(seen({ prune: { failure: end(HOUR) } }).state).toBe('ok');
    expect(seen({ prune: { failure: end(HOUR) } }, [aCopy(8 * DAY), aCopy(THIS_MORNING)]).state).toBe('failing');
  });

  it('a verification that found damage is red; one that could not look is a note', () => {
    expect(seen({ verify: { failure: end(HOUR, 'verifyFailed') } }).state).toBe('failing');
    expect(seen({ verify: { failure: end(HOUR, 'storeUnreachable') } }).state).toBe('ok');
    expect(seen({ verify: { success: end(0, 'done'), failure: end(HOUR, 'verifyFailed') } }).why).toEqual([]);
  });

  it('a failed drill is red; the instants of all are told', () => {
    const { state, runs } = seen({ drill: { success: end(DAY, 'done'), failure: end(HOUR) } });
    expect({ state, runs }).toEqual({ state: 'failing', runs: { drill: { successAt: ago(DAY), failureAt: ago(HOUR) } } });
  });

  it('records that cannot be read are unknown, and not red', () => {
    expect(status([aCopy(THIS_MORNING)], { runsError: 'no answer' }).state).toBe('unknown');
  });
});

describe('a source', () => {
  const check = (state: Check['state']): Check => ({ name: 'archiver', state, text: 'fails at 0001', mend: 'look there' });

  it('MO07: a failing check is red, with what mends it; a warning is a note', () => {
    expect(sourceStatus({ checks: [check('fail')] })).toMatchObject({
      state: 'failing',
      why: [{ text: 'archiver: fails at 0001 → look there' }],
    });
    expect(sourceStatus({ checks: [check('warn'), check('ok')] })).toMatchObject({ state: 'ok', why: [{ state: 'ok' }] });
  });

  it('that does not answer is unknown', () => {
    expect(sourceStatus({ error: 'connection refused', checks: [] })).toMatchObject({
      state: 'unknown',
      why: [{ text: expect.stringContaining('connection refused') }],
    });
  });
});

describe('drills', () => {
  const NOW = new Date('2026-02-01T00:00:00Z');
  const DAY = 86_400_000;
  const drilled = (name: string, ...successes: (string | undefined)[]): TargetStatus =>
    ({
      kind: 'redis',
      name,
      stores: successes.map(successAt => ({ up: true, runs: successAt ? { drill: { successAt } } : {} })),
    }) as unknown as TargetStatus;
  const evidence = (result: Evidence['result']): Evidence => ({
    version: 1,
    id: '20260131T000000Z-4f2a1c',
    env: 'production',
    drilledIn: 'staging',
    scope: 'full-dr',
    tool: 'bkp 0',
    startedAt: '2026-01-31T00:00:00.000Z',
    finishedAt: '2026-01-31T01:00:00.000Z',
    result,
    targets: [{ kind: 'redis', name: 'a', engine: 'native', wave: 0, result, checks: [] }],
  });
  const of = (targets: TargetStatus[], every: number | undefined, newest?: Evidence, silent: string[] = []) =>
    drillStatus(newest, targets, every, silent, NOW);

  it('are late by the newest good one of each target, out of whichever store', () => {
    const fresh = drilled('a', '2025-01-01T00:00:00.000Z', '2026-01-30T00:00:00.000Z');
    expect(of([fresh], 7 * DAY)).toEqual({ state: 'ok', why: [], everySeconds: 604_800 });
    expect(of([fresh, drilled('b', '2026-01-20T00:00:00.000Z'), drilled('c', undefined)], 7 * DAY)).toMatchObject({
      state: 'late',
      why: [
        { state: 'late', text: 'redis/b is to be drilled every 7 d: the last good drill was 12 d ago (2026-01-20T00:00:00.000Z)' },
        { state: 'late', text: 'redis/c is to be drilled every 7 d: no drill ever came out right' },
      ],
    });
    const down = { ...drilled('d', undefined), stores: [{ up: false, runs: {} }] } as unknown as TargetStatus;
    expect(of([down], 7 * DAY).why).toEqual([]);
  });

  it('are never red where nobody asks for them', () => {
    expect(of([drilled('c', undefined)], undefined)).toEqual({ state: 'ok', why: [] });
    expect(of([], undefined, evidence('failed'))).toMatchObject({ state: 'ok', why: [{ state: 'ok' }], last: { failed: ['redis/a'] } });
  });

  it('fail by the newest one; what was not proven is told', () => {
    expect(of([], DAY, evidence('passed'))).toMatchObject({ state: 'ok', why: [], last: { result: 'passed', failed: [] } });
    expect(of([], DAY, evidence('failed'))).toMatchObject({
      state: 'failing',
      why: [{ text: expect.stringMatching(/failed 23 h ago: redis\/a$/) }],
    });
    expect(of([], DAY, evidence('unproven'))).toMatchObject({
      state: 'ok',
      why: [{ text: expect.stringContaining('could not prove everything') }],
    });
    expect(of([], DAY, undefined, ['store x is gone'])).toMatchObject({
      state: 'unknown',
      why: [{ text: expect.stringContaining('store x is gone') }],
    });
  });
});

describe('the end', () => {
  const target = (state: State, ...up: boolean[]): TargetStatus =>
    ({ state, stores: up.map(each => ({ up: each })) }) as unknown as TargetStatus;

  it('is 10 when anything is red, 8 only when no store answers, else 0', () => {
    const drills = { state: 'ok', why: [] } as const;
    expect(exitOf({ drills, targets: [target('ok', true), target('late', true, true)] })).toBe('unhealthy');
    expect(exitOf({ drills, targets: [target('failing', true, false)] })).toBe('unhealthy');
    expect(exitOf({ drills, targets: [target('failing', false), target('ok', true)] })).toBe('unhealthy');
    expect(exitOf({ drills, targets: [target('failing', false, false), target('failing', false)] })).toBe('storeUnreachable');
    expect(exitOf({ drills, targets: [target('ok', true), target('unknown', true)] })).toBe('done');
    expect(exitOf({ drills: { state: 'late', why: [] }, targets: [target('ok', true)] })).toBe('unhealthy');
  });
});

describe('for all stores', () => {
  const copies = fc
    .array(fc.record({ hours: fc.integer({ min: 0, max: 5000 }), whole: fc.boolean(), odd: fc.boolean(), plain: fc.nat() }), {
      maxLength: 8,
    })
    .map(list =>
      list
        .sort((a, b) => b.hours - a.hours)
        .map(({ hours, whole, odd, plain }) => aCopy(hours * HOUR, { whole, plain, ...(odd ? { anomaly: 'odd' } : {}) })),
    );

  it('red says why, what is not good is never the newest, and a good backup of now makes all of it well', () => {
    fc.assert(
      fc.property(copies, seen => {
        const before = status(seen);
        expect(isRed(before.state)).toBe(red(before.why).length > 0);
        const newest = seen.findLast(({ whole, manifest }) => whole && !manifest.anomaly);
        expect(before.newest?.id).toBe(newest?.manifest.id);
        expect(status([...seen, aCopy(0)]).state).toBe('ok');
      }),
    );
  });
});
