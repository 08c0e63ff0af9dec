import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { filesWorld, fill, picture, type World } from './filesWorld.ts';
import { cleanUp, kubeletStub, type S3Server, startVersity, tempDir, waitFor } from './rig/index.ts';

afterAll(cleanUp);

let server: S3Server;
/** Of the first store. */
let bucket: string;
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
  const storeOf = (name: string) => ({ type: 's3', region: server.region, endpoint: server.endpoint, bucket: name, ...account });
  bucket = await server.bucket();
  at = await filesWorld({ s3: storeOf(bucket), second: storeOf(await server.bucket()) });
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

const into = (claim: string, ...more: string[]) =>
  ['restore', 'volumes', 'data', '--latest', '--to', `claim:${NAMESPACE}/${claim}`, '--yes', ...more] as const;

/** `restic restore` in pods does this instead, with the directory that it fills in `target`. */
function wrapped(restore: string): void {
  const file = join(cluster.dir, 'restic');
  const find = 'target=; for word do [ "$last" != --target ] || target=$word; last=$word; done';
  const script = `case "$*" in restore*--target*) ;; *) exec /usr/bin/restic "$@";; esac\n${find}\n${restore}`;
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

it('comes back into a claim that no pod uses: what it holds is refused or moved aside, and a restore that fails leaves nothing', async () => {
  const before = cluster.created().length;
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

it('comes out of the next store when the first one fails, and nothing of what that one gave stays', async () => {
  // As restic does on a damaged pack, which it tries for a minute and a half: a part has come, and it fails.
  wrapped(`/usr/bin/restic "$@" >/dev/null; case "$*$RESTIC_REPOSITORY" in *${bucket}*) ;; *) exit 0;; esac
    find "$target" -name big -exec rm {} +; touch "$target/half"; echo 'ciphertext verification failed' >&2; exit 1`);
  for (const name of readdirSync(fresh)) rmSync(join(fresh, name), { recursive: true });
  const damaged = await at.bkp(...into('fresh'), '--json', '--from', 's3');
  expect([damaged.code, readdirSync(fresh)]).toEqual([9, []]);
  expect(damaged.stdout).toMatch(/claim \S+\/fresh is empty: nothing of the restore is left in it/);
  const ended = await at.bkp(...into('fresh'), '--json');
  expect([ended.code, ended.code === 0 ? '' : ended.stdout]).toEqual([0, '']);
  expect(ended.stdout).toMatch(/store s3: .*; it comes out of store second/);
  expect(JSON.parse(ended.stdout.trim().split('\n').at(-1)!).facts).toMatchObject({ store: 'second' });
  expect(picture(fresh)).toBe(picture(at.source));
  expect(cluster.jobs()).toEqual([]);
});

it('ended by a signal in the middle, it takes all of its own away, tells how the claim is left, and what was there before is kept', async () => {
  const pid = join(at.dir, 'pid');
  wrapped(`/usr/bin/restic "$@" >/dev/null; echo $$ >${pid}; exec sleep 600`);
  for (const name of readdirSync(fresh)) rmSync(join(fresh, name), { recursive: true });
  writeFileSync(join(fresh, 'mine'), 'mine');
  // There all temporary files are, of bkp and of the pod.
  const temp = tempDir();
  at.env['TMPDIR'] = temp;
  writeFileSync(join(cluster.dir, 'mktemp'), `#!/bin/sh\nexec /usr/bin/mktemp -p ${temp} "$@"\n`, { mode: 0o755 });
  const child = at.start(...into('fresh', '--force'));
  await waitFor(() => child.process.exitCode !== null || existsSync(pid), 'restic to have written');
  expect(readdirSync(fresh).some(name => name.startsWith('.bkp-restore-'))).toBe(true);
  child.kill('SIGTERM');
  const { code, stderr } = await child.ended;
  expect(code).toBe(143);
  expect(stderr).toMatch(/claim \S+\/fresh is empty: nothing of the restore is left in it/);
  const [aside] = readdirSync(fresh);
  expect(stderr).toContain(`what was there before is in ${aside} of the claim`);
  expect([readdirSync(fresh), readFileSync(join(fresh, aside!, 'mine'), 'utf8')]).toEqual([[aside], 'mine']);
  await waitFor(() => !existsSync(`/proc/${readFileSync(pid, 'utf8').trim()}`), 'restic to be gone');
  expect(cluster.jobs()).toEqual([]);
  expect(readdirSync(temp)).toEqual([]);
  delete at.env['TMPDIR'];
  for (const name of ['restic', 'mktemp']) rmSync(join(cluster.dir, name));
});

it('VH12: a selector that matches nothing is a failure that lists what was skipped', async () => {
  at.write({ paths: undefined, claims: { ...claims, selector: 'backup=maybe' } });
  const { code, stderr } = await at.bkp('backup', 'volumes');
  expect([code, stderr]).toEqual([1, expect.stringMatching(/no claim in .* has the labels backup=maybe[\s\S]*data \(backup=yes\)/)]);
});
