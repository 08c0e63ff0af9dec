import { expect, test } from '@jest/globals';
import { checkKey, joinKey } from '../../src/core/key.ts';

test('plain keys pass through', () => {
  for (const key of ['a', 'prod/postgres/app/backups/20260115T020000Z-4f2a1c/base.zst.age.000', 'a/b@c+d=e'])
    expect(checkKey(key)).toBe(key);
});

test.each(['', '.', '..', 'a/..', '../a', './a', '/a', 'a/', 'a//b', 'a b', 'a\\b', 'a\n', 'ä', 'a/.tmp-1', 'x'.repeat(901)])(
  'refuses %j',
  key => {
    expect(() => checkKey(key)).toThrow('cannot be the key');
  },
);

test('prefixes join alike whatever their slashes, and never climb', () => {
  expect(joinKey('/a/b/', 'c')).toBe('a/b/c');
  expect(joinKey('', 'a//b')).toBe('a/b');
  expect(() => joinKey('a', '../b')).toThrow('cannot be the key');
});
