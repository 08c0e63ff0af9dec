import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { cleanUp, type Ended, makeConfig, type Redis, runBkp, startBkp, startRedis, tempDir, waitFor } from './rig/index.ts';
import { rewritten } from './rig/undo.ts';
import { objectsIn, resultOf } from './stackSetup.ts';

type Yaml = Record<string, any>;

let servers: Redis[];
let store: string;
let written: string;
let set: string;
const state = tempDir();
const journal = join(state, 'bkp/restore-production.json');

/** The config with other entries of Redis. */
function changed(change: (redis: Yaml, whole: Yaml) => void): string {
  const config = parse(readFileSync(written, 'utf8')) as Yaml;
  const environment = config['environments'].production as Yaml;
  change(environment['redis'] as Yaml, environment);
  const path = join(tempDir(), 'bkp.yaml');
  writeFileSync(path, stringify(config, { lineWidth: 0 }));
  return path;
}

const bkp = (args: readonly string[], config = written): Promise<Ended> => runBkp(args, { config, env: { XDG_STATE_HOME: state } });
const restoring = (root: string, ...args: string[]): string[] => ['restore', 'full-dr', '--yes', '--json', '--to', root, ...args];
const aRoot = (): string => join(tempDir({ forServer: true }), 'dr');
const partsOf = (ended: Ended): Record<string, string> =>
  Object.fromEntries(resultOf(ended)['parts'].map((part: Yaml) => [part['name'], part['before'] ? 'before' : part['state']]));
const objectOf = (name: string): string =>
  join(store, objectsIn(store).find(key => key.includes(`/redis/${name}/`) && /\.000$/.test(key))!);
const dump = (root: string, name: string): boolean => existsSync(join(root, 'redis', name, 'dump.rdb'));

beforeAll(async () => {
  servers = await Promise.all([startRedis(), startRedis(), startRedis()]);
  for (const server of servers) await server.cli('DEBUG', 'POPULATE', '500', 'key', '50');
  store = tempDir();
  const [one, two, three] = servers as [Redis, Redis, Redis];
  const redis = {
    one: one.entry({}),
    two: two.entry({ fullDr: { after: ['redis/one'] } }),
    three: three.entry({ fullDr: { after: ['redis/two'] } }),
  };
  written = (await makeConfig({ stores: { local: store }, redis })).path;
  const ended = await bkp(['backup', 'full-dr', '--json']);
  expect({ code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr }).toEqual({ code: 0, stderr: '' });
  set = resultOf(ended)['set'] as string;
});

afterEach(() => {
  rmSync(journal, { force: true });
  rmSync(join(store, 'bkp/production/restoring'), { force: true });
});

afterAll(cleanUp);

/** A run of which `one` came back and `two` did not. */
async function cutShort(root: string, config = written): Promise<void> {
  const mend = rewritten(objectOf('two'), bytes => bytes.fill(1));
  const failed = await bkp(restoring(root, '--from-backup', set), config);
  mend();
  expect({ code: failed.code, parts: partsOf(failed) }).toMatchObject({ code: 9, parts: { one: 'back', two: 'failed' } });
}

const isWhole = (root: string): boolean[] => ['one', 'two', 'three'].map(name => dump(root, name));

