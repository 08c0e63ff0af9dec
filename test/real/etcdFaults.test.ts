import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { aBackup, type EtcdSetup, entryOf, FLIP, manifestOf, objectsOf, setUp, wrapped } from './etcdSetup.ts';
import { type Certificate, selfSigned, signedBy } from './rig/certificate.ts';
import {
  bkpCommand,
  cleanUp,
  type Etcd,
  etcdBin,
  isAlive,
  run,
  runBkp,
  start,
  startBkp,
  startEtcd,
  startTcpProxy,
  type TcpProxy,
  tempDir,
  waitFor,
} from './rig/index.ts';

let proxy: TcpProxy;
afterAll(async () => {
  await proxy?.stop();
  await cleanUp();
});

const MIB = 1 << 20;
let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
  for (let n = 0; n < 8; n += 1) {
    const put = ['put', `big${n}`];
    await run(join(etcdBin('3.6'), 'etcdctl'), put, {
      env: { ...process.env, ...etcd.env } as Record<string, string>,
      input: randomBytes(MIB >> 1).toString('hex'),
    });
  }
  await etcd.ask('put', 'key', 'value');
  proxy = await startTcpProxy(Number(new URL(etcd.endpoint).port));
});

/** A failed backup: what it said, with nothing left in the store or among the temporary files. */
async function failed(at: EtcdSetup): Promise<{ code: number | null; stderr: string }> {
  const { code, stdout, stderr } = await runBkp(['backup', 'etcd', 'main'], at.run);
  expect(objectsOf(at)).toEqual([]);
  expect(readdirSync(at.temp)).toEqual([]);
  return { code, stderr: stdout + stderr };
}

describe('a snapshot that is none', () => {
  const save = (after: string) => `
if [[ " $* " != *" snapshot save "* ]]; then exec "$REAL" "$@"; fi
"$REAL" "$@" || exit
for word; do [[ $word == *.db ]] && file=$word; done
${after}`;

  it('EK03: the last 32 bytes are gone', async () => {
    const { code, stderr } = await failed(await setUp(entryOf(etcd, { bin: [wrapped('etcdctl', save('truncate -s -32 "$file"'))] })));
    expect({ code, stderr }).toEqual({ code: 9, stderr: expect.stringContaining('no whole snapshot') });
  });

  it('EK03: a byte in the middle is another one', async () => {
    const bend = `printf 'X' | dd of="$file" bs=1 seek=200000 conv=notrunc status=none`;
    const { code, stderr } = await failed(await setUp(entryOf(etcd, { bin: [wrapped('etcdctl', save(bend))] })));
    expect({ code, stderr }).toEqual({ code: 9, stderr: expect.stringContaining('SHA-256') });
  });

  it('EK04: pages are damaged and the hash is made anew: only the trial restore tells', async () => {
    const script = join(tempDir(), 'flip.py');
    writeFileSync(script, FLIP);
    const { code, stderr } = await failed(await setUp(entryOf(etcd, { bin: [wrapped('etcdctl', save(`python3 ${script} "$file"`))] })));
    expect({ code, stderr }).toEqual({ code: 9, stderr: expect.stringContaining('does not restore') });
  });

  it('EK07: the tool says that it saved, and wrote nothing', async () => {
    const liar = `
if [[ " $* " != *" snapshot save "* ]]; then exec "$REAL" "$@"; fi
echo "Snapshot saved at $3"`;
    const { code, stderr } = await failed(await setUp(entryOf(etcd, { bin: [wrapped('etcdctl', liar)] })));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('there is none') });
  });

  it('EK02: only the finished file is taken, not the .part that a tool leaves', async () => {
    const part = `
if [[ " $* " != *" snapshot save "* ]]; then exec "$REAL" "$@"; fi
"$REAL" "$@" || exit
for word; do [[ $word == *.db ]] && mv "$word" "$word.part"; done`;
    const { code } = await failed(await setUp(entryOf(etcd, { bin: [wrapped('etcdctl', part)] })));
    expect(code).toBe(1);
  });
});

