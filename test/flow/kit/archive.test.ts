import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { packFiles, unpackFiles } from '../../../src/flow/kit/archive.ts';

const AT = new Date('2026-01-15T02:00:00Z');
const name = fc.stringMatching(/^[a-z0-9][A-Za-z0-9._-]{0,20}(\/[a-z0-9][A-Za-z0-9._-]{0,20}){0,2}$/);
const files = fc.uniqueArray(fc.tuple(name, fc.uint8Array({ maxLength: 2000 })), { selector: ([key]) => key, maxLength: 8 });

it('what goes in comes out', () => {
  fc.assert(
    fc.property(files, list => {
      const given = new Map(list.map(([key, bytes]) => [key, Buffer.from(bytes)]));
      expect(unpackFiles(packFiles(given, AT))).toEqual(given);
    }),
  );
});

it('tar unpacks it, for its owner alone', () => {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-kit-'));
  try {
    const given = new Map([
      ['kit.json', Buffer.from('{}')],
      ['secrets/S3_KEY', Buffer.alloc(1000, 'x')],
      ['empty', Buffer.alloc(0)],
    ]);
    writeFileSync(join(dir, 'kit.tar.gz'), packFiles(given, AT));
    execFileSync('tar', ['-xzf', 'kit.tar.gz'], { cwd: dir });
    for (const [key, bytes] of given) {
      expect(readFileSync(join(dir, key))).toEqual(bytes);
      expect(statSync(join(dir, key)).mode & 0o777).toBe(0o600);
      expect(statSync(join(dir, key)).mtime).toEqual(AT);
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

it('what is cut, is none, or leads elsewhere is refused', () => {
  const good = packFiles(new Map([['a', Buffer.alloc(3000, 'x')]]), AT);
  const bad = expect.objectContaining({ exit: 'verifyFailed' });
  expect(() => unpackFiles(good.subarray(0, -20))).toThrow(bad);
  expect(() => unpackFiles(Buffer.from('hello'))).toThrow(bad);
  expect(() => unpackFiles(gzipSync(gunzipSync(good).subarray(0, 2048)))).toThrow(bad);
  for (const path of ['../a', '/etc/a', 'a/../../b'])
    expect(() => unpackFiles(packFiles(new Map([[path, Buffer.from('x')]]), AT))).toThrow(bad);
  expect(() => packFiles(new Map([['x'.repeat(101), Buffer.alloc(0)]]), AT)).toThrow(/too long/);
});
