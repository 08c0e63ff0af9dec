import { expect, test } from '@jest/globals';
import { checkId, isId, makeId } from '../../src/core/id.ts';

test('an id is the UTC second and three random bytes', () => {
  expect(makeId(new Date('2026-01-15T02:00:00.987Z'), Buffer.from('4f2a1c99', 'hex'))).toBe('20260115T020000Z-4f2a1c');
});

test.each(['', '20260115T020000Z', '20260115T020000Z-4F2A1C', '../20260115T020000Z-4f2a1c', '20260115T020000Z-4f2a1c\n'])(
  '%j is no id',
  text => {
    expect(isId(text)).toBe(false);
    expect(() => checkId(text)).toThrow('no id of a backup');
  },
);
