import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type DrillSeen, drillsToGo, type Left, type SetSeen, setsToGo } from '../../../src/core/retention/records.ts';
import { DAY_MS, idAt, NOW } from './make.ts';

const KEEP_DAYS = 400;
const ENTRIES = [
  { kind: 'postgres', name: 'app' },
  { kind: 'redis', name: 'cache' },
];
const BACKUPS = Array.from({ length: 6 }, (_, n) => idAt(new Date(NOW.getTime() - (n + 1) * 200 * DAY_MS), n));

const backup = fc.option(fc.constantFrom(...BACKUPS), { nil: undefined });
const left: fc.Arbitrary<Left> = fc
  .tuple(fc.subarray(BACKUPS), fc.subarray(BACKUPS), fc.boolean())
  .map(([app, cache, both]) => new Map([['postgres/app', new Set(app)], ...(both ? [['redis/cache', new Set(cache)] as const] : [])]));
const ids = fc.uniqueArray(fc.integer({ min: 0, max: 1200 }), { maxLength: 20 });
const idOf = (days: number) => idAt(new Date(NOW.getTime() - days * DAY_MS), days);
const ageOf = (id: string, all: readonly number[]) => all.find(days => idOf(days) === id)!;

const sets = ids.chain(days =>
  fc.tuple(
    fc.constant(days),
    fc.tuple(
      ...days.map(day =>
        fc.tuple(backup, backup).map(
          ([a, b]): SetSeen => ({
            id: idOf(day),
            members: [
              { ...ENTRIES[0]!, backup: a },
              { ...ENTRIES[1]!, backup: b },
            ],
          }),
        ),
      ),
    ),
  ),
);
const target = fc.record({ of: fc.constantFrom(...ENTRIES), result: fc.constantFrom('passed', 'failed', 'unproven'), backup });
const drills = ids.chain(days =>
  fc.tuple(
    fc.constant(days),
    fc.tuple(
      ...days.map(day =>
        fc
          .array(target, { minLength: 1, maxLength: 3 })
          .map((all): DrillSeen => ({ id: idOf(day), targets: all.map(({ of, ...rest }) => ({ ...of, ...rest })) })),
      ),
    ),
  ),
);

const has = (there: Left, { kind, name, backup: id }: { kind: string; name: string; backup?: string | undefined }) =>
  id !== undefined && there.get(`${kind}/${name}`)?.has(id) !== false;

describe('sets', () => {
  it('go when and only when they are older than a week and none of their backups can be left', () => {
    fc.assert(
      fc.property(sets, left, ([days, all], there) => {
        const going = setsToGo(all, there, NOW).map(({ id }) => id);
        for (const set of all) {
          const spent = !set.members.some(member => has(there, member));
          expect(going.includes(set.id)).toBe(spent && ageOf(set.id, days) > 7);
        }
      }),
    );
  });
});

describe('records of drills', () => {
  const go = (all: readonly DrillSeen[], there: Left) => drillsToGo(all, there, KEEP_DAYS * DAY_MS, NOW).map(({ id }) => id);

  it('that are younger than what is kept never go, and neither does the newest', () => {
    fc.assert(
      fc.property(drills, left, ([days, all], there) => {
        const going = go(all, there);
        expect(going.every(id => ageOf(id, days) > KEEP_DAYS)).toBe(true);
        if (all.length > 0)
          expect(going).not.toContain(
            all
              .map(({ id }) => id)
              .sort()
              .at(-1),
          );
      }),
    );
  });

  it('of each entry the newest that passed stays, and of each backup that may be left the newest that proved it', () => {
    fc.assert(
      fc.property(drills, left, ([, all], there) => {
        const going = go(all, there);
        const passed = [...all]
          .sort((a, b) => b.id.localeCompare(a.id))
          .flatMap(({ id, targets }) => targets.filter(({ result }) => result === 'passed').map(each => ({ id, each })));
        for (const { kind, name } of ENTRIES) {
          const newest = passed.find(({ each }) => each.kind === kind && each.name === name);
          if (newest) expect(going).not.toContain(newest.id);
          for (const id of BACKUPS) {
            const proof = passed.find(({ each }) => each.kind === kind && each.name === name && each.backup === id);
            if (proof && has(there, proof.each)) expect(going).not.toContain(proof.id);
          }
        }
      }),
    );
  });

  it('what stays is what is needed: a second look takes nothing more, and nothing old stays without a reason', () => {
    fc.assert(
      fc.property(drills, left, ([days, all], there) => {
        const going = go(all, there);
        const stay = all.filter(({ id }) => !going.includes(id));
        expect(go(stay, there)).toEqual([]);
        const old = stay.filter(({ id }) => ageOf(id, days) > KEEP_DAYS);
        const reasons = 1 + ENTRIES.length * (1 + BACKUPS.length);
        expect(old.length).toBeLessThanOrEqual(reasons);
        for (const { id, targets } of old)
          expect(
            id ===
              stay
                .map(each => each.id)
                .sort()
                .at(-1) || targets.some(({ result }) => result === 'passed'),
          ).toBe(true);
      }),
    );
  });
});