describe('a network that is bad', () => {
  const through = () => entryOf(etcd, { endpoints: [`http://127.0.0.1:${proxy.port}`] });

  it('EK08: a connection that is cut in the middle of the snapshot is tried again', async () => {
    const at = await setUp(through());
    proxy.cuts = [MIB];
    const { id, events } = await aBackup(at);
    expect(proxy.cuts).toEqual([]);
    expect(events).toContain('tried again');
    expect(manifestOf(at, id)['baseline'].keys).toBe(9);
  });

  it('EK08: one that is cut every time fails, after three tries', async () => {
    proxy.cuts = [MIB, MIB, MIB];
    const { code } = await failed(await setUp(through()));
    expect(proxy.cuts).toEqual([]);
    expect(code).toBe(1);
  });

  it('EK11: a slow link gets the time that the size needs, and a second run meanwhile is turned away', async () => {
    const at = await setUp({ ...through(), timeout: '1s' });
    proxy.rate = 2.5 * MIB;
    const first = startBkp(['backup', 'etcd', 'main'], at.run);
    await waitFor(() => /start/.test(first.output().stderr + first.output().stdout) || readdirSync(at.temp).length > 0);
    await waitFor(() => readdirSync(at.temp, { recursive: true }).some(name => String(name).endsWith('.part')), 'a snapshot under way');
    const second = await runBkp(['backup', 'etcd', 'main'], at.run);
    expect({ code: second.code, stderr: second.stderr }).toEqual({
      code: 7,
      stderr: expect.stringContaining('running on this host already'),
    });
    const { code, stderr } = await first.ended;
    proxy.rate = undefined;
    expect({ code, stderr }).toMatchObject({ code: 0 });
  });

  it('a run that is ended in the middle leaves nothing, and no process', async () => {
    const at = await setUp(through());
    proxy.rate = MIB / 2;
    const child = startBkp(['backup', 'etcd', 'main'], at.run);
    await waitFor(() => readdirSync(at.temp, { recursive: true }).some(name => String(name).endsWith('.part')), 'a snapshot under way');
    const tool = Number(execFileSync('pgrep', ['-P', String(child.pid), '-f', 'snapshot save'], { encoding: 'utf8' }));
    child.kill('SIGTERM');
    const { code } = await child.ended;
    proxy.rate = undefined;
    expect(code).toBe(143);
    expect(isAlive(tool)).toBe(false);
    expect(readdirSync(at.temp)).toEqual([]);
    expect(objectsOf(at)).toEqual([]);
  });
});

