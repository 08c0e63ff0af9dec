import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { aBackup, aPlace, type EtcdSetup, entryOf, manifestOf, objectsOf, setUp } from './etcdSetup.ts';
import { killedBeside } from './orphans.ts';
import { cleanUp, type Etcd, etcdBin, runBkp, startEtcd, tempDir } from './rig/index.ts';

afterAll(cleanUp);

const BUMP = 1_000_000_000;
describe.each(['3.4', '3.6'] as const)('etcd %s', version => {
  let etcd: Etcd;
  let at: EtcdSetup;
  let id: string;

  beforeAll(async () => {
    etcd = await startEtcd({ version });
    for (const n of [1, 2, 3]) await etcd.ask('put', `key${n}`, `value${n}`);
    await etcd.ask('del', 'key3');
    at = await setUp(entryOf(etcd));
    id = (await aBackup(at))['id'];
    await etcd.ask('put', 'key1', 'changed after the backup');
  });

  it('takes a backup whose manifest says what the file holds, and leaves nothing among the temporary files', () => {
    expect(
      objectsOf(at).map(key =>
        key
          .split('/')
          .at(-1)!
          .replace(/\.\d+$/, ''),
      ),
    ).toEqual(['manifest.json', expect.stringMatching(/^snapshot\.db/)]);
    expect(readdirSync(at.temp)).toEqual([]);
    const { baseline, identity, versions } = manifestOf(at, id);
    expect(baseline).toMatchObject({ flavor: 'etcd', datastore: 'etcd', revision: 5, ...(version === '3.6' ? { keys: 2 } : {}) });
    expect(identity.clusterId).toMatch(/^\d+$/);
    expect(versions.server).toContain(version);
  });

  it('restores into an empty directory: the data of the backup, revisions raised where the version can', async () => {
    const to = aPlace();
    const { code, stdout, stderr } = await runBkp(['restore', 'etcd', 'main', '--latest', '--to', to, '--yes'], at.run);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`--data-dir ${to}`);
    expect(readdirSync(to)).toEqual(['member']);
    const copy = await startEtcd({ version, dataDir: to });
    expect(await copy.ask('get', '', '--prefix', '--print-value-only')).toBe('value1\nvalue2');
    const { header } = JSON.parse(await copy.ask('get', 'key1', '-w', 'json'));
    if (version === '3.6') expect(header.revision).toBeGreaterThan(BUMP);
    else expect(stderr).toContain('cannot raise revisions');
    if (version === '3.6') expect((await copy.ctl(['get', 'key1', '--rev=2'])).stderr).toContain('compacted');
    await copy.stop();
    expect(readdirSync(at.temp)).toEqual([]);
  });

  it('verify --deep proves it on an etcd of its own, which is gone then', async () => {
    const { code, stdout } = await runBkp(['verify', 'etcd', '--deep', '--json'], at.run);
    expect(code).toBe(0);
    const checks = JSON.parse(stdout.trim().split('\n').at(-1)!).targets?.[0] ?? JSON.parse(stdout.trim().split('\n').at(-1)!);
    const text = JSON.stringify(checks);
    for (const name of ['unpack', 'restore', 'start', 'baseline', 'compaction', 'write']) expect(text).toContain(`"name":"${name}"`);
    expect(text).toContain('2 keys at revision 5');
    expect(readdirSync(at.temp)).toEqual([]);
  });

  it('a proof that is killed leaves no etcd', () => killedBeside(/--listen-client-urls/, ['verify', 'etcd', '--deep'], at.run));

  it('a cluster above its quota: the alarm is in its data, is told, and is no fault of the backup', async () => {
    const full = await startEtcd({ version, quota: 600_000 });
    const own = await setUp(entryOf(full));
    for (let n = 0; (await full.ctl(['put', `k${n}`, 'x'.repeat(100_000)])).code === 0; n += 1);
    await aBackup(own);
    await full.stop();
    const { code, stdout } = await runBkp(['verify', 'etcd', '--deep'], own.run);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('the copy carries alarm NOSPACE') });
    expect(stdout).toContain('a key was written, read and deleted');
    const { stdout: next } = await runBkp(['restore', 'etcd', 'main', '--latest', '--to', aPlace(), '--yes'], own.run);
    expect(next).toContain('etcdctl alarm disarm');
  });

  it('EK14: writes that run during the backup are counted as the finished file has them', async () => {
    let going = true;
    let written = 0;
    const writing = (async () => {
      while (going) await etcd.ask('put', `during${written++}`, 'x');
    })();
    const during = await aBackup(at);
    going = false;
    await writing;
    const to = aPlace();
    await runBkp(['restore', 'etcd', 'main', '--from-backup', during['id'], '--to', to, '--yes'], at.run);
    const copy = await startEtcd({ version, dataDir: to });
    const { header, count } = JSON.parse(await copy.ask('get', '', '--prefix', '--limit=1', '-w', 'json'));
    await copy.stop();
    const { stdout } = await runBkp(['list', 'etcd', '--json'], at.run);
    expect(stdout).toContain(during['id']);
    const told = JSON.parse(
      (await runBkp(['restore', 'etcd', 'main', '--from-backup', during['id'], '--to', aPlace(), '--yes', '--json'], at.run)).stdout
        .trim()
        .split('\n')
        .at(-1)!,
    );
    expect(header.revision - (version === '3.6' ? BUMP : 0)).toBeGreaterThanOrEqual(told.facts.revision);
    if (version === '3.6') expect(told.facts.keys).toBe(count);
  });
});

