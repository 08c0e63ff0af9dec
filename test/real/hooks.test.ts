import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { changed, lastJson, type Yaml } from './change.ts';
import { aRedisBackup, manifestsOf, type RedisSetup, setUpRedis } from './redissetup.ts';
import { cleanUp, isAlive, type Redis, runBkp, startBkp, startRedis, tempDir } from './rig/index.ts';
import { waitFor } from './rig/wait.ts';

const SECRET = 's3cret-of-a-hook "quoted"';

let server: Redis;
let at: RedisSetup;

beforeAll(async () => {
  server = await startRedis({});
  await server.cli('SET', 'a', '1');
  at = await setUpRedis(server);
});

afterAll(cleanUp);

/** A hook that writes down its variables, one file for each. */
const noting = (dir: string): string[] => ['sh', '-c', `env >"$1/$BKP_HOOK"; echo "hook $BKP_HOOK says $WORD"`, 'sh', dir];

const withHooks = (hooks: Yaml, edit: (entry: Yaml) => void = () => {}) =>
  changed(
    at as never,
    config => {
      const { app } = config['environments'].production.redis;
      app.hooks = hooks;
      edit(app);
    },
    { HOOK_WORD: SECRET },
  );

const variablesIn = (dir: string, hook: string): Record<string, string> =>
  Object.fromEntries(
    readFileSync(join(dir, hook), 'utf8')
      .split('\n')
      .flatMap(line => (line.includes('=') ? [[line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]] : [])),
  );

it('before and after run around a backup with BKP_* and nothing of ours, their output told without secrets', async () => {
  const dir = tempDir();
  const hook = noting(dir);
  const run = withHooks({ before: hook, after: hook, onError: hook, env: { WORD: '${HOOK_WORD}' } });
  const { code, stdout, stderr } = await runBkp(['backup', 'redis'], run);
  expect(code).toBe(0);
  const id = /\d{8}T\d{6}Z-\w+/.exec(stdout)![0];
  const before = variablesIn(dir, 'before');
  const after = variablesIn(dir, 'after');
  expect(before).toMatchObject({ BKP_VERB: 'backup', BKP_ENV: 'production', BKP_TARGET: 'redis/app', WORD: SECRET });
  expect(before['BKP_ID']).toBeUndefined();
  expect(after).toMatchObject({ BKP_HOOK: 'after', BKP_ID: id, BKP_EXIT: 'done', BKP_CODE: '0' });
  expect(before['BKP_CONFIG'] ?? before['HOOK_WORD']).toBeUndefined();
  expect(existsSync(join(dir, 'onError'))).toBe(false);
  expect(stderr).toMatch(/redis\/app: hook before: hook before says \[redacted\]/);
  expect(stdout + stderr).not.toContain(SECRET);
});

it('a `before` that fails: nothing is taken (exit 4), onError is told why, and the failure is on record', async () => {
  const dir = tempDir();
  const had = manifestsOf(at).length;
  const run = withHooks({
    before: ['sh', '-c', 'echo "no: $WORD" >&2; exit 7'],
    after: noting(dir),
    onError: noting(dir),
    env: { WORD: '${HOOK_WORD}' },
  });
  const { code, stderr } = await runBkp(['backup', 'redis'], run);
  expect({ code, manifests: manifestsOf(at).length }).toEqual({ code: 4, manifests: had });
  expect(stderr).toMatch(/redis\/app: hook before \(sh\) failed: it ended with exit code 7; nothing was backed up/);
  expect(stderr).not.toContain(SECRET);
  expect(variablesIn(dir, 'onError')).toMatchObject({
    BKP_EXIT: 'refused',
    BKP_CODE: '4',
    BKP_MESSAGE: expect.stringContaining('exit code 7'),
  });
  expect(existsSync(join(dir, 'after'))).toBe(false);
  expect((await runBkp(['status'], run)).stdout).toMatch(/the last backup run failed: .*hook before/);
  await aRedisBackup(at);
});

it('a backup that fails: onError and not after, and the exit stays', async () => {
  const dir = tempDir();
  const run = withHooks({ after: noting(dir), onError: noting(dir) }, entry => {
    entry.port = 1;
  });
  expect((await runBkp(['backup', 'redis'], run)).code).toBe(1);
  expect(variablesIn(dir, 'onError')).toMatchObject({ BKP_EXIT: 'failed', BKP_MESSAGE: expect.stringContaining('127.0.0.1') });
  expect(existsSync(join(dir, 'after'))).toBe(false);
  const lost = withHooks({ onError: ['false'] }, entry => {
    entry.port = 1;
  });
  const { code, stderr } = await runBkp(['backup', 'redis'], lost);
  expect(code).toBe(1);
  expect(stderr).toMatch(/hook onError \(false\) failed/);
});

it('an `after` that fails leaves a backup and a partial run, which status shows until the next good one', async () => {
  const run = withHooks({ after: ['/nowhere/at-all'] });
  const { code, stdout } = await runBkp(['backup', 'redis', '--json'], run);
  expect(code).toBe(3);
  expect(lastJson(stdout)).toMatchObject({
    exit: 'partial',
    backups: [{ exit: 'partial', hookError: expect.stringMatching(/hook after .*could not be started/) }],
  });
  expect((await at.bkp('status')).stdout).toMatch(/the last backup run failed: .*hook after/);
  await aRedisBackup(at);
  expect((await at.bkp('status')).stdout).not.toMatch(/hook after/);
});

/** A hook that ignores SIGTERM, and so does what it starts; both write their process ids. */
const stubborn = (dir: string): string[] => [
  'sh',
  '-c',
  `trap '' TERM; (trap '' TERM; echo $$ >"$1/group"; sleep 300) & echo $! >"$1/child"; echo $$ >"$1/self"; wait`,
  'sh',
  dir,
];

const pidsIn = (dir: string): number[] => ['self', 'child'].map(name => Number(readFileSync(join(dir, name), 'utf8')));

it('a hook that takes too long is ended with all that it started, though it ignores SIGTERM', async () => {
  const dir = tempDir();
  const { code, stderr } = await runBkp(['backup', 'redis'], withHooks({ before: stubborn(dir), timeout: '500ms' }));
  expect(code).toBe(4);
  expect(stderr).toMatch(/had not ended after 0\.5 s \(hooks\.timeout\)/);
  expect(pidsIn(dir).filter(isAlive)).toEqual([]);
});

it('SIGTERM during a hook ends it and what it started, runs onError, and is the end of the run', async () => {
  const dir = tempDir();
  const notes = tempDir();
  const child = startBkp(['backup', 'redis'], withHooks({ before: stubborn(dir), onError: noting(notes) }));
  await waitFor(() => existsSync(join(dir, 'self')));
  child.kill('SIGTERM');
  expect((await child.ended).code).toBe(143);
  expect(pidsIn(dir).filter(isAlive)).toEqual([]);
  expect(variablesIn(notes, 'onError')['BKP_EXIT']).toBe('terminated');
});

it('CF04: a reference in the arguments of a hook is refused, since everybody sees arguments', async () => {
  const { code, stderr } = await runBkp(['config', 'check'], withHooks({ before: ['curl', 'https://${HOOK_WORD}@example.org'] }));
  expect(code).toBe(2);
  expect(stderr).toMatch(/hooks\.before\.1: .* holds a reference, and everybody on the host sees arguments/);
});
