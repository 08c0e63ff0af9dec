import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { brokenOf } from '../../../src/core/retention/good.ts';
import { type Candidate, decide, type Policy } from '../../../src/core/retention.ts';
import { at, DAY_MS, FRAME, idAt, keptOf, NOW } from './make.ts';

/** One run a night; some are full ones, the others build on the one before. */
const nights = fc.array(
  fc.record({
    full: fc.constantFrom(true, false, false, false, false),
    state: fc.constantFrom<Candidate['state']>('whole', 'whole', 'whole', 'whole', 'damaged'),
    guards: fc.constantFrom<string[]>([], [], [], [], [], ['held until released (audit)']),
    anomalous: fc.constantFrom(false, false, false, false, true),
  }),
  { minLength: 1, maxLength: 60 },
);

type Night = (typeof nights extends fc.Arbitrary<infer T> ? T : never)[number];

/** `names` = what each manifest names of its chain: what it was made from alone (WAL-G's deltas), or all of it. */
function built(drawn: readonly Night[], names: 'parent' | 'all'): Candidate[] {
  const made: Candidate[] = [];
  let chain: string[] = [];
  for (const [n, { full, ...rest }] of drawn.entries()) {
    const when = new Date(NOW.getTime() - (drawn.length - n) * DAY_MS);
    if (full) chain = [];
    const needs = names === 'all' ? [...chain].reverse() : chain.slice(-1);
    made.push(at(when, { ...rest, id: idAt(when, n), needs, lineage: '7000-1' }));
    chain = [...chain, made.at(-1)!.id];
  }
  return made;
}

const count = fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined });
const policy: fc.Arbitrary<Policy> = fc
  .record({
    last: count,
    daily: count,
    weekly: count,
    monthly: count,
    window: fc.option(
      fc.integer({ min: 1, max: 40 }).map(days => days * DAY_MS),
      { nil: undefined },
    ),
  })
  .map(all => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));

const all = (check: (drawn: readonly Night[], policy: Policy) => void): void =>
  fc.assert(fc.property(nights, policy, check), { numRuns: 300 });

/** All that one builds on, as the nights were drawn. */
function chainBefore(drawn: readonly Night[], n: number): number[] {
  const before: number[] = [];
  for (let at = n; !drawn[at]!.full && at > 0; at -= 1) before.push(at - 1);
  return before;
}

it('RT09: what stays has its whole chain beside it, whatever keeps it', () => {
  all((drawn, policy) => {
    const made = built(drawn, 'all');
    const kept = new Set(keptOf(decide(made, policy, FRAME)));
    for (const [n, { id }] of made.entries())
      if (kept.has(id)) for (const before of chainBefore(drawn, n)) expect(kept.has(made[before]!.id)).toBe(true);
  });
});

it('and says for whom, when nothing else keeps a member', () => {
  all((drawn, policy) => {
    const made = built(drawn, 'all');
    const decisions = decide(made, policy, FRAME);
    const kept = new Set(keptOf(decisions));
    for (const { id, keep, reasons } of decisions)
      for (const [, child] of reasons.flatMap(reason => (keep ? [...reason.matchAll(/^needed by (\S+)$/g)] : []))) {
        expect(kept.has(child!)).toBe(true);
        expect(made.find(each => each.id === child)!.needs).toContain(id);
      }
  });
});

it('the same stays and the same is broken, whether manifests name their parent or all that they build on', () => {
  all((drawn, policy) => {
    const [parent, whole] = [built(drawn, 'parent'), built(drawn, 'all')];
    expect(keptOf(decide(parent, policy, FRAME))).toEqual(keptOf(decide(whole, policy, FRAME)));
    expect(brokenOf(parent)).toEqual(brokenOf(whole));
  });
});

it('an increment over a damaged member is never counted as good: a rule takes another one in its place', () => {
  all((drawn, policy) => {
    const made = built(drawn, 'all');
    const broken = brokenOf(made);
    for (const [n, { id, state }] of made.entries()) {
      const hurt = state !== 'whole' || chainBefore(drawn, n).some(before => made[before]!.state !== 'whole');
      expect(broken.has(id)).toBe(hurt);
    }
    const newest = made.findLast(({ id, anomalous }) => !broken.has(id) && !anomalous);
    if (newest) expect(keptOf(decide(made, policy, FRAME))).toContain(newest.id);
  });
});

it('what stayed stays when it is decided again, and a chain goes whole', () => {
  all((drawn, policy) => {
    const made = built(drawn, 'all');
    const kept = new Set(keptOf(decide(made, policy, FRAME)));
    const left = made.filter(({ id }) => kept.has(id));
    expect(keptOf(decide(left, policy, FRAME))).toEqual(left.map(({ id }) => id));
    expect(left.every(({ needs }) => needs.every(need => kept.has(need)))).toBe(true);
  });
});
