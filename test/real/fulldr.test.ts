import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { cleanUp, startBkp, startEtcd, startPostgres, startRedis, stopBkp, tempDir, waitFor } from './rig/index.ts';
import { movedAway, rewritten } from './rig/undo.ts';
import { journalOf, objectsIn, resultOf, type Stack, startStack } from './stackSetup.ts';

afterAll(cleanUp);

/** A test that failed leaves nothing in the way of the next one. */
afterEach(() => {
  rmSync(at.journal, { force: true });
  for (const store of Object.values(at.stores)) rmSync(join(store, 'bkp/production/restoring'), { force: true });
});

let at: Stack;
let set: string;

/** A directory that a server's account can enter, with nothing in it. */
const aRoot = (): string => join(tempDir({ forServer: true }), 'dr');
const restoring = (...args: string[]): string[] => ['restore', 'full-dr', '--yes', '--json', ...args];
const partsOf = (ended: { stdout: string }): Record<string, string> =>
  Object.fromEntries(resultOf(ended)['parts'].map((part: any) => [part.kind, part.before ? 'before' : part.state]));

/** Servers start on what was restored, and everything is in them. */
async function isBack(root: string, orders = '1000'): Promise<void> {
  const db = await startPostgres({ version: '15', dir: join(root, 'postgres/app') });
  const redis = await startRedis({ dir: join(root, 'redis/cache') });
  const etcd = await startEtcd({ version: '3.6', dataDir: join(root, 'etcd/main') });
  expect(await db.sql('select count(*) from orders')).toBe(orders);
  expect((await redis.cli('DBSIZE')).trim()).toBe('700');
  expect(await etcd.ask('get', '/registry/', '--prefix', '--keys-only')).toContain('/registry/thing/4');
  await Promise.all([db.destroy(), redis.destroy(), etcd.stop()]);
}

/** Where an object of a backup lies in a store. */
const objectOf = (store: string, kind: string, file: RegExp): string =>
  join(at.stores[store]!, objectsIn(at.stores[store]!).find(key => key.includes(`/${kind}/`) && file.test(key))!);

beforeAll(async () => {
  at = await startStack();
  const ended = await at.bkp(['backup', 'full-dr', '--json']);
  expect({ code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr }).toEqual({ code: 0, stderr: '' });
  const result = resultOf(ended);
  set = result['set'];
  expect(result['backups'].map((each: { kind: string }) => each.kind).sort()).toEqual(['etcd', 'postgres', 'redis']);
});

describe('a set', () => {
  it('lies signed in every store, and is shown whole', async () => {
    for (const store of Object.values(at.stores)) expect(objectsIn(store)).toContain(`bkp/production/sets/${set}.json`);
    const { code, stdout } = await at.bkp(['list', 'full-dr']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(new RegExp(`${set}.*local, offsite +complete`)) });
  });

  it('of an environment without targets there is none, and that is said', async () => {
    const config = parse(readFileSync(at.run.config, 'utf8'));
    config.environments = { production: { stores: config.environments.production.stores } };
    const path = join(tempDir(), 'bkp.yaml');
    writeFileSync(path, stringify(config));
    const { code, stderr } = await at.bkp(['list', 'full-dr'], { config: path });
    expect({ code, stderr }).toEqual({ code: 6, stderr: expect.stringContaining('production has no targets') });
  });

  it('that was changed in one store is told, and the other copy counts', async () => {
    const path = objectOf('local', 'sets', /./);
    rewritten(path, bytes => bytes.toString().replace('"kind":"redis"', '"kind":"other"'));
    const { code, stdout, stderr } = await at.bkp(['list', 'full-dr', '--json']);
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.anything() });
    expect(stdout).toMatch(/changed after signing/);
    expect(resultOf({ stdout })['sets']).toMatchObject([{ id: set, stores: ['offsite'] }]);
  });

  it('of which a member is gone is incomplete, and is not restored', async () => {
    for (const store of Object.keys(at.stores)) movedAway(objectOf(store, 'redis', /manifest\.json$/));
    const shown = await at.bkp(['list', 'full-dr']);
    const root = aRoot();
    const refused = await at.bkp(restoring('--from-backup', set, '--to', root));
    expect(shown.stdout).toMatch(/INCOMPLETE[\s\S]*lacks redis\/cache: backup .* is in no store any more/);
    expect({ code: refused.code, there: existsSync(root) }).toEqual({ code: 4, there: false });
    expect(refused.stderr + refused.stdout).toMatch(/redis\/cache/);
  });

  it('MO05 SA13: of which one part fails has the others, says which it lacks, and the run failed', async () => {
    await at.redis.cli('SAVE');
    await at.redis.stop();
    const ended = await at.bkp(['backup', 'full-dr', '--json']);
    await at.redis.start();
    const { set: id, backups } = resultOf(ended);
    expect(ended.code).not.toBe(0);
    expect(Object.fromEntries(backups.map((each: any) => [each.kind, each.exit === 'done']))).toEqual({
      etcd: true,
      postgres: true,
      redis: false,
    });
    const { sets } = resultOf(await at.bkp(['list', 'full-dr', '--json']));
    expect(sets.find((each: any) => each.id === id)).toMatchObject({ complete: false, lacks: [expect.stringContaining('redis/cache')] });
    const refused = await at.bkp(restoring('--from-backup', id, '--to', aRoot()));
    expect({ code: refused.code, text: refused.stdout + refused.stderr }).toEqual({
      code: 4,
      text: expect.stringContaining('redis/cache'),
    });
  });
});

