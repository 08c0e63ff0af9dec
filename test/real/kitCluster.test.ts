import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startHetzner } from '../hetzner/double.ts';
import { aServer } from '../hetzner/state.ts';
import { lastJson } from './change.ts';
import { entryOf } from './etcdSetup.ts';
import { aKit, byKey, checkHere, forKey, there } from './kitSetup.ts';
import { type ApiServer, cleanUp, type Etcd, K3s, makeConfig, pause, runBkp, startApiServer, startEtcd, tempDir } from './rig/index.ts';

afterAll(cleanUp);

/** On a bare machine the apiserver is still being built. */
const BUILD_MS = 20 * 60_000;

interface Run {
  config: string;
  env: Record<string, string>;
}

async function filesOf(kit: string): Promise<string> {
  const to = join(tempDir(), 'kit');
  const { code, stderr } = await there(['kit', 'open', kit, '--to', to, ...byKey()]);
  if (code !== 0) throw new Error(stderr);
  return to;
}

async function backup(run: Run): Promise<void> {
  const { code, stderr } = await runBkp(['backup', 'etcd'], run);
  if (code !== 0) throw new Error(stderr);
}

async function looked(run: Run, kit: string) {
  const { code, stdout, stderr } = await checkHere(run, kit, '--json');
  const { alarms, unknown, stale } = lastJson(stdout);
  return { code, alarms, unknown, stale, all: stdout + stderr };
}

describe('a kit of a Kubernetes', () => {
  let etcd: Etcd;
  let api: ApiServer;
  let run: Run;

  const create = (name: string, ...more: string[]) =>
    api.kubectl('create', 'secret', 'generic', name, '--namespace', 'shop', '--from-literal', `pin=a-pin-of-${name}`, ...more);
  const sealingKey = (name: string) =>
    api.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: 'kube-system', labels: { 'sealedsecrets.bitnami.com/sealed-secrets-key': 'active' } },
      type: 'kubernetes.io/tls',
      stringData: { 'tls.crt': `certificate of ${name}`, 'tls.key': `private key of ${name}` },
    });

  beforeAll(async () => {
    etcd = await startEtcd();
    api = await startApiServer(etcd.endpoint);
    await api.kubectl('create', 'namespace', 'shop');
    await create('till');
    await sealingKey('sealed-secrets-key1');
    const config = await makeConfig({
      stores: { one: tempDir() },
      etcd: { main: entryOf(etcd) },
      environment: { cluster: { kubeconfig: api.kubeconfig } },
    });
    run = { config: config.path, env: {} };
    await pause(1100);
    await backup(run);
  }, BUILD_MS);

  it('holds the keys of sealed-secrets, and kubectl takes them back', async () => {
    const dir = await filesOf(await aKit(run));
    const key = () => api.kubectl('get', 'secret', 'sealed-secrets-key1', '--namespace', 'kube-system', '-o', 'json');
    const before = JSON.parse(await key());
    await api.kubectl('delete', 'secret', 'sealed-secrets-key1', '--namespace', 'kube-system');
    const [line] = readFileSync(join(dir, 'RUNBOOK.md'), 'utf8')
      .split('\n')
      .filter(each => each.startsWith('kubectl apply'));
    await api.kubectl(...line!.replace('cluster/', `${dir}/cluster/`).split(' ').slice(1));
    const after = JSON.parse(await key());
    expect([after.data, after.type, after.metadata.labels]).toEqual([before.data, before.type, before.metadata.labels]);
    await pause(1100);
    await backup(run);
  });

  it('alarms about Secrets that nothing makes again and no backup has, and about keys of sealed-secrets that it lacks', async () => {
    const kit = await aKit(run);
    expect(await looked(run, kit)).toMatchObject({ code: 0, alarms: [], unknown: [] });
    await create('later');
    const uid = await api.kubectl('get', 'namespace', 'shop', '-o', 'jsonpath={.metadata.uid}');
    await api.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'owned', namespace: 'shop', ownerReferences: [{ apiVersion: 'v1', kind: 'SealedSecret', name: 'owned', uid }] },
    });
    await sealingKey('sealed-secrets-key2');
    const seen = await looked(run, kit);
    expect(seen).toMatchObject({
      code: 10,
      alarms: [
        expect.stringContaining('the key kube-system/sealed-secrets-key2 of sealed-secrets'),
        expect.stringMatching(/^Secret shop\/later .*is only in the cluster/),
      ],
    });
    expect(seen.all).not.toMatch(/a-pin-of|private key|YS1waW4t|cHJpdmF0/);
    await pause(1100);
    await backup(run);
    expect(await looked(run, kit)).toMatchObject({ code: 10, alarms: [expect.stringContaining('sealed-secrets-key2')] });
    expect(await looked(run, await aKit(run))).toMatchObject({ code: 0, alarms: [] });
  });

  it('counts no backup of another cluster', async () => {
    const [strange, config] = [await startEtcd(), JSON.parse(JSON.stringify(run)) as Run];
    const other = await makeConfig({
      stores: { one: tempDir() },
      etcd: { main: entryOf(strange) },
      environment: { cluster: { kubeconfig: api.kubeconfig } },
    });
    config.config = other.path;
    await strange.ask('put', '/a', 'b');
    await pause(1100);
    await backup(config);
    const { code, alarms } = await looked(config, await aKit(config));
    expect({ code, alarms }).toEqual({
      code: 10,
      alarms: expect.arrayContaining([expect.stringMatching(/shop\/till .*no backup has its datastore/)]),
    });
  });

  it('a cluster that does not answer is no green light, and a kit is made without it only when told so', async () => {
    const kit = await aKit(run);
    const broken = join(tempDir(), 'kubeconfig');
    writeFileSync(broken, readFileSync(api.kubeconfig, 'utf8').replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1'));
    const silent = { ...run, config: join(tempDir(), 'bkp.yaml') };
    writeFileSync(silent.config, readFileSync(run.config, 'utf8').replace(api.kubeconfig, broken));
    const { code, unknown } = await looked(silent, kit);
    expect({ code, unknown }).toEqual({ code: 10, unknown: [expect.stringContaining('the cluster could not be looked at: kubectl')] });
    const out = join(tempDir(), 'kit.age');
    expect(await runBkp(['kit', 'export', '--out', out, ...forKey], silent)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('kubectl'),
    });
    const without = await aKit(silent, ['--no-cluster', ...forKey]);
    expect(await looked(silent, without)).toMatchObject({ code: 3, stale: [] });
  });
});