describe('a restore of full-dr that was cut short and is gone on with', () => {
  it('an entry that was renamed meanwhile and was not back yet is told, and is no part that came back', async () => {
    const root = aRoot();
    await cutShort(root);
    const renamed = changed(redis => {
      redis['other'] = { ...redis['two'], fullDr: {} };
      delete redis['two'];
      redis['three'].fullDr = {};
    });
    const refused = await bkp(restoring(root, '--from-backup', set, '--skip', 'redis/two'), renamed);
    expect({ code: refused.code, text: refused.stdout }).toEqual({ code: 7, text: expect.stringContaining('asked for something else') });
    const latest = aRoot();
    const mend = rewritten(objectOf('two'), bytes => bytes.fill(1));
    expect((await bkp(restoring(latest, '--latest', '--restart'))).code).toBe(9);
    mend();
    const { code, stdout } = await bkp(restoring(latest, '--latest'), renamed);
    expect({ code, stdout }).toEqual({
      code: 4,
      stdout: expect.stringMatching(/redis\/two: the restore that began \S+ has yet to bring it back, and the config has it no more/),
    });
    expect(isWhole(latest)).toEqual([true, false, false]);
    expect((await bkp(restoring(latest, '--latest'))).code).toBe(0);
    expect(isWhole(latest)).toEqual([true, true, true]);
  });

  it('an entry that was added meanwhile comes back, too, in its wave', async () => {
    const root = aRoot();
    const mend = rewritten(objectOf('two'), bytes => bytes.fill(1));
    const without = changed(redis => delete redis['three']);
    expect((await bkp(restoring(root, '--latest'), without)).code).toBe(9);
    mend();
    const ended = await bkp(restoring(root, '--latest'));
    expect({ code: ended.code, parts: partsOf(ended) }).toEqual({ code: 0, parts: { one: 'before', two: 'back', three: 'back' } });
    expect(isWhole(root)).toEqual([true, true, true]);
  });

  it('what was back and was taken away since is brought back again', async () => {
    const root = aRoot();
    await cutShort(root);
    rmSync(root, { recursive: true });
    const ended = await bkp(restoring(root, '--from-backup', set));
    expect({ code: ended.code, parts: partsOf(ended) }).toEqual({ code: 0, parts: { one: 'back', two: 'back', three: 'back' } });
    expect(isWhole(root)).toEqual([true, true, true]);
  });

  it('a place that the config names only since then keeps what is in it', async () => {
    const [first, second] = [aRoot(), aRoot()];
    const placed = (root: string): string =>
      changed(redis => {
        for (const name of ['one', 'two', 'three']) redis[name].fullDr = { ...redis[name].fullDr, to: join(root, 'redis', name) };
      });
    const args = ['restore', 'full-dr', '--yes', '--json', '--from-backup', set];
    const child = startBkp(args, { config: placed(first), env: { XDG_STATE_HOME: state } });
    await waitFor(() => /"state": "begun"/.test(existsSync(journal) ? readFileSync(journal, 'utf8') : ''), 'the journal', 2);
    child.kill('SIGKILL');
    await child.ended;
    const [begun] = JSON.parse(readFileSync(journal, 'utf8')).steps.filter((step: Yaml) => step['state'] === 'begun') as Yaml[];
    const theirs = join(second, 'redis', begun!['name']);
    mkdirSync(theirs, { recursive: true });
    writeFileSync(join(theirs, 'theirs'), 'kept');
    const { code, stdout } = await bkp(args, placed(second));
    expect({ code, stdout }).toEqual({ code: 4, stdout: expect.stringContaining('is not empty') });
    expect(readdirSync(theirs)).toEqual(['theirs']);
  });
});

it('a second restore of full-dr is refused while the first one is at it, and takes nothing away from it', async () => {
  const root = aRoot();
  const args = restoring(root, '--from-backup', set);
  const child = startBkp(args, { config: written, env: { XDG_STATE_HOME: state } });
  await waitFor(() => existsSync(journal) && readFileSync(journal, 'utf8').includes('"begun"'), 'the journal', 2);
  child.kill('SIGSTOP');
  const second = await bkp(args);
  const planned = await bkp([...args, '--dry-run']);
  child.kill('SIGCONT');
  expect({ code: second.code, stdout: second.stdout }).toEqual({ code: 7, stdout: expect.stringContaining('is under way on this host') });
  expect(planned.code).not.toBe(7);
  expect((await child.ended).code).toBe(0);
  expect(isWhole(root)).toEqual([true, true, true]);
});

it('what a set has and the config does not know is told before anything is done, and may be left out by its name', async () => {
  const root = aRoot();
  const without = changed(redis => delete redis['three']);
  const refused = await bkp(restoring(root, '--from-backup', set), without);
  expect({ code: refused.code, text: refused.stdout }).toEqual({ code: 4, text: expect.stringContaining('--skip redis/three') });
  expect(existsSync(root)).toBe(false);
  const shown = await bkp(['list', 'full-dr'], without);
  expect(shown.stdout).toMatch(/INCOMPLETE[\s\S]*redis\/three: it is no part of full-dr in the config, so backup \S+ was not looked for/);
  const ended = await bkp(restoring(root, '--from-backup', set, '--skip', 'redis/three'), without);
  expect({ code: ended.code, parts: partsOf(ended) }).toEqual({ code: 0, parts: { one: 'back', two: 'back' } });
});