describe('points', () => {
  it('what each target can be brought back to, by store, and how far apart', async () => {
    const { code, stdout } = await at.bkp(['points', '--json']);
    const result = resultOf({ stdout });
    expect(code).toBe(0);
    expect(result['targets'].map((each: any) => each.target).sort()).toEqual(['etcd/main', 'postgres/app', 'redis/cache']);
    for (const { points, best } of result['targets']) {
      expect(points.map((each: any) => each.store)).toEqual(['local', 'offsite']);
      expect(best.at).toMatch(/^2\d{3}-/);
    }
    expect(result['skewSeconds']).toBeGreaterThan(0);
  });

  it('before the first backup there is none, and that is no success', async () => {
    const { code, stdout } = await at.bkp(['points', '--at', '2020-01-01 00:00:00']);
    expect({ code, stdout }).toEqual({ code: 6, stdout: expect.stringContaining('redis/cache cannot be brought back to any point') });
  });
});

describe('restore full-dr', () => {
  it('prints the runbook it would follow, in order, with the commands that do the same by hand, and changes nothing', async () => {
    const root = aRoot();
    const { code, stdout } = await at.bkp(['restore', 'full-dr', '--from-backup', set, '--to', root, '--dry-run', '--json']);
    const { runbook } = resultOf({ stdout });
    expect({ code, there: existsSync(root), journal: journalOf(at) }).toEqual({ code: 0, there: false, journal: undefined });
    const text = runbook.join('\n');
    expect(text).toMatch(/apart:[\s\S]*wave 1 of 3[\s\S]*etcd\/main[\s\S]*wave 2[\s\S]*postgres\/app[\s\S]*wave 3[\s\S]*redis\/cache/);
    const commands = [...text.matchAll(/\$ bkp (.*)/g)].map(([, words]) => words!.split(' '));
    expect(commands).toHaveLength(3);
    for (const words of commands) {
      const { code: alone, stderr } = await at.bkp([...words, '--dry-run']);
      expect({ words, alone, stderr: alone === 0 ? '' : stderr }).toEqual({ words, alone: 0, stderr: '' });
    }
  });

  it('brings everything back out of a set, keeps the record, and lifts the mark', async () => {
    const root = aRoot();
    const ended = await at.bkp(restoring('--from-backup', set, '--to', root));
    expect({ code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr }).toEqual({ code: 0, stderr: '' });
    expect(partsOf(ended)).toEqual({ etcd: 'back', postgres: 'back', redis: 'back' });
    expect(journalOf(at)).toBeUndefined();
    expect(JSON.parse(readFileSync(resultOf(ended)['journal'], 'utf8')).steps.map((step: any) => step.state)).toEqual([
      'back',
      'back',
      'back',
    ]);
    expect(objectsIn(at.stores['local']!).filter(key => /restoring$/.test(key))).toEqual([]);
    await isBack(root);
  });

  it('latest is what each target has, not what a set says: WAL behind the base comes along; out of the second store alone, too', async () => {
    const stream = startBkp(['stream', 'postgres', '--json'], at.run);
    await waitFor(async () => (await at.db.sql('select count(*) from pg_replication_slots')) === '1', 'the slot');
    // A heartbeat may come at any time: the name is of where the switch was, not of where the server is.
    const last = await at.db.sql("insert into orders (note) values ('behind the base'); select pg_walfile_name(pg_switch_wal() - 1)");
    await waitFor(
      () => objectsIn(at.stores['offsite']!).some(key => key.includes(`/${last}-`)),
      () => `WAL ${last}; the stream says: ${stream.output().stdout}${stream.output().stderr}`,
    );
    await stopBkp(stream, 'SIGTERM');
    movedAway(at.stores['local']!);
    const root = aRoot();
    const ended = await at.bkp(restoring('--latest', '--to', root, '--from', 'offsite'));
    expect({ code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr }).toEqual({ code: 0, stderr: '' });
    await isBack(root, '1001');
  });

  it('DR04: what stands in the way is told all at once, and nothing was changed', async () => {
    const root = aRoot();
    mkdirSync(join(root, 'redis/cache'), { recursive: true });
    writeFileSync(join(root, 'redis/cache/theirs'), 'kept');
    for (const store of Object.keys(at.stores)) movedAway(objectOf(store, 'etcd', /data[^/]*\.\d+$|\.age\.\d+$/));
    const { code, stdout, stderr } = await at.bkp(restoring('--from-backup', set, '--to', root));
    expect(code).toBe(4);
    expect(stdout + stderr).toMatch(/redis\/cache: .*not empty/);
    expect(stdout + stderr).toMatch(/etcd\/main: /);
    expect(readdirSync(root)).toEqual(['redis']);
    expect(journalOf(at)).toBeUndefined();
  });

  it('DR06: without a terminal it wants --yes, and of a protected environment its name', async () => {
    const root = aRoot();
    const { code, stderr } = await at.bkp(['restore', 'full-dr', '--latest', '--to', root]);
    expect({ code, stderr, there: existsSync(root) }).toEqual({ code: 4, stderr: expect.stringContaining('--yes'), there: false });
  });

  it("into an environment that restores from another one: its backups, and the mark in the stores of one's own", async () => {
    const staging = tempDir();
    const config = parse(readFileSync(at.run.config, 'utf8'));
    const { stores: _stores, ...entries } = structuredClone(config.environments.production);
    const own = { local: { type: 'directory', path: staging } };
    config.environments.staging = { restoresFrom: 'production', stores: own, ...entries };
    const path = join(tempDir(), 'bkp.yaml');
    writeFileSync(path, stringify(config));
    const root = aRoot();
    const child = startBkp(['--env', 'staging', ...restoring('--from-backup', set, '--to', root)], { ...at.run, config: path });
    await waitFor(() => child.process.exitCode !== null || existsSync(join(staging, 'bkp/staging/restoring')), 'the mark', 2);
    expect(existsSync(join(at.stores['local']!, 'bkp/production/restoring'))).toBe(false);
    const { code, stderr } = await child.ended;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(objectsIn(staging)).toEqual([]);
    await isBack(root);
  });

  it.each([
    [['--target-lsn', '0/1'], 2],
    [['--latest', '--serve'], 2],
    [['--latest', '--skip', 'mail'], 2],
    [['--from-backup', '20200101T000000Z-aaaaaa'], 6],
    [['--latest', '--from', 'nowhere'], 2],
  ])('%j ends with %i before anything changes', async (args, wanted) => {
    const root = aRoot();
    const { code, stderr } = await at.bkp(['restore', 'full-dr', '--yes', '--to', root, ...args]);
    expect({ code, stderr, there: existsSync(root) }).toEqual({ code: wanted, stderr: expect.stringMatching(/→|usage/i), there: false });
  });

  it('a part that fails stops only what waits for it; once it is mended the same command goes on', async () => {
    const root = aRoot();
    const files = Object.keys(at.stores).map(store => objectOf(store, 'postgres', /base.*\.age\.000$/));
    const mended = files.map(file =>
      rewritten(file, bytes => {
        bytes[Math.floor(bytes.length / 2)]! ^= 0xff;
        return bytes;
      }),
    );
    const failed = await at.bkp(restoring('--from-backup', set, '--to', root));
    for (const mend of mended) mend();
    expect(failed.code).toBe(9);
    expect(partsOf(failed)).toEqual({ etcd: 'back', postgres: 'failed', redis: 'blocked' });
    expect(existsSync(join(root, 'redis/cache'))).toBe(false);

    const other = await at.bkp(restoring('--latest', '--to', root));
    expect({ code: other.code, text: other.stdout }).toEqual({
      code: 7,
      text: expect.stringMatching(/is not over, and was asked for something else/),
    });
    for (const verb of [
      ['backup', 'redis'],
      ['backup', 'full-dr'],
      ['prune', 'redis', '--confirm'],
    ]) {
      const held = await at.bkp([...verb, '--json']);
      expect({ verb, code: held.code, text: held.stdout }).toEqual({ verb, code: 7, text: expect.stringContaining('is being restored') });
    }
    expect((await at.bkp(['locks', 'list'])).stdout).toMatch(/says that this environment is being restored/);

    const ended = await at.bkp(restoring('--from-backup', set, '--to', root));
    expect({ code: ended.code, parts: partsOf(ended) }).toEqual({ code: 0, parts: { etcd: 'before', postgres: 'back', redis: 'back' } });
    await isBack(root);
    expect((await at.bkp(['backup', 'redis'])).code).toBe(0);
  });

  it('--restart leaves an unfinished one, and its mark can be lifted by hand', async () => {
    const root = aRoot();
    const file = objectOf('local', 'postgres', /base.*\.age\.000$/);
    const mend = rewritten(file, bytes => bytes.fill(1));
    const failed = await at.bkp(restoring('--from-backup', set, '--to', root, '--from', 'local'));
    mend();
    expect(failed.code).toBe(9);
    const released = await at.bkp(['locks', 'release', 'bkp/production/restoring']);
    expect({ code: released.code, out: released.stdout }).toEqual({
      code: 0,
      out: expect.stringContaining('released: bkp/production/restoring'),
    });
    expect((await at.bkp(['backup', 'redis'])).code).toBe(0);
    const other = aRoot();
    const ended = await at.bkp(restoring('--latest', '--to', other, '--restart'));
    expect({ code: ended.code, parts: partsOf(ended) }).toEqual({ code: 0, parts: { etcd: 'back', postgres: 'back', redis: 'back' } });
  });
});

