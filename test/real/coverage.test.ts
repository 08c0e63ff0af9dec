import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Holding } from '../../src/core/contracts.ts';
import { type Cluster, clusterHoldings, merged } from '../../src/core/coverage.ts';
import { type Double, startHetzner } from '../hetzner/double.ts';
import { aServer } from '../hetzner/state.ts';
import { cleanUp, makeConfig, node24, runBkp, tempDir } from './rig/index.ts';

const local = (name: string, node: string | undefined, claim: string) => ({
  metadata: { name },
  spec: {
    local: { path: `/var/lib/rancher/k3s/storage/${name}` },
    claimRef: { namespace: 'shop', name: claim },
    ...(node
      ? {
          nodeAffinity: {
            required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }] },
          },
        }
      : {}),
  },
});

const csi = (name: string, volumeHandle: string) => ({
  metadata: { name },
  spec: { csi: { driver: 'csi.hetzner.cloud', volumeHandle }, claimRef: { namespace: 'shop', name: 'db' } },
});

const pod = (name: string, nodeName: string, volumes: object[]) => ({ metadata: { namespace: 'shop', name }, spec: { nodeName, volumes } });

const cluster: Cluster = {
  pods: [
    pod('db-0', 'node-1', [
      { persistentVolumeClaim: { claimName: 'db' } },
      { hostPath: { path: '/srv/uploads' } },
      { hostPath: { path: '/run/x' } },
    ]),
    pod('web-0', 'node-2', [{ hostPath: { path: '/srv/cache' } }, { hostPath: { path: '/proc' } }]),
    pod('web-1', 'node-2', [{ hostPath: { path: '/srv/cache' } }]),
  ],
  volumes: [
    csi('pvc-csi', '501'),
    local('pvc-one', 'node-1', 'one'),
    local('pvc-two', 'node-2', 'two'),
    local('pvc-lost', undefined, 'three'),
    { metadata: { name: 'share' }, spec: { nfs: { server: 'nas', path: '/x' } } },
  ],
  claims: [
    { metadata: { namespace: 'shop', name: 'db' }, spec: { volumeName: 'pvc-csi' }, status: { phase: 'Bound' } },
    { metadata: { namespace: 'shop', name: 'new' }, spec: {}, status: { phase: 'Pending' } },
    { metadata: { namespace: 'shop', name: 'gone' }, spec: { volumeName: 'pvc-x' }, status: { phase: 'Lost' } },
  ],
};

const coveredBy = { target: 'volumes/nodes', backup: '20260115T020000Z-4f2a1c', at: '2026-01-15T02:00:00.000Z' };
const known: Holding[] = [
  { kind: 'server', id: '1', name: 'node-1', coveredBy },
  { kind: 'server', id: '2', name: 'node-2', why: 'volumes/nodes does not choose it' },
  { kind: 'volume', id: '501', name: 'db', why: 'a volume is in no snapshot of a server' },
];

describe('what a cluster holds', () => {
  const rows = clusterHoldings(cluster, known);
  const row = (name: string) => rows.find(each => each.name === name);

  it('on the disk of a node is in the snapshot of the server of that name, or in none', () => {
    expect(row('pvc-one')).toMatchObject({ coveredBy });
    expect(row('pvc-two')).toMatchObject({ why: 'it lies on the disk of node node-2: volumes/nodes does not choose it' });
    expect(row('pvc-two')).not.toHaveProperty('coveredBy');
    expect(row('pvc-lost')?.why).toMatch(/does not say on which node/);
  });

  it('on an attached volume is in no snapshot, whatever is backed up of the server', () => {
    expect(row('pvc-csi')).toMatchObject({ why: 'a volume is in no snapshot of a server', detail: 'claim shop/db, mounted by shop/db-0' });
    expect(row('pvc-csi')).not.toHaveProperty('coveredBy');
  });

  it('VH13: that no pod mounts is named as such', () => {
    expect(row('pvc-one')?.detail).toMatch(/claim shop\/one, no pod mounts it/);
    expect(row('share')).toMatchObject({ detail: 'no claim, no pod mounts it', why: 'it lies on nas:/x' });
  });

  it('VH15: in host paths is told once per node and path, without what the kernel and the runtime fill', () => {
    expect(rows.filter(({ kind }) => kind === 'host path')).toEqual([
      { kind: 'host path', name: 'node-1:/srv/uploads', detail: 'mounted by shop/db-0', coveredBy },
      expect.objectContaining({
        name: 'node-2:/srv/cache',
        detail: 'mounted by shop/web-0, shop/web-1',
        why: expect.stringContaining('node-2'),
      }),
    ]);
  });

  it('a claim without a volume is empty, one whose volume is lost is not', () => {
    expect(row('shop/new')).toMatchObject({ empty: true });
    expect(row('shop/gone')).toMatchObject({ why: 'its volume is lost' });
    expect(row('shop/db')).toBeUndefined();
  });

  it('of two entries that tell of one thing, the one that covers it is believed', () => {
    const [a, b] = [
      { kind: 'server', id: '2', name: 'n', why: 'x' },
      { kind: 'server', id: '2', name: 'n', coveredBy },
    ];
    for (const both of [
      [a, b],
      [b, a],
    ])
      expect(merged(both)).toEqual([b]);
  });
});

