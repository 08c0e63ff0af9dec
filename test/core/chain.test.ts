import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chainOf, finder, isIncremental, parentsOf } from '../../src/core/chain.ts';
import type { Manifest } from '../../src/core/contracts.ts';

const made = (id: string, ...needs: string[]): Manifest => ({ id, needs: needs.map(backup => ({ backup })) }) as unknown as Manifest;

it('follows needs to the full one, oldest first, whether each names its parent alone or all that it builds on', () => {
  const alone = [made('a'), made('b', 'a'), made('c', 'b'), made('d', 'c')];
  const all = [made('a'), made('b', 'a'), made('c', 'b', 'a'), made('d', 'c', 'b', 'a')];
  for (const manifests of [alone, all]) {
    const { members, missing } = chainOf(manifests[3]!, finder(manifests));
    expect(members.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(missing).toEqual([]);
  }
  expect(parentsOf(all[3]!)).toEqual(['c', 'b', 'a']);
  expect([isIncremental(all[0]!), isIncremental(all[1]!)]).toEqual([false, true]);
});

it('names what is not there, once, and ends on a circle', () => {
  expect(chainOf(made('c', 'b', 'a'), finder([made('b', 'a')]))).toEqual({ members: [made('b', 'a')], missing: ['a'] });
  const circle = [made('a', 'b'), made('b', 'a')];
  expect(chainOf(circle[0]!, finder(circle)).missing).toEqual(['a']);
});

it('a member comes after all that it needs itself', () => {
  const graph = fc.array(fc.nat(3), { minLength: 1, maxLength: 30 }).map(steps =>
    // A chain, each of whose members names so many of those before it.
    steps.map((more, n) => made(`${n}`, ...Array.from({ length: Math.min(n, more + 1) }, (_, back) => `${n - 1 - back}`))),
  );
  fc.assert(
    fc.property(graph, manifests => {
      const { members, missing } = chainOf(manifests.at(-1)!, finder(manifests));
      expect(missing).toEqual([]);
      expect(members.map(({ id }) => Number(id))).toEqual(manifests.slice(0, -1).map((_, n) => n));
    }),
  );
});