type Step = { kind: string; state: string };

/** The moments of a journal at which a run may be cut short. */
const MOMENTS: [string, (steps: Step[]) => boolean][] = [
  ['it is written', steps => steps.length > 0 && steps.every(({ state }) => state === 'waiting')],
  ...['etcd', 'postgres', 'redis'].flatMap((kind): [string, (steps: Step[]) => boolean][] =>
    ['begun', 'back'].map(state => [`${kind} is ${state}`, steps => steps.some(step => step.kind === kind && step.state === state)]),
  ),
];

/** The record of the restore into a directory, once it is over. */
const finished = (root: string): Record<string, any> | undefined =>
  readdirSync(dirname(at.journal))
    .map(name => JSON.parse(readFileSync(join(dirname(at.journal), name), 'utf8')))
    .find(({ asked }) => asked.includes(root));

describe('killed as soon as the journal says that', () => {
  it.each(MOMENTS)('%s: the same command goes on, and everything is back', async (_, reached) => {
    const root = aRoot();
    const args = restoring('--from-backup', set, '--to', root);
    const child = startBkp(args, at.run);
    await waitFor(() => child.process.exitCode !== null || reached(journalOf(at)?.['steps'] ?? []), 'the journal', 2);
    child.kill('SIGKILL');
    await child.ended;
    const before = journalOf(at);
    // Past its last change the run was over: nothing is left to go on with.
    if (!before) expect(finished(root)?.steps.map((step: Step) => step.state)).toEqual(['back', 'back', 'back']);
    const ended = before ? await at.bkp(args) : undefined;
    if (ended) expect({ code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr + ended.stdout }).toEqual({ code: 0, stderr: '' });
    const back = (before?.['steps'] ?? []).filter((step: Step) => step.state === 'back').map(({ kind }: Step) => kind);
    if (ended) for (const [kind, state] of Object.entries(partsOf(ended))) expect(state).toBe(back.includes(kind) ? 'before' : 'back');
    expect(objectsIn(root).filter(path => /BKP_RESTORE_INCOMPLETE/.test(path))).toEqual([]);
    expect(objectsIn(at.stores['local']!).filter(key => /restoring$/.test(key))).toEqual([]);
    if (reached === MOMENTS[3]![1]) await isBack(root);
  });

  it('a store that goes away in the middle is done without', async () => {
    const root = aRoot();
    const child = startBkp(restoring('--from-backup', set, '--to', root), at.run);
    await waitFor(() => child.process.exitCode !== null || MOMENTS[2]![1](journalOf(at)?.['steps'] ?? []), 'the journal', 2);
    movedAway(at.stores['local']!);
    const { code, stderr } = await child.ended;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    await isBack(root);
  });
});