describe('bkp coverage', () => {
  let double: Double;
  let dir: string;
  const path = process.env['PATH'];

  beforeEach(async () => {
    dir = tempDir();
    double = await startHetzner({
      servers: [aServer(1, { labels: { backup: 'yes' } }), aServer(2)],
      volumes: [{ id: 501, name: 'db', size: 10, server: 2, linux_device: '/dev/x', labels: {}, status: 'available' }],
    });
    double.actionsEnd = { looks: 0, status: 'success' };
  });
  afterEach(async () => {
    process.env['PATH'] = path;
    expect(double.wrong).toEqual([]);
    await double.close();
  });
  afterAll(cleanUp);

  /** kubectl in so far as it answers `get KIND --output json` from what is given. */
  function kubectl(lists: Record<string, readonly object[]>): void {
    const program = `#!${node24()}
const lists = ${JSON.stringify(lists)};
const kind = process.argv[process.argv.indexOf('get') + 1];
if (!(kind in lists)) { process.stderr.write('error: You must be logged in to the server (Unauthorized)\\n'); process.exit(1); }
process.stdout.write(JSON.stringify({ kind: 'List', items: lists[kind] }));
`;
    writeFileSync(join(dir, 'kubectl'), program);
    chmodSync(join(dir, 'kubectl'), 0o755);
    process.env['PATH'] = `${dir}:${path}`;
  }

  async function coverage(selector: string, withCluster = true) {
    const nodes = { engine: 'server-snapshot', token: '${HCLOUD_TOKEN}', endpoint: double.endpoint, selector };
    const config = await makeConfig({
      stores: { one: join(dir, 'one') },
      volumes: { nodes },
      environment: withCluster ? { cluster: {} } : {},
    });
    const at = { config: config.path, env: { HCLOUD_TOKEN: double.project.token } };
    return { bkp: (...args: string[]) => runBkp(args, at) };
  }

  it('ends with 10 while something is in no backup, and says what and why', async () => {
    kubectl({ pods: cluster.pods, persistentvolumes: cluster.volumes, persistentvolumeclaims: cluster.claims });
    const { bkp } = await coverage('backup=yes');
    const before = await bkp('coverage');
    expect(before.code).toBe(10);
    expect(before.stdout).toMatch(/NONE +server +node-1 \(1\) +- +volumes\/nodes has no backup of it yet/);
    expect((await bkp('backup', 'volumes')).code).toBe(0);
    const after = await bkp('coverage');
    expect(after.code).toBe(10);
    expect(after.stdout).toMatch(/ok +server +node-1 \(1\) +volumes\/nodes \S+, \d+ m?s ago/);
    expect(after.stdout).toMatch(/NONE +server +node-2 \(2\) +- +volumes\/nodes does not choose it/);
    expect(after.stdout).toMatch(/NONE +volume +db \(501\) .*attached to node-2/);
    expect(after.stdout).toMatch(/ok +persistent volume +pvc-one/);
    expect(after.stdout).toMatch(/NONE +persistent volume +pvc-csi/);
  });

  it('ends with 0 when all of it is', async () => {
    kubectl({ pods: [cluster.pods[0]!], persistentvolumes: [cluster.volumes[1]!], persistentvolumeclaims: [] });
    double.project.servers.pop();
    double.project.volumes.pop();
    const { bkp } = await coverage('backup=yes');
    expect((await bkp('backup', 'volumes')).code).toBe(0);
    const run = await bkp('coverage', '--json');
    expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
    expect(
      JSON.parse(run.stdout.trim().split('\n').at(-1)!).holdings.map(({ state, name }: Holding & { state: string }) => [state, name]),
    ).toEqual([
      ['ok', 'node-1'],
      ['ok', 'pvc-one'],
      ['ok', 'node-1:/srv/uploads'],
    ]);
  });

  it('a cluster that does not answer is a failure, and one that is not named is said to be left out', async () => {
    kubectl({ pods: [] });
    const { bkp } = await coverage('backup=yes');
    const run = await bkp('coverage');
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/kubectl ended with exit code 1.*Unauthorized/);
    const without = await coverage('backup=yes', false);
    expect((await without.bkp('coverage')).stdout).toMatch(/the cluster was not looked at/);
  });
});
