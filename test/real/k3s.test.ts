import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { resigned, runDrill } from './drillRig.ts';
import { aBackup, aPlace, type EtcdSetup, FLIP, manifestOf, objectsOf, setUp, wrapped } from './etcdSetup.ts';
import { cleanUp, type Etcd, isAlive, K3s, run, runBkp, startBkp, startEtcd, tempDir, waitFor } from './rig/index.ts';
import { type Sshd, startSshd } from './rig/sshd.ts';

afterAll(cleanUp);

let etcd: Etcd;
let k3s: K3s;
let at: EtcdSetup;

beforeAll(async () => {
  etcd = await startEtcd();
  for (const n of [1, 2, 3]) await etcd.ask('put', `/registry/configmaps/default/${n}`, `value${n}`);
});

beforeEach(async () => {
  k3s = new K3s(etcd);
  at = await setUp(k3s.entry());
});

const short = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);
const piecesOf = (id: string): string[] => manifestOf(at, id)['pieces'].map((piece: { name: string }) => piece.name);
const backup = (...args: string[]) => runBkp(['backup', 'etcd', 'main', ...args], at.run);

/** A failed backup leaves nothing in the store, among the temporary files, or of ours on the node. */
async function failed(): Promise<{ code: number | null; stderr: string }> {
  const { code, stderr } = await backup();
  expect(objectsOf(at)).toEqual([]);
  expect(readdirSync(at.temp)).toEqual([]);
  expect(k3s.names().filter(name => name.startsWith('bkp-') && !name.endsWith('.part'))).toEqual([]);
  return { code, stderr };
}