describe('what the operator got wrong', () => {
  it('a dead host', async () => {
    const { code, stderr } = await failed(await setUp(entryOf(etcd, { endpoints: ['http://127.0.0.1:1'], connectTimeout: '1s' })));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/does not answer[\s\S]*`endpoints:`/) });
  });

  it('a disk that is full: refused before the snapshot', async () => {
    const at = await setUp(entryOf(etcd));
    const [file, args] = bkpCommand(['backup', 'etcd', 'main']);
    const script = 'mount -t tmpfs -o size=4m tmpfs "$TMPDIR" && exec "$0" "$@"';
    const env = { PATH: process.env['PATH']!, HOME: at.temp, BKP_CONFIG: at.run.config, ...at.run.env };
    const user = process.getuid?.() === 0 ? [] : ['--map-root-user'];
    const { code, stderr } = await start('unshare', ['--mount', ...user, 'sh', '-c', script, file, ...args], { env }).ended;
    expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringMatching(/needs about .* has .* free[\s\S]*temp:/) });
    expect(objectsOf(at)).toEqual([]);
  });

  describe('with TLS and auth', () => {
    let secure: Etcd;
    let other: Certificate;
    let entry: Record<string, unknown>;

    beforeAll(async () => {
      const ca = await selfSigned('ca');
      other = await selfSigned('other');
      const extensions = 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n';
      const node = await signedBy(ca, 'node', { days: 10, extensions });
      secure = await startEtcd({ tls: { ca: ca.files.cert, ...node.files } });
      for (const args of [
        ['put', 'a', 'b'],
        ['user', 'add', 'root:secret-pw'],
        ['user', 'grant-role', 'root', 'root'],
        ['user', 'add', 'weak:weak-pw'],
        ['auth', 'enable'],
      ])
        await secure.ask(...args);
      entry = entryOf(secure, { cacert: ca.files.cert, ...node.files, user: 'root', password: '${ROOT_PW}' });
    });

    const at = async (more: Record<string, unknown> = {}, password = 'secret-pw') => {
      const made = await setUp({ ...entry, ...more });
      return { ...made, run: { ...made.run, env: { ...made.run.env, ROOT_PW: password } } };
    };

    it('is backed up and proven, and no password shows', async () => {
      const good = await at();
      const { events } = await aBackup(good);
      expect(events).not.toContain('secret-pw');
      const { code, stdout } = await runBkp(['verify', 'etcd', '--deep', '--json'], good.run);
      expect({ code, stdout }).toMatchObject({ code: 0 });
      expect(stdout).not.toContain('secret-pw');
      const doctor = await runBkp(['doctor', 'etcd'], good.run);
      expect(doctor.stdout).toMatch(/cert: ends .*\(9 days\)/);
      expect(doctor.code).toBe(0);
    });

    it.each([
      ['no client certificate', { cert: undefined, key: undefined }, /ends the connection[\s\S]*`cert:`|TLS fails/],
      ['http:// to a port of TLS', { endpoints: undefined }, /ends the connection[\s\S]*does it speak TLS/],
    ])('%s is not told as a server that is down', async (_, less, why) => {
      const plain = 'endpoints' in less ? { endpoints: [secure.endpoint.replace('https', 'http')] } : {};
      const { code, stderr } = await runBkp(['backup', 'etcd'], (await at({ ...less, ...plain })).run);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(why) });
      expect(stderr).not.toContain('is it running');
    });

    it('a certificate without its key', async () => {
      const { code, stderr } = await runBkp(['backup', 'etcd'], (await at({ key: undefined })).run);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/belong together[\s\S]*→ `cert:` and `key:`/) });
    });

    it('users that are client certificates and have no password are proven, by the certificate of one', async () => {
      const ca = await selfSigned('clients');
      const extensions = 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n';
      const node = await signedBy(ca, 'node', { extensions });
      const [root, weak] = await Promise.all(
        ['root', 'weak'].map(name => signedBy(ca, name, { extensions: 'extendedKeyUsage=clientAuth\n' })),
      );
      const server = await startEtcd({ tls: { ca: ca.files.cert, ...node.files } });
      await server.ask('put', 'a', 'b');
      for (const name of ['root', 'weak']) await server.ask('user', 'add', name, '--no-password');
      await server.ask('user', 'grant-role', 'root', 'root');
      await server.ask('auth', 'enable');
      const entryOfRoot = entryOf(server, { cacert: ca.files.cert, ...root!.files });
      const good = await setUp(entryOfRoot);
      await aBackup(good);
      const verify = (setup: EtcdSetup) => runBkp(['verify', 'etcd', '--deep'], setup.run);
      const proven = await verify(good);
      expect({ code: proven.code, stdout: proven.stdout }).toEqual({
        code: 0,
        stdout: expect.stringMatching(/PROVEN [\s\S]*certificate: auth is on [\s\S]*baseline: 1 keys[\s\S]*write: a key was written/),
      });
      const stranger = await verify(await setUp({ ...entryOfRoot, ...weak!.files }, good));
      expect({ code: stranger.code, stdout: stranger.stdout }).toEqual({
        code: 3,
        stdout: expect.stringMatching(/UNPROVEN .*\(certificate\)/),
      });
      expect(readdirSync(good.temp)).toEqual([]);
      await server.stop();
    });

    it.each([
      ['a wrong password', () => ({}), 'wrong-pw', 'user or password is wrong'],
      ['a user without the role root', () => ({ user: 'weak' }), 'weak-pw', 'role root'],
      ['no user', () => ({ user: undefined, password: undefined }), '', 'role root'],
      ['a wrong authority', () => ({ cacert: other.files.cert }), 'secret-pw', 'TLS fails'],
      ['a file that is not there', () => ({ cert: '/nowhere/cert.pem' }), 'secret-pw', '`cert:`'],
    ])('%s', async (_, more, password, words) => {
      const { code, stderr } = await failed(await at(more(), password));
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(words) });
      expect(stderr).toContain('→');
      if (password) expect(stderr).not.toContain(password);
    });
  });
});
