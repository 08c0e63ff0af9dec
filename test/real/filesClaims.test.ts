import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { filesWorld, fill, picture, type World } from './filesWorld.ts';
import { cleanUp, kubeletStub, type S3Server, startVersity, tempDir } from './rig/index.ts';

afterAll(cleanUp);

let server: S3Server;
let at: World;
let cluster: ReturnType<typeof kubeletStub>;
let fresh: string;
const NAMESPACE = `apps-${process.pid}`;
const claims = { namespace: NAMESPACE, selector: 'backup=yes', image: 'restic' };

const claim = (name: string, modes: string[], phase = 'Bound') => ({
  metadata: { name, labels: { backup: 'yes' } },
  spec: { accessModes: modes, volumeName: `pv-${name}` },
  status: { phase },
});
const pod = (name: string, of: string) => ({
  metadata: { name, ownerReferences: [{ kind: 'StatefulSet', name: name.slice(0, -2) }] },
  spec: { nodeName: 'node-1', volumes: [{ persistentVolumeClaim: { claimName: of } }] },
  status: { phase: 'Running' },
});

beforeAll(async () => {
  server = await startVersity();
  const account = { accessKey: server.accessKey, secretKey: server.secretKey };
  at = await filesWorld({
    s3: { type: 's3', region: server.region, endpoint: server.endpoint, bucket: await server.bucket(), ...account },
  });
  const volume = tempDir();
  mkdirSync(join(volume, 'data'));
  fill(join(volume, 'data'));
  at.source = join(volume, 'data');
  fresh = join(volume, 'fresh');
  mkdirSync(fresh);
  cluster = kubeletStub(
    { data: at.source, fresh },
    [
      { ...claim('fresh', ['ReadWriteOnce'], 'Pending'), metadata: { name: 'fresh', labels: {} } },
      claim('data', ['ReadWriteOnce']),
      claim('single', ['ReadWriteOncePod']),
    ],
    [pod('app-0', 'data'), pod('db-0', 'single')],
  );
  at.env['PATH'] = `${cluster.dir}:${process.env['PATH']}`;
});

it('a claim is read by a short Job on the node of its pod, one of ReadWriteOncePod is named, and nothing stays in the cluster', async () => {
  at.write({ paths: undefined, claims });
  const refused = await at.bkp('backup', 'volumes');
  expect([refused.code, refused.stderr]).toEqual([
    4,
    expect.stringMatching(/claim single is not backed up: its access mode is ReadWriteOncePod, so only pod db-0/),
  ]);
  expect(cluster.created()).toEqual([]);
  at.write({ paths: undefined, claims: { ...claims, skipped: 'partial' } });
  const { backups } = await at.result(3, 'backup', 'volumes');
  expect(backups[0].warnings).toEqual([expect.stringContaining('claim single is not backed up')]);
  expect(cluster.created()).toMatchObject([{ spec: { template: { spec: { nodeName: 'node-1' } } } }]);
  expect(cluster.jobs()).toEqual([]);
  expect(existsSync(`/volumes/${NAMESPACE}/data`)).toBe(false);
  expect(JSON.stringify([cluster.calls(), cluster.created()])).not.toContain(at.password());
  const to = join(at.dir, 'back');
  await at.result(0, 'restore', 'volumes', 'data', '--latest', '--to', to, '--yes');
  expect(picture(to)).toBe(picture(at.source));
  expect(readFileSync(join(to, 'docs/a.txt'), 'utf8')).toBe('a\n');
});

it('comes back into a claim that no pod uses: what it holds is refused or moved aside, and a restore that fails leaves nothing', async () => {
  const before = cluster.created().length;
  const into = (claim: string, ...more: string[]) =>
    ['restore', 'volumes', 'data', '--latest', '--to', `claim:${NAMESPACE}/${claim}`, '--yes', ...more] as const;
  expect(await at.bkp(...into('data'))).toMatchObject({
    code: 4,
    stderr: expect.stringMatching(/is used by pod app-0[\s\S]*scale --replicas=0 statefulset\/app/),
  });
  expect((await at.bkp(...into('none'))).code).toBe(6);
  expect((await at.bkp(...into('fresh', '--dry-run'))).code).toBe(0);
  expect(cluster.created()).toHaveLength(before);
  expect((await at.bkp(...into('fresh', '--include', 'nothing'))).code).toBe(6);
  expect(readdirSync(fresh)).toEqual([]);
  await at.result(0, ...into('fresh'));
  expect(picture(fresh)).toBe(picture(at.source));
  expect(cluster.created().at(-1).spec.template.spec.containers[0].volumeMounts).toMatchObject([{ readOnly: false }]);
  writeFileSync(join(fresh, 'mine'), 'mine');
  expect(await at.bkp(...into('fresh'))).toMatchObject({ code: 4, stderr: expect.stringMatching(/is not empty/) });
  const { facts } = await at.result(0, ...into('fresh', '--force'));
  expect(readFileSync(join(fresh, facts.movedAside, 'mine'), 'utf8')).toBe('mine');
  expect(readdirSync(fresh).sort()).toEqual([...readdirSync(at.source), facts.movedAside].sort());
  rmSync(join(fresh, facts.movedAside), { recursive: true });
  expect([cluster.jobs(), JSON.stringify([cluster.calls(), cluster.created()]).includes(at.password())]).toEqual([[], false]);
});

it('VH12: a selector that matches nothing is a failure that lists what was skipped', async () => {
  at.write({ paths: undefined, claims: { ...claims, selector: 'backup=maybe' } });
  const { code, stderr } = await at.bkp('backup', 'volumes');
  expect([code, stderr]).toEqual([1, expect.stringMatching(/no claim in .* has the labels backup=maybe[\s\S]*data \(backup=yes\)/)]);
});
