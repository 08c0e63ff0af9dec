import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { meant, near } from '../../src/core/near.ts';

const KINDS = ['etcd', 'postgres', 'redis', 'samba', 'volumes'];

it.each([
  ['postgress', 'postgres'],
  ['redsi', 'redis'],
  ['oracle', undefined],
  ['', undefined],
])('%s → %s', (word, found) => {
  expect(near(word, KINDS)).toBe(found);
  expect(meant(word, KINDS)).toBe(found ? `; did you mean "${found}"?` : '');
});

it('what is allowed is meant by itself, and what is meant is always allowed', () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.string({ minLength: 1 })), (word, allowed) => {
      const found = near(word, allowed);
      if (found !== undefined) expect(allowed).toContain(found);
      if (word && allowed.includes(word)) expect(found).toBe(word);
    }),
  );
});
