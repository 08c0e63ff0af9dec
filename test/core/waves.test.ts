import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { blockedBy, type Member, needsOf, wavesOf } from '../../src/core/waves.ts';

const member = (text: string, ...after: string[]): Member => {
  const [kind, name] = text.split('/') as [string, string];
  return { kind, name, after };
};
const named = (members: readonly Member[]): string[] => members.map(({ kind, name }) => `${kind}/${name}`);
const waves = (...members: Member[]): string[][] => wavesOf(members).waves.map(named);

describe('waves', () => {
  it('the stack by its defaults', () => {
    const stack = [
      member('redis/cache', 'samba', 'postgres'),
      member('postgres/app', 'etcd', 'volumes'),
      member('samba/ad', 'etcd', 'volumes'),
      member('etcd/main'),
      member('volumes/files'),
    ];
    expect(waves(...stack)).toEqual([['etcd/main', 'volumes/files'], ['postgres/app', 'samba/ad'], ['redis/cache']]);
  });

  it('what is waited for and not there holds up nothing', () => {
    expect(waves(member('redis/cache', 'samba', 'postgres'))).toEqual([['redis/cache']]);
  });

  it('one entry may wait for another of its kind by its name, and not by the kind', () => {
    expect(waves(member('postgres/b', 'postgres/a'), member('postgres/a', 'postgres'))).toEqual([['postgres/a'], ['postgres/b']]);
  });

  it('a circle is told in order, and what waits for it is in no wave', () => {
    const { waves: found, circle } = wavesOf([member('a/x', 'b'), member('b/x', 'c'), member('c/x', 'b'), member('d/x')]);
    expect(found.map(named)).toEqual([['d/x']]);
    expect(named(circle).sort()).toEqual(['b/x', 'c/x']);
    for (const [n, each] of circle.entries()) expect(needsOf(each, circle)).toContain(circle[(n + 1) % circle.length]);
  });

  it('a failure stops what waits for it, however far off, and nothing else', () => {
    const all = [member('etcd/main'), member('samba/ad', 'etcd'), member('redis/cache', 'samba'), member('volumes/files')];
    expect(named(blockedBy([all[0]!], all))).toEqual(['samba/ad', 'redis/cache']);
    expect(blockedBy([], all)).toEqual([]);
  });
});

const graph = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y', 'z')), { selector: pair => pair.join('/') })
  .chain(names => {
    const known = [...names.map(pair => pair.join('/')), 'a', 'b', 'c', 'gone/x'];
    return fc.tuple(...names.map(([kind, name]) => fc.subarray(known).map(after => ({ kind, name, after }) as Member)));
  });

test('every member is in one wave or waits for a circle, and stands behind all that it needs', () => {
  fc.assert(
    fc.property(graph, members => {
      const { waves: found, circle } = wavesOf(members);
      const order = found.flat();
      expect(new Set(order).size).toBe(order.length);
      expect(order.length === members.length).toBe(circle.length === 0);
      for (const [n, wave] of found.entries())
        for (const each of wave) for (const need of needsOf(each, members)) expect(found.slice(0, n).flat()).toContain(need);
    }),
  );
});
