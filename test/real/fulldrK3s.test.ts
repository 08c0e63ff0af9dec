import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { cleanUp, isAlive, K3s, makeConfig, runBkp, startBkp, startEtcd, startRedis, tempDir, waitFor } from './rig/index.ts';
import { resultOf } from './stackSetup.ts';

afterAll(cleanUp);

/** What runs in the cluster that was lost. */
const CLUSTER = {
  cronjobs: [{ metadata: { name: 'nightly', namespace: 'app' }, spec: { suspend: false } }],
  jobs: [],
  deployments: [{ metadata: { name: 'web', namespace: 'app' }, spec: { replicas: 3 } }],
  statefulsets: [],
  nodes: [{ metadata: { name: 'lost-1', labels: {} }, spec: {} }],
  persistentvolumes: [],
};

let k3s: K3s;
let run: { config: string; env: Record<string, string> };
const store = tempDir();
const state = tempDir();
const data = join(tempDir({ forServer: true }), 'cache');
const journal = () => join(state, 'bkp/restore-production.json');
const stepsNow = (): Record<string, string> =>
  existsSync(journal())
    ? Object.fromEntries(JSON.parse(readFileSync(journal(), 'utf8')).steps.map(({ kind, state: at }: any) => [kind, at]))
    : {};
const mark = () => existsSync(join(store, 'bkp/production/restoring'));
const cluster = (text: string) => writeFileSync(join(k3s.bin, 'cluster.json'), text);

beforeAll(async () => {
  const [etcd, redis] = await Promise.all([startEtcd(), startRedis()]);
  for (const n of [1, 2, 3]) await etcd.ask('put', `/registry/configmaps/default/${n}`, `value${n}`);
  await redis.cli('DEBUG', 'POPULATE', '300', 'key', '20');
  k3s = new K3s(etcd);
  const { path } = await makeConfig({
    stores: { local: store },
    etcd: { main: k3s.entry({ fullDr: { online: true } }) },
    redis: { cache: redis.entry({ fullDr: { after: ['etcd'], to: data } }) },
  });
  run = { config: path, env: { XDG_STATE_HOME: state } };
  const { code, stderr } = await runBkp(['backup', 'full-dr'], run);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  // The node is lost, and a new one has K3s on it, which does not run.
  rmSync(join(k3s.bin, 'active'));
});

it('with the whole stack K3s comes back asleep, before what waits for it; killed in its step, the same command goes on', async () => {
  const args = ['restore', 'full-dr', '--latest', '--yes', '--json'];
  // Nothing comes of what is asked of it: so the run is in the middle of the step for as long as it takes.
  cluster('{');
  const child = startBkp(args, run);
  const pid = Number(
    await waitFor(() => existsSync(join(k3s.bin, 'up')) && readFileSync(join(k3s.bin, 'up'), 'utf8'), 'K3s without its agent'),
  );
  child.kill('SIGKILL');
  await child.ended;
  await waitFor(() => !isAlive(pid), 'the end of K3s');
  expect({ steps: stepsNow(), mark: mark(), redis: existsSync(data) }).toEqual({
    steps: { etcd: 'begun', redis: 'waiting' },
    mark: true,
    redis: false,
  });
  const held = await runBkp(['backup', 'redis'], run);
  expect(held.code).toBe(7);

  rmSync(join(k3s.bin, 'up'), { force: true });
  cluster(JSON.stringify(CLUSTER));
  const ended = await runBkp(args, run);
  expect({ code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr }).toEqual({ code: 0, stderr: '' });
  const parts = resultOf(ended)['parts'] as Record<string, any>[];
  expect(parts.map(({ kind, state: at, wave, before }) => ({ kind, at, wave, before }))).toEqual([
    { kind: 'etcd', at: 'back', wave: 0, before: undefined },
    { kind: 'redis', at: 'back', wave: 1, before: undefined },
  ]);
  expect(parts[0]!['next'].join('\n')).toMatch(/systemctl start k3s[\s\S]*every agent[\s\S]*wake\.sh/);
  const now = JSON.parse(readFileSync(join(k3s.bin, 'cluster.json'), 'utf8'));
  expect(now).toMatchObject({ nodes: [], cronjobs: [{ spec: { suspend: true } }], deployments: [{ spec: { replicas: 0 } }] });
  expect({ journal: existsSync(journal()), mark: mark(), up: existsSync(join(k3s.bin, 'up')) }).toEqual({
    journal: false,
    mark: false,
    up: false,
  });

  // What was there before the first try, and what that had made of it, are both still there.
  const asides = readdirSync(join(k3s.dataDir, 'server/db')).filter(name => name.startsWith('etcd.before-'));
  const first = asides.map(name => readFileSync(join(k3s.dataDir, 'server/db', name, 'member/snap/db')).toString('latin1'));
  expect(first).toContain('the live database');
  const copy = await startEtcd({ dataDir: join(k3s.dataDir, 'server/db/etcd') });
  expect((await copy.ask('get', '/registry/', '--prefix', '--keys-only')).split('\n').filter(Boolean)).toHaveLength(3);
  await copy.stop();
  const redis = await startRedis({ dir: data });
  expect((await redis.cli('DBSIZE')).trim()).toBe('300');
});