describe('backup of K3s', () => {
  it.each(['new', 'old'] as const)(
    'snapshot, token and configuration, with the %s shape of the list; the node is left as it was',
    async list => {
      k3s.be({ list });
      const { id, events } = await aBackup(at);
      expect(piecesOf(id)).toEqual(['snapshot.db', 'token', 'config.tar']);
      const { baseline, identity } = manifestOf(at, id);
      expect(baseline).toMatchObject({ flavor: 'k3s', datastore: 'etcd', keys: 3, token: short(k3s.token) });
      expect(identity).toEqual({ serverCa: '0f'.repeat(32) });
      expect(k3s.names()).toEqual([]);
      expect(readdirSync(at.temp)).toEqual([]);
      expect(events).not.toContain('a-secret-of-the-cluster');
    },
  );

  it('EK01: no readable token, no backup', async () => {
    rmSync(join(k3s.dataDir, 'server/token'));
    const gone = await failed();
    expect(gone).toEqual({ code: 1, stderr: expect.stringMatching(/server token .*server\/token .*cannot be read[\s\S]*→/) });
    k3s.put('server/token', '\n');
    expect(await failed()).toEqual({ code: 1, stderr: expect.stringContaining('is empty') });
  });

  it('a symbolic link that leads nowhere, to itself or back to where it is, is told and left out; the rest of the configuration is kept', async () => {
    const manifests = join(k3s.dataDir, 'server/manifests');
    for (const [name, to] of [
      ['gone [1].yaml', '/nowhere/gone.yaml'],
      ['self.yaml', 'self.yaml'],
      ['app-link.yaml', 'app.yaml'],
      ['up', '.'],
      ['here', join(k3s.dataDir, 'server/tls')],
    ])
      symlinkSync(to!, join(manifests, name!));
    symlinkSync('../manifests', join(k3s.dataDir, 'server/tls/round'));
    const { code, stderr } = await backup();
    for (const name of ['gone [1].yaml', 'self.yaml', 'app-link.yaml', 'up', 'here', '../tls/round']) rmSync(join(manifests, name));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const told = /etcd\/main: (.*): symbolic links that lead nowhere or in a circle/.exec(stderr.replace(/\s+/g, ' '))![1]!;
    const left = told.split(', ').map(path => path.replace(`${k3s.dataDir}/server/`, ''));
    expect(left).toEqual([
      ...['gone [1].yaml', 'here/round', 'self.yaml', 'up'].map(name => `manifests/${name}`),
      ...['gone [1].yaml', 'here', 'self.yaml', 'up'].map(name => `tls/round/${name}`),
    ]);
    const to = aPlace();
    expect((await runBkp(['restore', 'etcd', 'main', '--latest', '--to', to, '--yes'], at.run)).code).toBe(0);
    expect(readdirSync(join(to, 'config', manifests)).sort()).toEqual(['app-link.yaml', 'app.yaml', 'here']);
    expect(readFileSync(join(to, 'config', manifests, 'here/server-ca.key'), 'utf8')).toBe('a key');
    expect(readFileSync(join(to, 'config', manifests, 'app-link.yaml'), 'utf8')).toBe('kind: Namespace');
  });

  it('EK01: the token lies encrypted in the store, and a restore gives it back', async () => {
    const { id } = await aBackup(at);
    for (const key of objectsOf(at)) expect(readFileSync(join(at.store, key)).includes('a-secret-of-the-cluster')).toBe(false);
    const to = aPlace();
    expect((await runBkp(['restore', 'etcd', 'main', '--from-backup', id, '--to', to, '--yes'], at.run)).code).toBe(0);
    expect(readdirSync(to).sort()).toEqual(['config', 'etcd', 'token']);
    expect(readFileSync(join(to, 'token'), 'utf8').trim()).toBe(k3s.token);
    expect(statSync(join(to, 'token')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(to, 'config', k3s.dataDir, 'server/manifests/app.yaml'), 'utf8')).toBe('kind: Namespace');
    expect(existsSync(join(to, 'config', k3s.configDir, 'config.yaml'))).toBe(true);
    const { code, stdout } = await runBkp(['verify', 'etcd', '--deep', '--json'], at.run);
    expect(code).toBe(0);
    expect(stdout).toContain('"name":"token"');
  });

  it('EK01: where backups are not encrypted the token is refused, unless that is allowed outright', async () => {
    const open = async (k: Record<string, unknown>) => {
      const made = await setUp(k3s.entry({}, k), at);
      const path = made.run.config;
      const text = readFileSync(path, 'utf8').replace(/ {2}recipients:\n(?: +- .*\n)+/, '  recipients: []\n  unencrypted: true\n');
      writeFileSync(path, text);
      return runBkp(['backup', 'etcd', 'main'], made.run);
    };
    expect(await open({})).toMatchObject({ code: 4, stderr: expect.stringContaining('allowUnencryptedToken') });
    expect(await open({ allowUnencryptedToken: true })).toMatchObject({ code: 0 });
  });

  it.each(['silent', 'says-saved', 'part'] as const)('EK07, EK02: `save` ends with 0 and leaves no snapshot (%s)', async mode => {
    k3s.be({ mode });
    expect(await failed()).toEqual({ code: 1, stderr: expect.stringContaining('lists no such snapshot') });
  });

  it('EK08: a connection that drops is tried again', async () => {
    k3s.be({ mode: 'drop-once' });
    expect((await aBackup(at))['events']).toContain('tried again');
  });

  it('a compressed snapshot is stored as the plain one that it holds', async () => {
    k3s.be({ mode: 'zip' });
    const { id } = await aBackup(at);
    expect(manifestOf(at, id)['baseline'].keys).toBe(3);
    expect(k3s.names()).toEqual([]);
  });

  it('is refused for another cluster', async () => {
    await aBackup(at);
    k3s.put('server/token', `K10${'ab'.repeat(32)}::server:x`);
    expect(await backup()).toMatchObject({ code: 4, stderr: expect.stringContaining('another cluster') });
  });

  it('ended in the middle, it removes its snapshot from the node', async () => {
    const slow = wrapped('etcdutl', 'case "$*" in *--help* | version) exec "$REAL" "$@" ;; esac; sleep 60');
    at = await setUp(k3s.entry({ bin: [k3s.bin, slow] }));
    const child = startBkp(['backup', 'etcd', 'main'], at.run);
    await waitFor(() => k3s.names().length === 1, 'a snapshot on the node');
    child.kill('SIGTERM');
    expect((await child.ended).code).toBe(143);
    await waitFor(() => k3s.names().length === 0, 'the snapshot gone from the node');
    expect(readdirSync(at.temp)).toEqual([]);
  });
});

