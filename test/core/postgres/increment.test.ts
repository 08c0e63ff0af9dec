import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chainOf, finder } from '../../../src/core/chain.ts';
import type { Known, Manifest } from '../../../src/core/contracts.ts';
import {
  type Choice,
  chooseBase,
  type IncrementFrame,
  type IncrementPolicy,
  type IncrementSource,
  OWN_MANIFEST,
} from '../../../src/core/postgres/increment.ts';
import { clockOf, PERIODS } from '../../../src/core/retention/periods.ts';

const DAY_MS = 86_400_000;
const SOURCE: IncrementSource = { lineage: '7000-1', major: 18, summarizes: true };
const POLICY: IncrementPolicy = { full: 'weekly', maxChain: 32 };
/** A Wednesday. */
const FRAME: IncrementFrame = { now: new Date('2026-06-17T02:00:00Z'), zone: 'UTC', weekStart: 'sunday' };

function made(id: string, when: string | Date, needs: string[] = [], change: Partial<Manifest> = {}): Known {
  const startedAt = new Date(when).toISOString();
  const pieces = [{ name: 'base.tar' }, { name: OWN_MANIFEST, objects: [] }];
  const wal = { timeline: 1, from: '0/2000028', to: '0/2000120', segmentBytes: 16_777_216 };
  const manifest = { id, startedAt, engine: 'native', lineage: '7000-1', wal, pieces, needs: needs.map(backup => ({ backup })) };
  return { manifest: { ...manifest, ...change } as unknown as Manifest, stores: ['local'] };
}

const WEEK = [
  made('full', '2026-06-14T02:00Z'),
  made('mon', '2026-06-15T02:00Z', ['full']),
  made('tue', '2026-06-16T02:00Z', ['mon', 'full']),
];

const choose = (
  known: readonly Known[],
  change: Partial<IncrementSource & IncrementPolicy & IncrementFrame> = {},
  forced = false,
): Choice => chooseBase({ ...SOURCE, ...change }, known, { ...POLICY, ...change }, { ...FRAME, ...change }, forced);

describe('what the next base backup is', () => {
  it('an increment on the newest, with all that this builds on', () => {
    expect(choose(WEEK)).toMatchObject({ base: 'incremental', parent: { id: 'tue' } });
    const choice = choose(WEEK);
    expect(choice.base === 'incremental' && choice.members.map(({ id }) => id)).toEqual(['full', 'mon', 'tue']);
  });

  it.each<[string, Choice, string]>([
    ['nothing is configured', chooseBase(SOURCE, WEEK, undefined, FRAME), 'no increments are configured'],
    ['a full one is asked for', choose(WEEK, {}, true), 'a full one was asked for'],
    ['there is none yet', choose([]), 'nothing yet'],
    ['its week is over', choose(WEEK, { now: new Date('2026-06-21T02:00Z') }), 'the first of its period (full: weekly)'],
    ['the week of the config begins on Monday', choose(WEEK, { weekStart: 'monday' }), 'the first of its period'],
    ['full ones are daily', choose(WEEK, { full: 'daily' }), 'the first of its period (full: daily)'],
  ])('a full one, and nothing to warn of, where %s', (_, choice, reason) => {
    expect(choice).toMatchObject({ base: 'full', fallback: false, reason: expect.stringContaining(reason) });
  });

  it.each<[string, Choice, string]>([
    ['the server is too old', choose(WEEK, { major: 16 }), 'the server is PostgreSQL 16, and increments need 17 or newer'],
    ['it summarizes no WAL', choose(WEEK, { summarizes: false }), 'summarize_wal is off'],
    [
      'the server is another one',
      choose(WEEK, { lineage: '8000-1' }),
      'backup tue is of lineage 7000-1, and the server is of lineage 8000-1',
    ],
    ['the chain is as long as it may be', choose(WEEK, { maxChain: 3 }), 'the chain has 3 backups already'],
    ['a member of the chain is gone', choose(WEEK.slice(1)), 'backup tue builds on full, which is in no store'],
    ['the newest keeps no manifest', choose([made('full', '2026-06-14T02:00Z', [], { pieces: [] })]), 'keeps no backup_manifest'],
  ])('a full one in place of an increment where %s', (_, choice, reason) => {
    expect(choice).toMatchObject({ base: 'full', fallback: true, reason: expect.stringContaining(reason) });
  });

  it('never on an anomaly, on what begins in the future, or on what another engine took', () => {
    const bad = [
      made('odd', '2026-06-16T12:00Z', [], { anomaly: 'small' }),
      made('later', '2026-06-17T03:00Z'),
      made('walg', '2026-06-16T13:00Z', [], { engine: 'wal-g' }),
      made('held', '2026-06-16T14:00Z', [], { wal: undefined } as never),
    ];
    expect(choose([...WEEK, ...bad])).toMatchObject({ base: 'incremental', parent: { id: 'tue' } });
  });
});

