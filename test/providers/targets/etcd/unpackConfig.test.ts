import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { unpackConfig } from '../../../../src/providers/targets/etcd/unpackConfig.ts';
import { systemRunner } from '../../../../src/system/runner.ts';
import { cleanUp, tempDir } from '../../../real/rig/index.ts';

afterAll(cleanUp);

const LONG = `${'x'.repeat(120)}.yaml`;

/** What tar makes of a directory, given its own words. */
function packed(fill: (dir: string) => void, ...args: string[]): string {
  const [dir, file] = [tempDir(), join(tempDir(), 'config.tar')];
  fill(dir);
  execFileSync('tar', ['-c', '-h', ...args, '-f', file, '-C', dir, '.']);
  return file;
}

const unpack = async (tar: string): Promise<string> => {
  const into = tempDir();
  await unpackConfig({ run: systemRunner, signal: new AbortController().signal } as any, tar, into);
  return into;
};

it('a file that has two names, or is led to by a link, and long names come back', async () => {
  const into = await unpack(
    packed(dir => {
      writeFileSync(join(dir, 'app.yaml'), 'kind: Namespace');
      symlinkSync('app.yaml', join(dir, 'by-link.yaml'));
      linkSync(join(dir, 'app.yaml'), join(dir, 'second.yaml'));
      mkdirSync(join(dir, 'y'.repeat(90)));
      writeFileSync(join(dir, 'y'.repeat(90), LONG), 'long');
      symlinkSync(LONG, join(dir, 'y'.repeat(90), `z${LONG}`));
    }),
  );
  for (const name of ['app.yaml', 'by-link.yaml', 'second.yaml']) expect(readFileSync(join(into, name), 'utf8')).toBe('kind: Namespace');
  for (const name of [LONG, `z${LONG}`]) expect(readFileSync(join(into, 'y'.repeat(90), name), 'utf8')).toBe('long');
});

it.each([
  ['a long name that leads out', ['--transform', `s,^\\./app,../${'o'.repeat(110)}/app,`, '-P']],
  ['a link that leads to a file outside', ['--transform', 's,^\\./app,../../etc/app,h', '-P']],
  ['a link to an absolute path', ['--transform', 's,^\\./app,/etc/app,h', '-P']],
])('%s is refused, and nothing is unpacked', async (_, args) => {
  const tar = packed(
    dir => {
      writeFileSync(join(dir, 'app.yaml'), 'x');
      linkSync(join(dir, 'app.yaml'), join(dir, 'second.yaml'));
    },
    ...args,
  );
  const into = tempDir();
  await expect(unpackConfig({ run: systemRunner, signal: new AbortController().signal } as any, tar, into)).rejects.toMatchObject({
    exit: 'verifyFailed',
  });
  expect(readdirSync(into)).toEqual([]);
});