describe('on another host, by ssh', () => {
  let sshd: Sshd;

  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd.stop());
  beforeEach(async () => {
    at = await setUp(k3s.entry({ where: { ssh: { ...sshd.settings, temp: tempDir() } } }));
  });

  it('an etcd and a SQLite are backed up; nothing stays there, and none of the secret is shown', async () => {
    const { id, events } = await aBackup(at);
    expect(piecesOf(id)).toEqual(['snapshot.db', 'token', 'config.tar']);
    expect(events).not.toContain('a-secret-of-the-cluster');
    expect(k3s.names()).toEqual([]);
    const db = new DatabaseSync(join(k3s.dataDir, 'server/db/state.db'));
    db.exec("create table kine (id integer primary key, name text, deleted integer); insert into kine values (7, 'x', 0)");
    db.close();
    rmSync(join(k3s.dataDir, 'server/db/etcd'), { recursive: true });
    const second = await aBackup(at, ['--accept-size']);
    expect(manifestOf(at, second['id'])['baseline']).toMatchObject({ datastore: 'sqlite', revision: 7, keys: 1 });
    expect(readdirSync(at.temp)).toEqual([]);
  });

  it('a cluster reset is done there', async () => {
    writeFileSync(join(k3s.bin, 'cluster.json'), '{}');
    await aBackup(await setUp(k3s.entry(), at));
    rmSync(join(k3s.bin, 'active'));
    rmSync(join(k3s.dataDir, 'server/token'));
    const { code, stderr } = await runBkp(['restore', 'etcd', 'main', '--latest', '--online', '--yes'], at.run);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(readFileSync(join(k3s.dataDir, 'server/token'), 'utf8')).toBe(`${k3s.token}\n`);
    expect(k3s.calls().flat().join(' ')).not.toContain('a-secret-of-the-cluster');
    await waitFor(() => !existsSync(join(k3s.bin, 'up')), 'the end of k3s server');
  });
});