describe('whatever the catalog', () => {
  const entry = fc.record({
    days: fc.integer({ min: 0, max: 60 }),
    onto: fc.option(fc.nat(4), { nil: undefined }),
    lineage: fc.constantFrom('7000-1', '7000-1', '7000-1', '7000-2'),
    anomaly: fc.constantFrom(undefined, undefined, 'small'),
    there: fc.constantFrom(true, true, true, false),
    keeps: fc.constantFrom(true, true, true, false),
  });
  const catalog = fc.array(entry, { maxLength: 25 }).map(entries => {
    const sorted = [...entries].sort((a, b) => b.days - a.days);
    const known: Known[] = [];
    for (const [n, { days, onto, lineage, anomaly, keeps }] of sorted.entries()) {
      const parent = onto === undefined ? undefined : known[n - 1 - onto]?.manifest;
      const needs = parent ? [parent.id, ...parent.needs.map(need => (need as { backup: string }).backup)] : [];
      const change = { lineage, ...(anomaly ? { anomaly } : {}), ...(keeps ? {} : { pieces: [] }) };
      known.push(made(`b${n}`, new Date(FRAME.now.getTime() - days * DAY_MS), needs, change));
    }
    return known.filter((_, n) => sorted[n]!.there);
  });
  const policy = fc.record({
    full: fc.constantFrom('daily' as const, 'weekly' as const, 'monthly' as const),
    maxChain: fc.integer({ min: 2, max: 6 }),
  });
  const frame = fc.record({
    now: fc.constant(FRAME.now),
    zone: fc.constantFrom('UTC', 'Europe/Berlin', 'Pacific/Apia', 'America/Havana'),
    weekStart: fc.constantFrom('sunday' as const, 'monday' as const),
  });

  it('an increment is made from a trusted newest one of this lineage, over a whole chain that begins in this period and fits', () => {
    fc.assert(
      fc.property(catalog, policy, frame, (known, policy, frame) => {
        const choice = chooseBase(SOURCE, known, policy, frame);
        if (choice.base === 'full') return;
        const { parent, members } = choice;
        const newer = known.filter(
          ({ manifest }) => manifest.lineage === SOURCE.lineage && !manifest.anomaly && manifest.startedAt > parent.startedAt,
        );
        expect(newer).toEqual([]);
        expect(parent).toMatchObject({ lineage: SOURCE.lineage });
        expect(parent.anomaly).toBeUndefined();
        const chain = chainOf(parent, finder(known.map(({ manifest }) => manifest)));
        expect({ members, missing: chain.missing }).toEqual({ members: [...chain.members, parent], missing: [] });
        expect(members.length + 1).toBeLessThanOrEqual(policy.maxChain);
        const keyOf = (at: Date): number => PERIODS[policy.full].key(clockOf(frame.zone)(at), frame.weekStart);
        expect(keyOf(new Date(members[0]!.startedAt))).toBe(keyOf(frame.now));
      }),
      { numRuns: 500 },
    );
  });

  it('the order of the catalog does not matter, a full one is never refused, and what is only due is no fallback', () => {
    fc.assert(
      fc.property(catalog, policy, frame, (known, policy, frame) => {
        const unique = known.filter(({ manifest }, n) => known.findIndex(each => each.manifest.startedAt === manifest.startedAt) === n);
        expect(chooseBase(SOURCE, [...unique].reverse(), policy, frame)).toEqual(chooseBase(SOURCE, unique, policy, frame));
        expect(chooseBase(SOURCE, known, policy, frame, true)).toMatchObject({ base: 'full', fallback: false });
        const mine = known.filter(({ manifest }) => manifest.lineage === SOURCE.lineage && !manifest.anomaly);
        const choice = chooseBase(SOURCE, mine, policy, frame);
        if (mine.length === 0) expect(choice).toMatchObject({ base: 'full', fallback: false });
      }),
    );
  });

  it('night after night, a week has one full one and its increments: never a chain over two weeks', () => {
    const known: Known[] = [];
    const bases: string[] = [];
    for (let n = 0; n < 21; n += 1) {
      const now = new Date(Date.parse('2026-06-14T02:00:00Z') + n * DAY_MS);
      const choice = choose(known, { now });
      const needs = choice.base === 'full' ? [] : choice.members.map(({ id }) => id).reverse();
      known.push(made(`n${String(n).padStart(2, '0')}`, now, needs));
      bases.push(choice.base === 'full' ? 'F' : `${needs.length}`);
    }
    expect(bases.join('')).toBe('F123456F123456F123456');
  });
});
