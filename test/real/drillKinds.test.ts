import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TargetContext } from '../../src/core/contracts.ts';
import { startPrivate } from '../../src/providers/targets/etcd/privateServer.ts';
import { systemClock } from '../../src/system/clock.ts';
import { systemRunner } from '../../src/system/runner.ts';
import type { Yaml } from './change.ts';
import { dataIn, processesIn, recordsIn, resigned, runDrill } from './drillRig.ts';
import { entryOf, wrapped } from './etcdSetup.ts';
import { fill } from './redissetup.ts';
import {
  type BkpOptions,
  cleanUp,
  type Etcd,
  etcdBin,
  freePort,
  makeConfig,
  type Redis,
  runBkp,
  startBkp,
  startEtcd,
  startRedis,
  tempDir,
  type WrittenConfig,
  waitFor,
} from './rig/index.ts';
import { filesIn } from './stub.ts';

afterAll(cleanUp);

/** A config with one store; `edit` changes the entry. */
interface World {
  config: WrittenConfig;
  store: string;
  id: string;
  run(entry?: Record<string, unknown>): Promise<BkpOptions>;
}

/** Backs up one entry into a store of its own. */
async function world(kind: 'redis' | 'etcd', entry: Record<string, unknown>, env: Record<string, string> = {}): Promise<World> {
  const store = tempDir();
  const config = await makeConfig({ stores: { local: store }, [kind]: { app: entry } });
  const { code, stdout, stderr } = await runBkp(['backup', kind, '--json'], { config: config.path, env });
  if (code !== 0) throw new Error(stderr);
  const id = JSON.parse(stdout.trim().split('\n').at(-1)!).backups[0].id as string;
  const run = async (more: Record<string, unknown> = {}): Promise<BkpOptions> => {
    const dir = tempDir();
    mkdirSync(join(dir, 'c'));
    const { path } = await makeConfig({
      stores: { local: store },
      [kind]: { app: { ...entry, ...more } },
      keys: config.keys,
      dir: join(dir, 'c'),
    });
    return { config: path, env };
  };
  return { config, store, id, run };
}

const states = (checks: readonly { name: string; state: string }[]) => checks.map(({ name, state }) => `${name} ${state}`);

