import { afterAll, expect, it } from '@jest/globals';
import { aRedisBackup, done, setUpRedis } from './redissetup.ts';
import { cleanUp, startBkp, startRedis, stopBkp, waitFor } from './rig/index.ts';

afterAll(cleanUp);

/** A server that takes some seconds to load what it is given, with a backup, and a restore that is at it. */
async function inTheMiddle() {
  const server = await startRedis();
  const at = await setUpRedis(server);
  await server.cli('EVAL', 'for n = 1, 4000 do redis.call("SET", "k" .. n, string.rep("x", 300)) end', '0');
  const id = await aRedisBackup(at);
  await server.cli('CONFIG', 'SET', 'key-load-delay', '5000', 'loading-process-events-interval-bytes', '1024');
  const restore = startBkp(['restore', 'redis', 'app', '--from-backup', id, '--online', '--yes'], at.run);
  await waitFor(async () => (await server.info('loading')) === '1', 'the dump to be loaded');
  return { server, at, id, restore };
}

it.each(['stays down', 'is started again'])(
  'a server that dies in the middle of a restore and %s is told within seconds, with what was there',
  async then => {
    const { server, restore } = await inTheMiddle();
    const began = Date.now();
    await server.kill9();
    if (then === 'is started again') await server.start();
    const { code, stderr } = await restore.ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/(has ended|was started again) while it took the data/) });
    expect(stderr).toMatch(/what was there before is backup \d{8}T/);
    expect(Date.now() - began).toBeLessThan(90_000);
    await server.destroy();
  },
);

it('a restore that follows one that was killed lets writes in again, which that one had shut out, and says so', async () => {
  const { server, at, id, restore } = await inTheMiddle();
  await stopBkp(restore, 'SIGKILL');
  await server.cli('CONFIG', 'SET', 'key-load-delay', '0');
  await server.cli('REPLICAOF', 'NO', 'ONE');
  expect(await server.cli('SET', 'refused', '1').catch(error => error.message)).toMatch(/NOREPLICAS/);
  const { next } = await done(at, 'restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
  expect(await server.cli('SET', 'taken', '1')).toBe('OK');
  expect(await server.cli('CONFIG', 'GET', 'masterauth')).toBe('masterauth\n');
  expect(next.join('\n')).toContain('a restore that was killed had left it refusing writes');
  await server.destroy();
});

it('of two restores into one server at once the second is turned away, and the first is whole', async () => {
  const server = await startRedis();
  const at = await setUpRedis(server);
  await server.cli('SET', 'kept', 'x');
  const id = await aRedisBackup(at);
  const ended = await Promise.all([1, 2].map(() => at.bkp('restore', 'redis', 'app', '--from-backup', id, '--online', '--yes')));
  expect(ended.map(({ code }) => code).sort()).toEqual([0, 7]);
  expect(ended.map(({ stderr }) => stderr).join('')).toContain('a restore into it is running on this host already');
  expect(await server.cli('SET', 'taken', '1')).toBe('OK');
  await server.destroy();
});

it('a marker that names data of the application is told as such: what to do does not write over it', async () => {
  const server = await startRedis();
  const at = await setUpRedis(server, { entry: { marker: 'jobs' } });
  await server.cli('RPUSH', 'jobs', 'one');
  const { code, stderr } = await at.bkp('backup', 'redis', 'app');
  expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringContaining('the marker jobs is a key with data of the application') });
  expect(stderr).not.toContain('SET jobs');
  await server.destroy();
});
