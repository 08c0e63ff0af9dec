import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runDrill } from './drillRig.ts';
import { aBackup, aPlace, type EtcdSetup, entryOf, manifestOf, setUp } from './etcdSetup.ts';
import { type ApiServer, cleanUp, type Etcd, etcdBin, runBkp, startApiServer, startEtcd, waitFor } from './rig/index.ts';

afterAll(cleanUp);

/** On a bare machine the apiserver is still being built. */
const BUILD_MS = 20 * 60_000;

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop', labels: { tier: 'front' } },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web:1' }] } },
  },
};

/** Has the apiserver ask somebody at every change of a config map. */
const webhook = (url: string) => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'asks' },
  webhooks: [
    {
      name: 'asks.example.org',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      failurePolicy: 'Ignore',
      timeoutSeconds: 1,
      clientConfig: { url },
      rules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'] }],
    },
  ],
});

describe('the etcd of a Kubernetes', () => {
  let etcd: Etcd;
  let api: ApiServer;
  let at: EtcdSetup;

  beforeAll(async () => {
    etcd = await startEtcd();
    api = await startApiServer(etcd.endpoint);
    await api.kubectl('create', 'namespace', 'shop');
    await api.kubectl('create', 'configmap', 'prices', '--namespace', 'shop', '--from-literal', 'tea=2');
    await api.kubectl('create', 'secret', 'generic', 'till', '--namespace', 'shop', '--from-literal', 'pin=1234');
    await api.apply(deployment);
    at = await setUp(entryOf(etcd));
  }, BUILD_MS);

  /** What a drill with these checks says of each of them. */
  const drilled = async (checks: object[], programs: readonly string[] = [dirname(api.program)]) => {
    const asking = await setUp(entryOf(etcd, { bin: [etcdBin(etcd.version), ...programs], checks }), at);
    const { code, first, texts } = await runDrill(['etcd'], asking.run);
    const asked = first.checks.filter(({ name }) => /^check|^control/.test(name));
    return { code, states: asked.map(({ name, state }) => `${name} ${state}`), texts, first };
  };

  it('a drill asks a kube-apiserver of its own on the copy by kubectl, which reaches nothing that the objects lead to', async () => {
    // Whatever the live cluster told its apiserver to ask: the copy's does not.
    let connections = 0;
    const hook = createServer(socket => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>(resolve => hook.listen(0, '127.0.0.1', resolve));
    try {
      await api.apply(webhook(`https://127.0.0.1:${(hook.address() as AddressInfo).port}/`));
      /** Whether a change of the live cluster is asked about. */
      const asks = async () => {
        const before = connections;
        await api.kubectl('annotate', 'configmap', 'prices', '--namespace', 'shop', '--overwrite', `at=${Date.now()}`);
        return connections > before;
      };
      await waitFor(asks, 'the webhook to be asked');
      await aBackup(at);
      await api.kubectl('delete', 'validatingwebhookconfiguration', 'asks');
      await waitFor(async () => !(await asks()), 'the webhook to be forgotten');
      const before = connections;
      const good = await drilled([
        { get: 'deployments', selector: 'tier=front', expect: 1 },
        { name: 'replicas', get: 'deployment/web', namespace: 'shop', jsonpath: '{.spec.replicas}', expect: 3 },
        { get: 'namespaces', atLeast: 5 },
        { prefix: '/registry/deployments/', expect: 1 },
      ]);
      expect(good).toMatchObject({
        code: 0,
        states: [
          'check: keys /registry/deployments/ ok',
          'control plane ok',
          'check: get deployments -l tier=front ok',
          'check: replicas ok',
          'check: get namespaces ok',
        ],
      });
      expect(connections).toBe(before);
      const bad = await drilled([
        { name: 'more', get: 'deployments', atLeast: 2 },
        { name: 'other', get: 'deployment/web', namespace: 'shop', jsonpath: '{.spec.replicas}', expect: 4 },
        { name: 'gone', get: 'deployment/till', namespace: 'shop', expect: 1 },
        { name: 'no such kind', get: 'carts', atLeast: 1 },
      ]);
      expect({ code: bad.code, states: bad.states }).toEqual({
        code: 9,
        states: ['control plane ok', ...['more', 'other', 'gone', 'no such kind'].map(name => `check: ${name} fail`)],
      });
      expect(bad.texts).toMatch(/it is "3", and "4" was expected\n.*"till" not found[\s\S]*"carts"/);
    } finally {
      hook.close();
    }
  });

  it('a drill that has no kube-apiserver at hand is no success, and says what to install', async () => {
    const none = await drilled([{ get: 'deployments', atLeast: 1 }], []);
    expect({ code: none.code, states: none.states, mend: none.first.checks.find(({ state }) => state === 'unproven')?.mend }).toEqual({
      code: 3,
      states: ['control plane unproven'],
      mend: expect.stringContaining('install kube-apiserver'),
    });
  });

  it('is snapshot, wrecked, and restored: the apiserver shows again what there was', async () => {
    const { id } = await aBackup(at);
    const uid = await api.kubectl('get', 'namespace', 'kube-system', '-o', 'jsonpath={.metadata.uid}');
    expect(manifestOf(at, id)['identity'].kubeSystem).toBe(uid);
    const before = await api.kubectl('get', 'configmap,secret,deployment', '--namespace', 'shop', '-o', 'json');
    await api.kubectl('delete', 'deployment', 'web', '--namespace', 'shop', '--wait=false');
    await api.stop();
    await etcd.ask('del', '/registry/', '--prefix');
    await etcd.stop();

    const to = aPlace();
    const { code, stderr } = await runBkp(['restore', 'etcd', 'main', '--latest', '--to', to, '--yes'], at.run);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const restored = await startEtcd({ dataDir: to });
    const again = await startApiServer(restored.endpoint);
    const objects = (text: string) =>
      JSON.parse(text).items.map(({ kind, metadata, spec, data }: Record<string, any>) => ({
        kind,
        name: metadata['name'],
        uid: metadata['uid'],
        spec,
        data,
      }));
    expect(objects(await again.kubectl('get', 'configmap,secret,deployment', '--namespace', 'shop', '-o', 'json'))).toEqual(
      objects(before),
    );
    const version = Number(JSON.parse(await again.kubectl('get', '--raw', '/api/v1/namespaces/shop/configmaps')).metadata.resourceVersion);
    expect(version).toBeGreaterThan(1_000_000_000);
    await again.kubectl('create', 'configmap', 'new', '--namespace', 'shop');

    // The cluster id is another one, and the cluster is the same: no `--new-lineage` is needed.
    const next = await setUp(entryOf(restored), at);
    await aBackup(next);
    const proven = await runBkp(['verify', 'etcd', '--deep'], next.run);
    expect({ code: proven.code, stdout: proven.stdout }).toMatchObject({ code: 0 });
    expect(readdirSync(next.temp)).toEqual([]);
  });
});