describe('a kit of K3s', () => {
  it('holds the server token that the newest backup wants, and is stale when that is another one', async () => {
    const etcd = await startEtcd();
    await etcd.ask('put', '/registry/configmaps/default/1', 'value');
    const k3s = new K3s(etcd);
    const config = await makeConfig({ stores: { one: tempDir() }, etcd: { main: k3s.entry({ flavor: 'k3s' }) } });
    const run = { config: config.path, env: {} };
    const tokenOf = async (kit: string) => readFileSync(join(await filesOf(kit), 'tokens/etcd/main/token'), 'utf8').trim();
    expect(await tokenOf(await aKit(run))).toBe(k3s.token);
    await backup(run);
    k3s.put('server/token', 'another token of the node\n');
    const kit = await aKit(run);
    expect(await tokenOf(kit)).toBe(k3s.token);
    expect(readFileSync(join(await filesOf(kit), 'RUNBOOK.md'), 'utf8')).toMatch(/K3S_TOKEN_FILE/);
    expect(await looked(run, kit)).toMatchObject({ code: 0, stale: [] });
    k3s.put('server/token', `${k3s.token.replace('a-secret', 'another-secret')}\n`);
    await backup(run);
    const seen = await looked(run, kit);
    expect(seen).toMatchObject({ code: 10, stale: [expect.stringMatching(/the token of etcd\/main is another one since .*wants it/)] });
    expect(seen.all).not.toContain('secret-of-the-cluster');
  });
});

describe('a kit of servers at Hetzner', () => {
  it('is good as long as the snapshots are there, asked by the token of the kit alone', async () => {
    const double = await startHetzner({ servers: [aServer(1, { labels: { backup: 'yes' } })] });
    double.actionsEnd = { looks: 0, status: 'success' };
    try {
      const nodes = { engine: 'server-snapshot', token: '${HCLOUD_TOKEN}', endpoint: double.endpoint, selector: 'backup=yes' };
      const config = await makeConfig({ stores: { one: tempDir() }, volumes: { nodes } });
      const run = { config: config.path, env: { HCLOUD_TOKEN: double.project.token } };
      expect(await runBkp(['backup', 'volumes'], run)).toMatchObject({ code: 0 });
      const kit = await aKit(run);
      const check = () => there(['kit', 'check', kit, ...byKey()]);
      const good = await check();
      expect({ code: good.code, stdout: good.stdout }).toEqual({
        code: 0,
        stdout: expect.stringContaining('1 things are there at Hetzner'),
      });
      expect(readFileSync(join(await filesOf(kit), 'RUNBOOK.md'), 'utf8')).toContain('--online --server ID --new-server NAME');
      double.project.images.splice(0);
      const gone = await check();
      expect({ code: gone.code, stdout: gone.stdout }).toEqual({
        code: 9,
        stdout: expect.stringMatching(/BAD .*Hetzner has no \d+ any more/),
      });
      expect(double.wrong).toEqual([]);
    } finally {
      await double.close();
    }
  });
});