describe("K3s's own snapshots", () => {
  const hours = (n: number) => new Date(Date.now() - n * 3_600_000);

  it('EK10: each becomes a backup at its own time, once, and stays on the node; the series are told apart', async () => {
    const [old, young] = [await k3s.scheduled(hours(24)), await k3s.scheduled(hours(12))];
    const stale = `bkp-20260101t000000z-abcdef-node1-${Math.floor(hours(7).getTime() / 1000)}`;
    writeFileSync(join(k3s.snapshots, stale), 'left by a run that was killed');
    const { adopted } = await aBackup(at);
    expect(adopted.map((each: { name: string }) => each.name)).toEqual([old, young]);
    expect(adopted.map((each: { name: string; recoveryPointAt: string }) => Date.parse(each.recoveryPointAt) / 1000)).toEqual(
      [old, young].map(name => Number(name.split('-').at(-1))),
    );
    expect(k3s.names()).toEqual([old, young].sort());
    expect(objectsOf(at).filter(key => key.endsWith('manifest.json'))).toHaveLength(3);
    expect((await aBackup(at))['adopted']).toBeUndefined();
    expect(objectsOf(at).filter(key => key.endsWith('manifest.json'))).toHaveLength(4);
    const { stdout } = await runBkp(['prune', 'etcd', '--json'], at.run);
    expect(stdout).not.toContain(stale);
    expect(k3s.names()).toEqual([old, young].sort());
  });

  it('--adopt takes them alone, compressed ones too; what is unfinished or damaged is left, and told', async () => {
    const good = await k3s.scheduled(hours(3));
    const bad = await k3s.scheduled(hours(2));
    const script = join(tempDir(), 'flip.py');
    writeFileSync(script, FLIP);
    await run('python3', [script, join(k3s.snapshots, bad)]);
    const packed = await k3s.scheduled(hours(1));
    await run('zip', ['-q', '-m', `${packed}.zip`, packed], { cwd: k3s.snapshots });
    writeFileSync(join(k3s.snapshots, `${good}.part`), 'half');
    const { code, stdout, stderr } = await backup('--adopt');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain(good);
    expect(stdout).toContain(`${packed}.zip`);
    expect(stdout).not.toContain(bad);
    expect(stderr).toContain(`${bad} is not stored`);
    expect((await backup('--adopt')).code).toBe(6);
  });

  it('are left alone with `adopt: false`', async () => {
    await k3s.scheduled(hours(12));
    at = await setUp(k3s.entry({}, { adopt: false }));
    expect((await aBackup(at))['adopted']).toBeUndefined();
  });

  it('doctor: a schedule that removes them before bkp looks', async () => {
    writeFileSync(join(k3s.configDir, 'config.yaml'), 'etcd-snapshot-schedule-cron: "0 * * * *"\netcd-snapshot-retention: 3\n');
    const { stdout, code } = await runBkp(['doctor', 'etcd'], at.run);
    expect(stdout).toMatch(/WARN +K3s's own snapshots: .*each stays 3 h/);
    expect(stdout).toContain('etcd-snapshot-retention: 24');
    expect(stdout).toContain(`server token: ${join(k3s.dataDir, 'server/token')} (${short(k3s.token)})`);
    expect(code).toBe(0);
    rmSync(join(k3s.dataDir, 'server/token'));
    expect(await runBkp(['doctor', 'etcd'], at.run)).toMatchObject({ code: 10, stdout: expect.stringMatching(/FAIL +server token/) });
  });
});

describe('SQLite as the datastore', () => {
  const state = () => join(k3s.dataDir, 'server/db/state.db');
  let db: DatabaseSync;

  beforeEach(() => {
    db = new DatabaseSync(state());
    db.exec('pragma journal_mode = wal; create table kine (id integer primary key autoincrement, name text, deleted integer, value blob)');
    const insert = db.prepare('insert into kine (name, deleted, value) values (?, ?, ?)');
    for (let n = 0; n < 100; n += 1) insert.run(`/registry/x/${n}`, 0, 'value');
    insert.run('/registry/x/0', 1, '');
    const past = new Date(Date.now() - 86_400_000);
    mkdirSync(join(k3s.dataDir, 'server/db/etcd/member/wal'), { recursive: true });
    utimesSync(join(k3s.dataDir, 'server/db/etcd/member/snap/db'), past, past);
  });

  it('is backed up while K3s writes, though an etcd/ was left behind; it is proven and restored', async () => {
    const { id, events } = await aBackup(at);
    expect(events).toContain('sqlite was written last');
    expect(piecesOf(id)).toEqual(['state.db', 'token', 'config.tar']);
    expect(manifestOf(at, id)['baseline']).toMatchObject({ datastore: 'sqlite', revision: 101, keys: 99 });
    const to = aPlace();
    const restore = (...args: string[]) => runBkp(['restore', 'etcd', 'main', '--latest', '--to', to, '--yes', ...args], at.run);
    expect(await restore('--name', 'one')).toMatchObject({ code: 2, stderr: expect.stringContaining('is of SQLite') });
    const { code, stderr } = await restore();
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).not.toContain('Experimental');
    const copy = new DatabaseSync(join(to, 'state.db'), { readOnly: true });
    expect(copy.prepare('select count(*) as n from kine').get()).toEqual({ n: 101 });
    copy.close();
    expect((await runBkp(['verify', 'etcd', '--deep'], at.run)).code).toBe(0);
    db.close();
  });

  it('a drill looks into the copy, counts what the config wants, and names what is not as it was recorded', async () => {
    const { id } = await aBackup(at);
    db.close();
    const checks = [
      { name: 'all', prefix: '/registry/x/', expect: 99 },
      { name: 'deleted', prefix: '/registry/x/0', expect: 0 },
    ];
    const asking = (all: object[]) => setUp({ ...k3s.entry(), checks: all }, at);
    const good = await runDrill(['etcd'], (await asking(checks)).run);
    expect({ code: good.code, names: good.first.checks.map(({ name, state }) => `${name} ${state}`) }).toEqual({
      code: 0,
      names: ['unpack ok', 'token ok', 'baseline ok', 'check: all ok', 'check: deleted ok', 'write ok'],
    });
    const keysDir = dirname(/file:(.*)\}/.exec(at.keys['signing'] as string)![1]!);
    resigned(at.store, keysDir, id, ({ baseline }) => ({ baseline: { ...baseline, keys: 100, token: 'another' } }));
    const bad = await runDrill(['etcd'], (await asking([{ name: 'pods', prefix: '/registry/pods/', atLeast: 1 }])).run);
    expect({ code: bad.code, failed: bad.failed }).toEqual({ code: 9, failed: ['token', 'baseline', 'check: pods'] });
  });

  it('a damaged one is no backup', async () => {
    db.close();
    const bytes = readFileSync(state());
    bytes.fill(0xee, 4096 + 100, 4096 + 4000);
    writeFileSync(state(), bytes);
    expect(await failed()).toMatchObject({ code: 9 });
  });
});

