import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fitted, imageName, objectName, plainPath, quantity, secretKey } from '../../../src/core/render/names.ts';

it.each(['App', 'a_b', '-a', 'a-', '', 'a'.repeat(64), 'a.b'])('the name %j is refused', text => {
  expect(() => objectName(text)).toThrow(/is no name in Kubernetes/);
});

it.each(['bkp:1 0', 'Bkp image', '', 'bkp:', 'a/b@sha256:12', '-x'])('the image %j is refused', text => {
  expect(() => imageName(text)).toThrow(/is no image/);
});

it.each(['bkp', 'bkp:0.1.0', 'registry.example.org:5000/team/bkp:1', `a/b@sha256:${'0'.repeat(64)}`])('the image %s is one', text => {
  expect(imageName(text)).toBe(text);
});

it.each(['10', '0Gi', '10GB', '-1Gi', '1.5Gi'])('the size %s is refused', text => {
  expect(() => quantity(text)).toThrow(/is no size/);
});

it.each(['a/b', '..a', ''])('the key %j is refused', text => {
  expect(() => secretKey(text)).toThrow(/is no key/);
});

it.each(['srv/bkp', '/srv/${X}', '/srv/a b', '/srv/../etc', '/srv/a:b', '/srv/%i'])('the path %s is refused', text => {
  expect(() => plainPath(text, 'path')).toThrow(/is no path that can be rendered/);
});

it('a slash at the end of a path says nothing', () => {
  expect(plainPath('/srv/bkp//', 'path')).toBe('/srv/bkp');
});

describe('names of the config as names of Kubernetes', () => {
  const named = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,80}$/);
  const most = fc.integer({ min: 10, max: 63 });

  it('are names that it takes, the same each time, and as they are where that will do', () => {
    fc.assert(
      fc.property(named, most, (text, length) => {
        const name = fitted(text, length);
        expect(objectName(name, length)).toBe(fitted(text, length));
        if (text.length <= length && !text.endsWith('-')) expect(name).toBe(text);
      }),
    );
  });

  it('are different ones for different names, however much of them is alike', () => {
    const begin = 'a'.repeat(60);
    const all = Array.from({ length: 500 }, (_, n) => fitted(`${begin}${n}`, 41));
    expect(new Set(all).size).toBe(all.length);
    expect(fitted(`${begin}-`, 63)).not.toBe(fitted(begin, 63));
  });
});
