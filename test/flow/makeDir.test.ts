import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { makeDir } from '../../src/flow/makeDir.ts';
import { removeTemp, tempDir } from '../real/rig/index.ts';

const dir = tempDir();
afterAll(() => removeTemp(dir));

it('makes what is missing with its mode and says which was the first; what is there stays as it is', async () => {
  const deep = join(dir, 'a/b/c');
  expect(await makeDir(deep, 0o700)).toBe(join(dir, 'a'));
  for (const path of ['a', 'a/b', 'a/b/c']) expect(statSync(join(dir, path)).mode & 0o777).toBe(0o700);
  expect(await makeDir(deep, 0o755)).toBeUndefined();
  expect(statSync(deep).mode & 0o777).toBe(0o700);
});

it('several at the same time make one tree', async () => {
  const made = await Promise.all([1, 2, 3, 4].map(() => makeDir(join(dir, 'x/y/z'))));
  expect(made.filter(path => path === join(dir, 'x'))).toHaveLength(1);
  expect(statSync(join(dir, 'x/y/z')).isDirectory()).toBe(true);
});

it('a place that takes no directories is refused with the reason, and does not go round for ever', async () => {
  await expect(makeDir('/proc/x/y')).rejects.toMatchObject({
    exit: 'refused',
    message: expect.stringMatching(/^directory \/proc\/x\/y cannot be made: \/proc\/x: (ENOENT|EACCES|EPERM)/),
  });
  const file = join(dir, 'file');
  writeFileSync(file, '');
  await expect(makeDir(file)).rejects.toMatchObject({ exit: 'refused', message: expect.stringContaining('EEXIST') });
  await expect(makeDir(join(file, 'below'))).rejects.toMatchObject({ exit: 'refused', message: expect.stringContaining('ENOTDIR') });
});
