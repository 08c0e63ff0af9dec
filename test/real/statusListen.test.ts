import { spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { changed } from './change.ts';
import { aRedisBackup, type RedisSetup, setUpRedis } from './redissetup.ts';
import { cleanUp, freePort, type Redis, runBkp, startBkp, startRedis } from './rig/index.ts';
import { waitFor } from './rig/wait.ts';

const SECRET = 's3cret-of-a-hook';

let server: Redis;
let at: RedisSetup;
let run: RedisSetup['run'];
let port: number;
let watching: ReturnType<typeof startBkp>;

const ask = async (path: string, init: RequestInit = {}) => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
};
const health = () => ask('/healthz').catch(() => ({ status: 0, text: '' }));

beforeAll(async () => {
  server = await startRedis({});
  await server.cli('SET', 'a', '1');
  at = await setUpRedis(server);
  await aRedisBackup(at);
  run = changed(
    at as never,
    config => {
      config['environments'].production.redis.app.hooks = { env: { WORD: '${HOOK_WORD}' } };
    },
    { HOOK_WORD: SECRET },
  ) as RedisSetup['run'];
  port = await freePort();
  watching = startBkp(['status', '--listen', `127.0.0.1:${port}`, '--every', '1s'], run);
  await waitFor(async () => (await health()).status === 200, 'a first look');
});

afterAll(cleanUp);

it('/metrics is what Prometheus takes, /status.json what status says, both with their age and without a secret', async () => {
  const metrics = await ask('/metrics');
  expect(metrics).toMatchObject({ status: 200, type: expect.stringContaining('version=0.0.4') });
  expect(metrics.text).toMatch(/^bkp_up\{env="production"\} 1$/m);
  expect(metrics.text).toMatch(/^bkp_look_age_seconds\{env="production"\} \d/m);
  expect(metrics.text).toContain('bkp_backups{env="production",kind="redis",name="app",store="local"} 1\n');
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: metrics.text, encoding: 'utf8' });
  expect({ status, words: stdout + stderr }).toEqual({ status: 0, words: '' });
  const json = await ask('/status.json');
  expect(json).toMatchObject({ status: 200, type: expect.stringContaining('application/json') });
  expect(JSON.parse(json.text)).toMatchObject({
    up: true,
    ageSeconds: expect.any(Number),
    exit: 'done',
    env: 'production',
    targets: [{ kind: 'redis', name: 'app' }],
  });
  expect(metrics.text + json.text).not.toContain(SECRET);
});

it('answers nothing else, and takes nothing', async () => {
  expect(await ask('/')).toMatchObject({ status: 404 });
  expect(await ask('/metrics', { method: 'POST', body: 'bkp_up 1' })).toMatchObject({ status: 405 });
  expect(await ask('/healthz', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
});

it('MO03: no green light while the last look failed; green again after one that did not', async () => {
  renameSync(at.store, `${at.store}.gone`);
  await waitFor(async () => (await health()).status === 503, 'a look that fails');
  expect((await health()).text).toMatch(/the last look failed: no store answers/);
  expect((await ask('/metrics')).text).toMatch(/^bkp_up\{env="production"\} 0$/m);
  const json = await ask('/status.json');
  expect(json.status).toBe(503);
  expect(JSON.parse(json.text)).toMatchObject({ up: false, error: expect.stringContaining('no store answers') });
  renameSync(`${at.store}.gone`, at.store);
  await waitFor(async () => (await health()).status === 200, 'a look that is good');
  expect((await ask('/metrics')).text).toMatch(/^bkp_up\{env="production"\} 1$/m);
});

it('a taken port fails, and what is no address is refused', async () => {
  const taken = await runBkp(['status', '--listen', `127.0.0.1:${port}`], run);
  expect({ code: taken.code, stderr: taken.stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/nobody can listen at .*EADDRINUSE/),
  });
  for (const address of ['nonsense', '127.0.0.1:0', 'example.org:80'])
    expect(await runBkp(['status', '--listen', address], run)).toMatchObject({ code: 2, stderr: expect.stringContaining('--listen') });
  const both = await runBkp(['status', '--listen', '127.0.0.1:1', '--textfile', '/x.prom'], run);
  expect({ code: both.code, stderr: both.stderr }).toEqual({ code: 2, stderr: expect.stringContaining('--textfile') });
});

it('SIGTERM ends it, with what it said so far and no port left', async () => {
  watching.kill('SIGTERM');
  const { code, stderr } = await watching.ended;
  expect(code).toBe(143);
  expect(stderr).toMatch(/http:\/\/127\.0\.0\.1:\d+\/metrics/);
  expect(stderr).not.toMatch(/without|asks nobody/);
  expect((await health()).status).toBe(0);
});