describe.each(['redis7', 'valkey9'] as const)('a drill of %s', version => {
  let server: Redis;
  let at: World;

  beforeAll(async () => {
    server = await startRedis({ version });
    await fill(server, 300);
    at = await world('redis', server.entry());
  });

  it('DR10: starts the copy on a socket of its own; the checks of the config are answered by it, and the source hears nothing', async () => {
    const run = await at.run({
      checks: [
        { keys: 'key:*', atLeast: 300 },
        { name: 'of database 5', command: ['GET', 'other'], database: 5, expect: 'database' },
        { command: ['HLEN', 'hash'], expect: 600 },
      ],
    });
    const connections = () => server.info('total_connections_received');
    const [digest, before, held] = [await server.cli('DEBUG', 'DIGEST'), Number(await connections()), dataIn(at.store)];
    const source = { REDISCLI_AUTH: 'secret', REDIS_PORT: String(server.port), REDISCLI_HISTFILE: '/dev/null' };
    const { code, first, drill } = await runDrill(['redis'], { ...run, env: source });
    expect({ code, states: states(first.checks) }).toEqual({
      code: 0,
      states: [
        'unpack ok',
        'keys ok',
        'functions ok',
        'check: keys key:* ok',
        'check: of database 5 ok',
        'check: HLEN hash ok',
        'write ok',
        'keys by AOF ok',
        'stop ok',
      ],
    });
    expect(await server.cli('DEBUG', 'DIGEST')).toBe(digest);
    // These three questions of ours, and nobody else's.
    expect(Number(await connections()) - before).toBe(2);
    const { fetch, restore, start, prove } = first.phases!;
    expect(Math.min(fetch, restore, start, prove)).toBeGreaterThan(0);
    expect(first.rpoSeconds).toBeCloseTo((Date.parse(drill.startedAt) - Date.parse(first.recoveryPointAt!)) / 1000, 3);
    expect(dataIn(at.store)).toEqual(held);
    expect(recordsIn(at.store, 'proofs')).toEqual([`bkp/production/proofs/redis/app/${at.id}.json`]);
  });

  it('each check that does not hold names itself', async () => {
    const checks = [
      { name: 'sessions', keys: 'session:*', atLeast: 1 },
      { name: 'all keys', keys: '*', expect: 3 },
      { name: 'no such word', command: ['NOSUCH'], expect: 1 },
    ];
    const { code, failed, texts } = await runDrill(['redis'], await at.run({ checks }));
    expect({ code, failed }).toEqual({ code: 9, failed: checks.map(({ name }) => `check: ${name}`) });
    expect(texts).toMatch(/^0, and at least 1 were expected\nit is "\d+", and "3" was expected\n.*unknown command/is);
  });

  it('DR01: keys and libraries that were recorded and are not in the dump fail it', async () => {
    const less = resigned(at.store, at.config.keysDir, at.id, ({ baseline }) => {
      const { databases, ...rest } = structuredClone(baseline) as Yaml;
      databases['0'].keys += 1;
      return { baseline: { databases, ...rest } };
    });
    const { code, first, texts } = await runDrill(['redis'], await at.run());
    less();
    expect({ code, result: first.result }).toEqual({ code: 9, result: 'failed' });
    expect(texts).toMatch(/database 0 of the dump has \d+ keys, and \d+ were recorded/);
  });

  it('SIGTERM while the copy is started leaves no server, no file and no record', async () => {
    const temp = tempDir();
    const [run, before] = [await at.run({ checks: [{ command: ['BLPOP', 'none', '30'], expect: '' }] }), filesIn(at.store)];
    const child = startBkp(['drill', 'redis'], { ...run, env: { TMPDIR: temp } });
    await waitFor(() => processesIn(temp).length > 0, 'the copy');
    child.kill('SIGTERM');
    const { code } = await child.ended;
    expect({ code, copies: processesIn(temp), files: filesIn(temp), stored: filesIn(at.store) }).toEqual({
      code: 143,
      copies: [],
      files: [],
      stored: before,
    });
  });
});

it('DR02: an empty Redis comes back as empty as it was', async () => {
  const server = await startRedis();
  const at = await world('redis', server.entry());
  const { code, first } = await runDrill(['redis'], await at.run({ checks: [{ keys: '*', expect: 0 }] }));
  expect({ code, result: first.result }).toEqual({ code: 0, result: 'passed' });
});