describe('restore --online', () => {
  const cluster = {
    cronjobs: [
      { metadata: { name: 'nightly', namespace: 'app' }, spec: { suspend: false } },
      { metadata: { name: 'off', namespace: 'app' }, spec: { suspend: true } },
    ],
    jobs: [{ metadata: { name: 'done', namespace: 'app' }, spec: {}, status: { conditions: [{ type: 'Complete', status: 'True' }] } }],
    deployments: [{ metadata: { name: 'web', namespace: 'app' }, spec: { replicas: 3 } }],
    statefulsets: [{ metadata: { name: 'db', namespace: 'app' }, spec: { replicas: 1 } }],
    nodes: [{ metadata: { name: 'lost-1', labels: { a: 'b' } }, spec: {} }],
    persistentvolumes: [
      {
        metadata: { name: 'pvc-1' },
        spec: {
          nodeAffinity: {
            required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', values: ['lost-1'] }] }] },
          },
        },
      },
    ],
  };
  const now = () => JSON.parse(readFileSync(join(k3s.bin, 'cluster.json'), 'utf8'));
  const restore = (...args: string[]) => runBkp(['restore', 'etcd', 'main', '--latest', '--online', ...args], at.run);
  const server = (name = '') => join(k3s.dataDir, 'server', name);

  beforeEach(async () => {
    writeFileSync(join(k3s.bin, 'cluster.json'), JSON.stringify(cluster));
    await aBackup(at);
    rmSync(join(k3s.bin, 'calls.log'));
  });

  it('stops, moves aside, resets, and leaves it asleep with a journal; the token is in no argument', async () => {
    k3s.put('server/token', `K10${'0f'.repeat(32)}::server:rotated`);
    k3s.put('server/db/reset-flag', '');
    rmSync(join(k3s.bin, 'active'));
    const { code, stdout, stderr } = await restore('--yes', '--json');
    expect({ code, stderr, stdout }).toMatchObject({ code: 0 });
    const { facts, next } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(facts).toMatchObject({ suspended: 1, scaled: 2, nodes: ['lost-1'], pinned: ['pvc-1 lies on lost-1'] });
    expect(next.join('\n')).toMatch(/systemctl start k3s[\s\S]*every other server[\s\S]*every agent[\s\S]*wake\.sh/);
    const [moved] = readdirSync(server('db')).filter(name => name.startsWith('etcd.before-'));
    expect(readFileSync(server(`db/${moved}/member/snap/db`), 'utf8')).toBe('the live database');
    expect(readFileSync(server('token'), 'utf8').trim()).toBe(k3s.token);
    expect(readdirSync(server()).filter(name => name.startsWith('token.before-'))).toHaveLength(1);
    expect(now()).toMatchObject({ nodes: [], cronjobs: [{ spec: { suspend: true } }, { spec: { suspend: true } }] });
    expect([now().deployments[0].spec.replicas, now().statefulsets[0].spec.replicas]).toEqual([0, 0]);
    expect(JSON.parse(readFileSync(facts.journal, 'utf8')).slept.map((each: { before: unknown }) => each.before)).toEqual([
      { suspend: false },
      { replicas: 3 },
      { replicas: 1 },
    ]);
    expect(k3s.calls().flat().join(' ')).not.toContain('a-secret-of-the-cluster');
    const steps = k3s
      .calls()
      .map(([program, verb, ...rest]) =>
        `${program} ${verb} ${rest.find(word => word.startsWith('--cluster-reset') || word === '--disable-agent') ?? ''}`.trim(),
      );
    const order = ['systemctl stop', 'k3s server --cluster-reset', 'k3s server --disable-agent'].map(step => steps.indexOf(step));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order).not.toContain(-1);
    expect(existsSync(join(k3s.bin, 'up'))).toBe(false);
    const copy = await startEtcd({ dataDir: server('db/etcd') });
    expect((await copy.ask('get', '/registry/', '--prefix', '--keys-only')).split('\n').filter(Boolean)).toHaveLength(3);
    await copy.stop();
    // Woken up again, it is what it was.
    writeFileSync(join(k3s.bin, 'up'), '');
    await run('sh', [facts.wake]);
    expect(now()).toMatchObject({ cronjobs: cluster.cronjobs, deployments: cluster.deployments, statefulsets: cluster.statefulsets });
  });

  it('backs up what runs before, and shows the procedure without doing it for --dry-run', async () => {
    const shown = await restore('--dry-run');
    expect(shown.stderr).toMatch(/systemctl stop k3s[\s\S]*--cluster-reset-restore-path[\s\S]*--disable-agent[\s\S]*every other server/);
    expect(k3s.calls().filter(([program]) => program === 'systemctl')).toEqual([]);
    expect((await restore()).code).toBe(4);
    const { code, stdout } = await restore('--yes');
    expect(code).toBe(0);
    expect(stdout).toContain('what it held before is backup');
    expect(objectsOf(at).filter(key => key.endsWith('manifest.json'))).toHaveLength(2);
  });

  it('EK12: a backup that comes back empty ends it before the cluster is stopped', async () => {
    const [object] = objectsOf(at).filter(key => key.includes('snapshot.db'));
    writeFileSync(join(at.store, object!), '');
    const { code } = await restore('--yes');
    expect(code).toBe(9);
    expect(k3s.calls().filter(([, verb]) => verb === 'stop')).toEqual([]);
    expect(readFileSync(server('db/etcd/member/snap/db'), 'utf8')).toBe('the live database');
  });

  it.each([
    ['server: "https://10.0.0.1:6443"', /has `server: https:.*resets no server that is to join another one/],
    ['token: rotated', /has another token than the backup/],
    ['token: [', /cannot be read/],
  ])('what K3s would refuse when it is stopped already is refused before: %s', async (line, why) => {
    writeFileSync(join(k3s.configDir, 'config.yaml'), `cluster-init: true\n${line}\n`);
    const { code, stderr } = await restore('--yes');
    expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringMatching(why) });
    expect(stderr).not.toContain('rotated');
    expect(k3s.calls().filter(([, verb]) => verb === 'stop')).toEqual([]);
    expect(readFileSync(server('db/etcd/member/snap/db'), 'utf8')).toBe('the live database');
  });

  it('goes on where K3s uploads by itself and its configuration names the token of the backup in short', async () => {
    rmSync(join(k3s.bin, 'active'));
    k3s.be({ s3: true });
    writeFileSync(join(k3s.configDir, 'config.yaml'), 'etcd-s3: true\ntoken: a-secret-of-the-cluster\n');
    const { code, stderr } = await restore('--yes');
    expect({ code, stderr }).toMatchObject({ code: 0 });
  });

  it('a reset that fails says what was done and how to go back', async () => {
    rmSync(join(k3s.bin, 'active'));
    k3s.be({ mode: 'reset-fails' });
    const { code, stderr } = await restore('--yes');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/did not end[\s\S]*done so far: systemctl stop k3s[\s\S]*back to what was/),
    });
    const [moved] = readdirSync(server('db')).filter(name => name.startsWith('etcd.before-'));
    expect(readFileSync(server(`db/${moved}/member/snap/db`), 'utf8')).toBe('the live database');
    expect(readdirSync(at.temp)).toEqual([]);
  });

  it('ended while it sleeps, no server of it goes on', async () => {
    rmSync(join(k3s.bin, 'active'));
    writeFileSync(join(k3s.bin, 'cluster.json'), '{');
    const child = startBkp(['restore', 'etcd', 'main', '--latest', '--online', '--yes'], at.run);
    const pid = Number(await waitFor(() => existsSync(join(k3s.bin, 'up')) && readFileSync(join(k3s.bin, 'up'), 'utf8')));
    child.kill('SIGTERM');
    expect([1, 143]).toContain((await child.ended).code);
    await waitFor(() => !isAlive(pid), 'the end of k3s server');
  });
});
