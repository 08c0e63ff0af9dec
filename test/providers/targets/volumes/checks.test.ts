import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { checks, judgeMatched, tryChecks } from '../../../../src/providers/targets/volumes/files/checks.ts';

const at = new Date('2026-01-15T02:00:00Z');
const one = (check: object) => checks.parse([{ glob: '*', ...check }])[0]!;

describe('what files mean to a check', () => {
  it('is good only when number, bytes and age are', () => {
    const day = 86_400_000;
    fc.assert(
      fc.property(fc.nat(20), fc.nat(2000), fc.nat(4 * day), (count, bytes, age) => {
        const found = { count, bytes, ...(count > 0 ? { newest: at.getTime() - age } : {}) };
        const { state } = judgeMatched(one({ atLeast: 10, bytes: 1000, newest: '2d' }), found, at);
        expect(state).toBe(count >= 10 && bytes >= 1000 && age <= 2 * day ? 'ok' : 'fail');
      }),
    );
  });

  it('says all that is wrong', () => {
    const all = one({ expect: 3, bytes: 5000, newest: '1d' });
    expect(judgeMatched(all, { count: 2, bytes: 10, newest: at.getTime() - 3 * 86_400_000 }, at).text).toBe(
      'it is "2", and "3" was expected; they have 10 B, and at least 4.9 KiB were expected; the newest was written 3 d before the backup, and 1d is the most',
    );
    expect(judgeMatched(one({ expect: 0, newest: '1d' }), { count: 0, bytes: 0 }, at).text).toBe(
      'there is none whose age could be looked at',
    );
  });
});

describe('files that are looked for', () => {
  const stage = mkdtempSync(join(tmpdir(), 'bkp-checks-'));
  const outside = mkdtempSync(join(tmpdir(), 'bkp-checks-'));
  afterAll(() => {
    for (const dir of [stage, outside]) rmSync(dir, { recursive: true });
  });
  const put = (path: string, bytes: number) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, 'x'.repeat(bytes));
    utimesSync(path, at, at);
  };
  put(join(stage, 'srv/[a]/www/index.html'), 10);
  put(join(stage, 'srv/[a]/www/deep/er/page.html'), 20);
  put(join(stage, 'srv/[a]/www/style.css'), 5);
  put(join(stage, 'home/www/other.html'), 7);
  put(join(outside, 'lost.html'), 100);
  symlinkSync(outside, join(stage, 'srv/[a]/www/link'));
  symlinkSync(join(outside, 'lost.html'), join(stage, 'srv/[a]/www/one.html'));
  const ask = async (glob: string) => (await tryChecks([one({ glob, atLeast: 0 })], stage, ['/srv/[a]', '/home'], at))[0]!.text;

  it('are those of each path, or of whole paths, and never what a link leads to', async () => {
    expect(await ask('www/**/*.html')).toBe('3 file(s) with 37 B');
    expect(await ask('/home/**')).toBe('1 file(s) with 7 B');
    expect(await ask('www/*/*.html')).toBe('0 file(s) with 0 B');
    expect(await ask('none/*')).toBe('0 file(s) with 0 B');
  });
});