describe.each(['3.4', '3.6'] as const)('a drill of etcd %s', version => {
  let server: Etcd;
  let at: World;

  beforeAll(async () => {
    server = await startEtcd({ version });
    for (const key of ['/registry/deployments/a', '/registry/deployments/b', '/registry/secrets/c']) await server.ask('put', key, 'v');
    at = await world('etcd', entryOf(server));
  });

  it('DR10: starts the copy on loopback ports of its own, whatever ETCDCTL_… and KUBECONFIG say', async () => {
    const run = await at.run({
      checks: [
        { prefix: '/registry/deployments/', expect: 2 },
        { name: 'any', prefix: '/', atLeast: 3 },
      ],
    });
    const revision = async () => JSON.parse(await server.ask('get', 'x', '-w', 'json')).header.revision as number;
    const before = await revision();
    const kubeconfig = join(tempDir(), 'config');
    writeFileSync(kubeconfig, `clusters: [{name: c, cluster: {server: "${server.endpoint}"}}]`);
    const { code, first } = await runDrill(['etcd'], { ...run, env: { ...server.env, KUBECONFIG: kubeconfig } });
    expect({ code, states: states(first.checks).filter(each => !each.endsWith('note')) }).toEqual({
      code: 0,
      states: [
        'unpack',
        'restore',
        'start',
        'baseline',
        ...(version === '3.6' ? ['compaction'] : []),
        'check: keys /registry/deployments/',
        'check: any',
        'write',
      ].map(name => `${name} ok`),
    });
    expect(await revision()).toBe(before);
    const { fetch, restore, start, prove } = first.phases!;
    expect(Math.min(fetch, restore, start, prove)).toBeGreaterThan(0);
  });

  it('DR01: keys, revision and checks that do not come back are named', async () => {
    const wrong = async (change: (baseline: Yaml) => Yaml) => {
      const undo = resigned(at.store, at.config.keysDir, at.id, ({ baseline }) => ({
        baseline: { ...baseline, ...change(baseline as Yaml) },
      }));
      const seen = await runDrill(['etcd'], await at.run({ checks: [{ name: 'pods', prefix: '/registry/pods/', atLeast: 1 }] }));
      undo();
      return seen;
    };
    const keys = await wrong(() => ({ keys: 8 }));
    expect({ code: keys.code, failed: keys.failed }).toEqual({ code: 9, failed: ['baseline', 'check: pods'] });
    expect(keys.texts).toMatch(/the copy has 3 keys, and 8 were recorded at backup time\n0, and at least 1 were expected/);
    const revision = await wrong(baseline => ({ revision: baseline['revision'] + 1000 }));
    expect(revision.failed).toContain('baseline');
    expect(revision.texts).toMatch(/the copy is at revision \d+, and 10\d\d was recorded/);
  });
});

describe('an etcd whose tools lie', () => {
  let server: Etcd;
  let at: World;

  beforeAll(async () => {
    server = await startEtcd({ version: '3.6' });
    await server.ask('put', 'a', '1');
    at = await world('etcd', entryOf(server));
  });

  it('DR05: a restore that ends with 1 fails it with its words, and one that does nothing and ends with 0 fails it by the data', async () => {
    const restore = (then: string) => wrapped('etcdutl', `case "$*" in *"snapshot restore /"*) ${then};; esac\nexec "$REAL" "$@"`);
    const one = await runDrill(['etcd'], await at.run({ bin: [restore('echo "Error: boom" >&2; exit 1')] }));
    expect({ code: one.code, failed: one.failed }).toEqual({ code: 9, failed: ['restore'] });
    expect(one.texts).toContain('boom');
    // What it leaves is an etcd that starts, and has nothing in it.
    const nothing = await runDrill(['etcd'], await at.run({ bin: [restore('exit 0')] }));
    expect({ code: nothing.code, failed: nothing.failed }).toEqual({ code: 9, failed: ['baseline', 'compaction'] });
  });

  it('whoever has the port of the copy is never spoken to as if it were the copy', async () => {
    const said: string[] = [];
    const ctx = {
      name: 'app',
      run: systemRunner,
      clock: systemClock,
      signal: new AbortController().signal,
      report: { emit: (event: object) => said.push(JSON.stringify(event)) },
      config: {},
    } as unknown as TargetContext<any>;
    const port = Number(new URL(server.endpoint).port);
    const dataDir = join(tempDir(), 'data');
    const started = startPrivate(ctx, { file: join(etcdBin('3.6'), 'etcd'), version: [3, 6, 0] } as any, dataDir, [port, await freePort()]);
    await expect(started).rejects.toThrow(/a private etcd on the copy ended: .*in use/);
  });

  it('SIGTERM while the copy is served leaves no server, no file and no record', async () => {
    const temp = tempDir();
    const [run, before] = [await at.run(), filesIn(at.store)];
    const child = startBkp(['drill', 'etcd'], { ...run, env: { TMPDIR: temp } });
    await waitFor(() => processesIn(temp).length > 0, 'the copy');
    child.kill('SIGTERM');
    const { code } = await child.ended;
    expect({ code, copies: processesIn(temp), files: filesIn(temp), stored: filesIn(at.store) }).toEqual({
      code: 143,
      copies: [],
      files: [],
      stored: before,
    });
  });
});
