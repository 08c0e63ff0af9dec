import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { aDir, aRedisBackup, done, manifestsOf, type RedisSetup, setUpRedis } from './redissetup.ts';
import { cleanUp, type Redis, type RedisVersion, root, startRedis, tempDir } from './rig/index.ts';

let module: string;

beforeAll(() => {
  module = join(tempDir(), 'module.so');
  execFileSync('gcc', ['-shared', '-fPIC', '-w', '-o', module, join(root, 'test/real/rig/redisModule.c')]);
});

afterAll(cleanUp);

describe.each<RedisVersion>(['redis7', 'valkey9'])('data of a module of %s', version => {
  let source: Redis;
  let at: RedisSetup;
  let id: string;

  beforeAll(async () => {
    source = await startRedis({ version, settings: { loadmodule: module } });
    at = await setUpRedis(source);
    await source.cli('BT.SET', 'of the module', 'hello');
    await source.cli('SET', 'plain', 'x');
    id = await aRedisBackup(at);
  });

  it('the manifest names types and modules', () => {
    expect(manifestsOf(at).at(-1)!['baseline']).toMatchObject({
      modules: ['bkptest'],
      moduleTypes: ['bkp-test_'],
      databases: { 0: { keys: 2 } },
    });
  });

  it('a running server without the module is refused before anything changes: it would end itself, and at each start again', async () => {
    const bare = await startRedis({ version });
    await bare.cli('SET', 'precious', 'data');
    const into = await setUpRedis(bare, { like: at });
    const { code, stderr } = await into.bkp('restore', 'redis', 'app', '--from-backup', id, '--online', '--dry-run');
    expect({ code, stderr }).toEqual({
      code: 4,
      stderr: expect.stringMatching(/data of modules \(of type bkp-test_.*has not loaded bkptest/),
    });
    expect((await into.bkp('restore', 'redis', 'app', '--from-backup', id, '--online', '--yes')).code).toBe(4);
    expect(await bare.cli('GET', 'precious')).toBe('data');
    await bare.destroy();
  });

  it('comes back into a server that has it', async () => {
    await source.cli('DEL', 'of the module');
    await done(at, 'restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
    expect(await source.cli('BT.GET', 'of the module')).toBe('hello');
  });

  it('a copy in a directory says what its server has to load', async () => {
    const { next } = await done(at, 'restore', 'redis', 'app', '--from-backup', id, '--to', aDir(), '--yes');
    expect(next.join('\n')).toContain('the source had loaded bkptest');
  });

  it('a proof without the module is none, and no damage; with `modules:` it is one', async () => {
    const without = await at.bkp('verify', 'redis', 'app', '--deep', '--json');
    expect(without.code).toBe(3);
    expect(without.stdout).not.toContain('"fail"');
    const having = await setUpRedis(source, { like: at, entry: { modules: [module] } });
    const { checks } = (await done(having, 'verify', 'redis', 'app', '--deep')).stores[0].proof;
    expect(checks.filter(({ state }: Record<string, string>) => state !== 'ok')).toEqual([]);
    const wrong = await setUpRedis(source, { like: at, entry: { modules: [join(tempDir(), 'none.so')] } });
    const { code, stdout } = await wrong.bkp('verify', 'redis', 'app', '--deep', '--json');
    expect(code).toBe(3);
    expect(stdout).not.toContain('"fail"');
  });
});
