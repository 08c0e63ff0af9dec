import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { aBackup, aPlace, type EtcdSetup, entryOf, manifestOf, setUp } from './etcdSetup.ts';
import { type ApiServer, cleanUp, type Etcd, runBkp, startApiServer, startEtcd } from './rig/index.ts';

afterAll(cleanUp);

/** On a bare machine the apiserver is still being built. */
const BUILD_MS = 20 * 60_000;

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web:1' }] } },
  },
};

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