describe('restore of etcd', () => {
  let etcd: Etcd;
  let at: EtcdSetup;

  beforeAll(async () => {
    etcd = await startEtcd();
    await etcd.ask('put', 'key', 'value');
    at = await setUp(entryOf(etcd));
    await aBackup(at);
  });

  const restore = (...args: string[]) => runBkp(['restore', 'etcd', 'main', '--latest', '--yes', ...args], at.run);

  it('refuses a place that holds something, and with --force moves it aside', async () => {
    const to = aPlace();
    mkdirSync(to);
    writeFileSync(join(to, 'precious'), 'x');
    expect((await restore('--to', to)).code).toBe(4);
    expect(readdirSync(to)).toEqual(['precious']);
    const { code, stdout } = await restore('--to', to, '--force');
    expect(code).toBe(0);
    const aside = /what was there before is in (\S+)/.exec(stdout)![1]!;
    expect(readdirSync(aside)).toEqual(['precious']);
  });

  it('refuses the directory of a running etcd, forced or not', async () => {
    const { code, stderr } = await restore('--to', etcd.dataDir, '--force');
    expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringContaining('running etcd') });
    expect(await etcd.ask('get', 'key', '--print-value-only')).toBe('value');
  });

  it('gives the member its name and peers', async () => {
    const to = aPlace();
    const { code, stdout } = await restore('--to', to, '--name', 'm1', '--initial-advertise-peer-urls', 'http://127.0.0.1:2390');
    expect(code).toBe(0);
    expect(stdout).toContain('--name m1');
    const wrong = aPlace();
    const refused = await restore('--to', wrong, '--name', 'm1', '--initial-cluster', 'm2=http://127.0.0.1:2390');
    expect({ code: refused.code, stderr: refused.stderr }).toEqual({ code: 2, stderr: expect.stringContaining('--initial-cluster NAME') });
  });

  it.each([
    ['m2=http://127.0.0.1:2390', /has no member m1/],
    ['m1=127.0.0.1:2390', /is no NAME=PEER-URL/],
    ['m1=http://127.0.0.1:2390,m2=http://127.0.0.1:2390', /is that of m1 and of m2/],
    ['m1=http://127.0.0.1:2391', /and --initial-advertise-peer-urls says/],
  ])('a membership that cannot be is refused before what is there is moved aside: %s', async (cluster, why) => {
    const to = tempDir();
    writeFileSync(join(to, 'precious'), 'x');
    const member = ['--name', 'm1', '--initial-advertise-peer-urls', 'http://127.0.0.1:2390', '--initial-cluster', cluster];
    const { code, stderr } = await restore('--to', to, '--force', ...member);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(why) });
    expect(readdirSync(to)).toEqual(['precious']);
  });

  it('--dry-run shows the plan and changes nothing', async () => {
    const to = aPlace();
    const { code, stderr } = await restore('--to', to, '--dry-run');
    expect(code).toBe(0);
    expect(stderr).toContain('1 keys');
    expect(existsSync(to)).toBe(false);
  });

  it('EK12: a piece that comes back empty or cut ends it before anything is touched', async () => {
    const [object] = objectsOf(at).filter(key => key.includes('snapshot.db'));
    const path = join(at.store, object!);
    const whole = readFileSync(path);
    const to = tempDir();
    writeFileSync(join(to, 'precious'), 'x');
    try {
      for (const bytes of [Buffer.alloc(0), whole.subarray(0, whole.length - 1)]) {
        writeFileSync(path, bytes);
        expect((await restore('--to', to, '--force')).code).toBe(9);
        expect(readdirSync(dirname(to)).filter(name => name.startsWith(`${to.split('/').at(-1)}.before`))).toEqual([]);
        expect(readdirSync(to)).toEqual(['precious']);
      }
      const bent = Buffer.from(whole);
      bent[bent.length >> 1]! ^= 0xff;
      writeFileSync(path, bent);
      expect((await restore('--to', to, '--force')).code).toBe(9);
      expect(readdirSync(to)).toEqual(['precious']);
    } finally {
      writeFileSync(path, whole);
    }
    expect(readdirSync(at.temp)).toEqual([]);
  });

  it('backs up another cluster only when told so', async () => {
    const other = await startEtcd();
    const elsewhere = await setUp(entryOf(other), at);
    const refused = await runBkp(['backup', 'etcd', 'main'], elsewhere.run);
    expect({ code: refused.code, stderr: refused.stderr }).toEqual({ code: 4, stderr: expect.stringContaining('another cluster') });
    await aBackup(elsewhere, ['--new-lineage']);
    await aBackup(elsewhere);
  });

  it('EK06: status tells the age from the stores, whatever lies on the node', async () => {
    writeFileSync(join(etcd.dataDir, 'newest.db'), 'a snapshot that was never stored');
    const stale = await setUp(entryOf(etcd));
    const { code, stdout } = await runBkp(['status', 'etcd'], stale.run);
    expect(code).toBe(10);
    expect(stdout).toContain('etcd');
    await aBackup(stale);
    expect((await runBkp(['status', 'etcd'], stale.run)).code).toBe(0);
  });

  it('doctor says what is well, and what is not', async () => {
    const { code, stdout } = await runBkp(['doctor', 'etcd'], at.run);
    expect(stdout).toMatch(/endpoint http:\S+.*etcd 3\.6/);
    expect(stdout).toContain('trial restore');
    expect(code).toBe(0);
    const dead = await setUp(entryOf(etcd, { endpoints: ['http://127.0.0.1:1'] }));
    const told = await runBkp(['doctor', 'etcd'], dead.run);
    expect(told.code).toBe(10);
    expect(told.stdout).toContain('does not answer');
  });
});

it('the mkdir of a place leaves nothing where the tool is missing', async () => {
  const etcd = await startEtcd();
  const bare = tempDir();
  mkdirSync(join(bare, 'empty'));
  const at = await setUp(entryOf(etcd));
  await aBackup(at);
  const to = aPlace();
  const { code, stderr } = await runBkp(['restore', 'etcd', 'main', '--latest', '--yes', '--to', to], {
    ...at.run,
    config: (await setUp(entryOf(etcd, { bin: [join(bare, 'empty')] }), at)).run.config,
  });
  expect(existsSync(to)).toBe(false);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/etcdutl 3\.6 or newer is needed.*\/usr\/bin\/etcdctl is 3\.4/),
  });
  expect(etcdBin('3.4')).toBe('/usr/bin');
});
