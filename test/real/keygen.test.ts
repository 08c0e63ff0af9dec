import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { derivedKey } from '../../src/flow/derive.ts';
import { cleanUp, makeConfig, runBkp, tempDir } from './rig/index.ts';

afterAll(cleanUp);

it('`keygen --derive` prints the key of a target, where the identity is', async () => {
  const dir = tempDir();
  const server = { engine: 'native', host: '127.0.0.1' };
  const config = await makeConfig({ stores: { one: join(dir, 'one') }, postgres: { app: server } });
  const derive = (...args: string[]) => runBkp(['keygen', ...args], { config: config.path });
  const identity = readFileSync(config.identityFile, 'utf8').trim();
  expect(await derive('--derive', 'postgres/app')).toMatchObject({
    code: 0,
    stdout: `${derivedKey(identity, 'bkp/production/postgres/app')}\n`,
  });
  expect(await derive('--derive', 'postgres/other')).toMatchObject({ code: 6, stderr: expect.stringContaining('other') });
  expect(await derive('--derive', 'postgres')).toMatchObject({ code: 2, stderr: expect.stringContaining('KIND/NAME') });
  expect(await derive()).toMatchObject({ code: 2, stderr: expect.stringContaining('--dir DIR') });
  expect(await derive('--dir', join(dir, 'keys'), '--derive', 'postgres/app')).toMatchObject({ code: 2 });
  const { identity: _, ...rest } = config.keys;
  const without = await makeConfig({ stores: { one: join(dir, 'one') }, postgres: { app: server }, keys: rest });
  expect(await runBkp(['keygen', '--derive', 'postgres/app'], { config: without.path })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('keys.identity'),
  });
});

it('a place that takes no directory is refused with the reason, and nothing hangs', async () => {
  const { code, stderr } = await runBkp(['keygen', '--dir', '/proc/x/keys']);
  expect(code).toBe(4);
  expect(stderr).toMatch(/directory \/proc\/x\/keys cannot be made: \/proc\/x: ENOENT/);
});
