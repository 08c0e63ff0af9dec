import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { aDir, aRedisBackup, done, fill, keyspaceOf, manifestsOf, type RedisSetup, setUpRedis, sshHere } from './redissetup.ts';
import { type Certificate, selfSigned, signedBy } from './rig/certificate.ts';
import { bkpCommand, cleanUp, freePort, isAlive, type Redis, runBkp, start, startBkp, startRedis, tempDir, waitFor } from './rig/index.ts';
import { filesIn, pathWith, stub, stuckPacker } from './stub.ts';

afterAll(cleanUp);

/** A redis-cli that does what the real one does, and then something to the file of a dump. */
const meddling = (how: string): string =>
  stub(
    'redis-cli',
    `const { spawnSync } = process.getBuiltinModule('node:child_process');
const fs = process.getBuiltinModule('node:fs');
const at = process.argv.indexOf('--rdb');
const { status } = spawnSync('/usr/bin/redis-cli', process.argv.slice(2), { stdio: 'inherit' });
if (at > 0 && status === 0) {
  const file = process.argv[at + 1];
  const tries = process.argv[1] + '.tries';
  fs.appendFileSync(tries, '.');
  const n = fs.statSync(tries).size;
  const { size } = fs.statSync(file);
  ${how}
}
process.exit(status ?? 1);`,
  );
const zeroTail = (bytes: string): string =>
  `const fd = fs.openSync(file, 'r+'); fs.writeSync(fd, Buffer.alloc(${bytes}), 0, ${bytes}, size - ${bytes}); fs.closeSync(fd);`;
const triesOf = (dir: string): number =>
  execFileSync('wc', ['-c', join(dir, 'redis-cli.tries')], { encoding: 'utf8' })
    .trim()
    .split(' ')
    .map(Number)[0]!;

describe('dumps that come damaged', () => {
  let server: Redis;
  let at: RedisSetup;

  beforeAll(async () => {
    server = await startRedis();
    at = await setUpRedis(server);
    await fill(server, 200);
    await aRedisBackup(at);
  });

  const withCli = (dir: string, temp = tempDir()) => setUpRedis(server, { like: at, entry: { bin: [dir] }, env: { TMPDIR: temp } });

  it.each([
    ['RD06: a zeroed tail', zeroTail('4096')],
    ['RD06: a zeroed checksum, which looks as if the server computed none', zeroTail('8')],
    ['RD06: a cut', 'fs.truncateSync(file, size - 100);'],
    ['RD06: a flipped byte in the middle', 'const all = fs.readFileSync(file); all[size >> 1] ^= 1; fs.writeFileSync(file, all);'],
    ['RD09: a zero-byte dump', 'fs.truncateSync(file, 0);'],
    ['RD09: what is no dump', "fs.writeFileSync(file, '<html>'.repeat(100));"],
  ])('%s is refused before anything is stored, after three tries; the backup before stays', async (_, how) => {
    const before = filesIn(at.store).filter(file => !file.includes('/runs/'));
    const dir = meddling(how);
    const temp = tempDir();
    const bad = await withCli(dir, temp);
    const { code, stderr } = await bad.bkp('backup', 'redis', 'app');
    expect(code).toBe(1);
    expect(stderr).toMatch(/3 dumps came, and none is whole: the dump is (no whole RDB|damaged)/);
    expect(triesOf(dir)).toBe(3);
    expect(filesIn(at.store).filter(file => !file.includes('/runs/'))).toEqual(before);
    expect(readdirSync(temp).filter(name => name.startsWith('bkp'))).toEqual([]);
  });

  it('RD06: a dump that is right at the second try is a backup', async () => {
    const dir = meddling(`if (n === 1) { ${zeroTail('4096')} }`);
    const once = await withCli(dir);
    const { code, stderr } = await once.bkp('backup', 'redis', 'app');
    expect(code).toBe(0);
    expect(stderr).toContain('asking for another one (try 2 of 3)');
    expect(triesOf(dir)).toBe(2);
    expect(manifestsOf(at).at(-1)!['baseline'].databases[5].keys).toBe(1);
  });

  it('a server that computes no checksum is backed up, with a warning', async () => {
    const plain = await startRedis({ settings: { rdbchecksum: 'no' } });
    await plain.cli('SET', 'a', 'b');
    const other = await setUpRedis(plain);
    const { code, stderr } = await other.bkp('backup', 'redis', 'app');
    expect(code).toBe(0);
    expect(stderr).toContain('computes no checksum of its dumps');
    await plain.destroy();
  });

  it('an empty first backup is one, and its restore too', async () => {
    const empty = await startRedis();
    const other = await setUpRedis(empty);
    await aRedisBackup(other);
    await done(other, 'verify', 'redis', 'app', '--deep');
    await empty.destroy();
  });

  it('RD07: one database of several without keys after a backup with some is good, and told once', async () => {
    const several = await startRedis();
    const other = await setUpRedis(several);
    await fill(several, 100);
    await several.cli('-n', '3', 'MSET', 'a', '1', 'b', '2');
    await aRedisBackup(other);
    await several.cli('-n', '3', 'FLUSHDB');
    const backup = async () => {
      const { code, stderr } = await other.bkp('backup', 'redis', 'app');
      return { code, told: /database 3 of .* has no keys at all, and the backup before has 2 there/.test(stderr) };
    };
    expect([await backup(), await backup()]).toEqual([
      { code: 0, told: true },
      { code: 0, told: false },
    ]);
    await several.destroy();
  });

  it('RD07: no keys at all after a backup with keys fails, says how many there were, and goes through when it is meant', async () => {
    const shrinking = await startRedis();
    const other = await setUpRedis(shrinking);
    await fill(shrinking, 100);
    const id = await aRedisBackup(other);
    await shrinking.cli('FLUSHALL');
    const { code, stdout } = await other.bkp('backup', 'redis', 'app');
    expect(code).toBe(1);
    expect(stdout).toMatch(/ANOMALY: .*has no keys at all, and the backup before has 1\d\d/);
    expect(stdout).toContain('--accept-size');
    const to = aDir();
    const { facts } = await done(other, 'restore', 'redis', 'app', '--latest', '--to', to, '--yes');
    expect(facts.backup).toBe(id);
    await aRedisBackup(other, '--accept-size');
    expect((await other.bkp('backup', 'redis', 'app')).code).toBe(0);
    await shrinking.destroy();
  });
});

describe('servers that do not send what they should', () => {
  let server: Redis;
  let at: RedisSetup;
  let temp: string;

  beforeAll(async () => {
    server = await startRedis();
    await fill(server, 200);
    temp = tempDir();
    at = await setUpRedis(server, { env: { TMPDIR: temp } });
    await aRedisBackup(at);
  });

  const left = () => readdirSync(temp).filter(name => name.startsWith('bkp'));

  it('RD01: its directory is full: the failed save and the words of its log are shown, and it ends', async () => {
    const log = join(tempDir(), 'redis.log');
    const full = await startRedis({ diskMb: 1, settings: { 'repl-diskless-sync': 'no', rdbcompression: 'no', logfile: log } });
    await full.cli('EVAL', "for i = 1, 40 do redis.call('set', i, string.rep(tostring(i), 60000)) end return 1", '0');
    const other = await setUpRedis(full);
    const { code, stderr } = await other.bkp('backup', 'redis', 'app');
    expect(code).toBe(1);
    expect(stderr).toContain('rdb_last_bgsave_status is err');
    expect(stderr).toMatch(/its log says: .*No space left on device/);
    expect(stderr).toContain('CONFIG SET repl-diskless-sync yes');
    expect(manifestsOf(other)).toEqual([]);
    // From memory it can be had, and that the server saves nothing itself is a warning.
    await full.cli('CONFIG', 'SET', 'repl-diskless-sync', 'yes');
    const diskless = await other.bkp('backup', 'redis', 'app');
    expect(diskless.code).toBe(0);
    expect(diskless.stderr).toContain('its last save failed');
    const { stdout } = await other.bkp('doctor', 'redis', 'app');
    expect(stdout).toMatch(/FAIL {2}persistence: its last save failed/);
    await full.destroy();
  });

  it('RD02: what was written in the second in which server and backup began is in the backup', async () => {
    const fresh = await startRedis();
    await fresh.cli('SET', 'just', 'now');
    const other = await setUpRedis(fresh);
    await aRedisBackup(other);
    await fresh.cli('SET', 'one', 'more');
    await aRedisBackup(other);
    expect(
      manifestsOf(other)
        .map(manifest => manifest['baseline'].databases[0].keys)
        .sort(),
    ).toEqual([1, 2]);
    await fresh.destroy();
  });

  it('RD03: a save that runs already is waited for, and the backup is of after it', async () => {
    const busy = await startRedis();
    const other = await setUpRedis(busy);
    await busy.cli('DEBUG', 'POPULATE', '1000');
    await busy.cli('CONFIG', 'SET', 'rdb-key-save-delay', '4000');
    await busy.cli('BGSAVE');
    await busy.cli('CONFIG', 'SET', 'rdb-key-save-delay', '0');
    await busy.cli('SET', 'during', 'the save');
    const { code, stderr } = await other.bkp('backup', 'redis', 'app');
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(stderr).toContain('a save is running on the server; waiting for its end');
    expect(manifestsOf(other)[0]!['baseline'].databases[0].keys).toBe(1001);
    await busy.destroy();
  });

  it('RD03: one that does not end is not waited for without end', async () => {
    const busy = await startRedis();
    await busy.cli('DEBUG', 'POPULATE', '1000');
    await busy.cli('CONFIG', 'SET', 'rdb-key-save-delay', '100000');
    await busy.cli('BGSAVE');
    const other = await setUpRedis(busy, { entry: { timeout: '1s' } });
    const { code, stderr } = await other.bkp('backup', 'redis', 'app');
    expect(code).toBe(1);
    expect(stderr).toContain('a save is running on the server, and it did not end within 1s');
    await busy.destroy();
  });

  it('a server that sends too slowly is given up, and nothing stays', async () => {
    const slow = await startRedis();
    await slow.cli('DEBUG', 'POPULATE', '1000');
    await slow.cli('CONFIG', 'SET', 'rdb-key-save-delay', '100000');
    const other = await setUpRedis(slow, { entry: { timeout: '1s' }, env: { TMPDIR: temp } });
    const { code, stderr } = await other.bkp('backup', 'redis', 'app');
    expect(code).toBe(1);
    expect(stderr).toContain('gave no answer in 1000 ms');
    expect(left()).toEqual([]);
    await slow.destroy();
  });

  it('RD11: a node of a cluster is refused, with what to do', async () => {
    const node = await startRedis({ settings: { 'cluster-enabled': 'yes' } });
    const other = await setUpRedis(node);
    const { code, stderr } = await other.bkp('backup', 'redis', 'app');
    expect(code).toBe(4);
    expect(stderr).toContain('is a node of a cluster');
    expect(stderr).toContain('redis-cli --cluster backup');
    const { stdout, code: sick } = await other.bkp('doctor', 'redis', 'app');
    expect(sick).toBe(10);
    expect(stdout).toMatch(/FAIL {2}role: .*node of a cluster/);
    await node.destroy();
  });

  it('a replica in step is backed up and named; one without its master is refused', async () => {
    const replica = await startRedis({ settings: { replicaof: `127.0.0.1 ${server.port}` } });
    await waitFor(async () => (await replica.info('master_link_status')) === 'up', 'the replica');
    const other = await setUpRedis(replica, { like: at });
    const fine = await other.bkp('backup', 'redis', 'app');
    expect(fine.code).toBe(0);
    expect(fine.stderr).toContain(`is a replica of 127.0.0.1:${server.port}, in step with it`);
    // The replication id is one: nothing to warn of, although the address is another.
    expect(fine.stderr).not.toContain('nothing shows that they hold the same data');
    expect(manifestsOf(at).find(manifest => manifest['baseline'].role === 'replica')).toBeDefined();
    await replica.cli('REPLICAOF', '127.0.0.1', String(await freePort()));
    const { code, stderr } = await other.bkp('backup', 'redis', 'app');
    expect(code).toBe(4);
    expect(stderr).toContain('and not in step with it');
    expect(stderr).toContain('REPLICAOF NO ONE');
    await replica.destroy();
  });

  it.each([
    ['has its log at hand', true],
    ['logs where nobody here reads it', false],
  ])(
    'RD08: a kind of value that the format of an older client cannot hold fails, and says which client can: the server %s',
    async (_, logged) => {
      const valkey = await startRedis({ version: 'valkey9', settings: logged ? { logfile: join(tempDir(), 'valkey.log') } : {} });
      await valkey.cli('HSET', 'h', 'f', 'v');
      await valkey.cli('HEXPIRE', 'h', '1000', 'FIELDS', '1', 'f');
      const other = await setUpRedis(valkey);
      const { code, stderr } = await other.bkp('backup', 'redis', 'app');
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /redis-cli ended with exit code 1; [^\n]*\n {2}→ [^\n]*redis-cli asks for the format of Redis[^\n]*valkey-cli 9/,
      );
      expect(stderr.includes('its log says')).toBe(logged);
      const { checks } = await done(other, 'doctor', 'redis', 'app');
      expect(checks.find(({ name }: { name: string }) => name === 'client')).toMatchObject({
        state: 'warn',
        text: expect.stringMatching(/redis-cli on this host is of Redis [\d.]+.*no backup once a field of a hash has a time to live/),
        mend: expect.stringContaining('valkey-cli 9'),
      });
      await valkey.destroy();
    },
  );

  it('a master that becomes a replica while it sends is told as a failover', async () => {
    const [old, next] = [await startRedis({ settings: { 'rdb-key-save-delay': '500' } }), await startRedis()];
    await old.cli('DEBUG', 'POPULATE', '20000', 'key', '100');
    const other = await setUpRedis(old);
    const backup = other.bkp('backup', 'redis', 'app');
    await waitFor(async () => (await old.info('rdb_bgsave_in_progress')) === '1', 'the dump to begin');
    await old.cli('REPLICAOF', '127.0.0.1', String(next.port));
    const { code, stderr } = await backup;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(`it has become a replica of 127.0.0.1:${next.port} meanwhile, as after a failover`),
    });
    expect(manifestsOf(other)).toEqual([]);
    await Promise.all([old.destroy(), next.destroy()]);
  });

  it('a copy that its server does not start on is a failed proof, and the command ends', async () => {
    const other = await setUpRedis(server, { env: { TMPDIR: temp } });
    await aRedisBackup(other);
    const real = JSON.stringify(server.program);
    const refusing = stub(
      'redis-server',
      `const { execFileSync } = process.getBuiltinModule('node:child_process');
if (process.argv.includes('--version')) process.stdout.write(execFileSync(${real}, ['--version']));
else { console.log('FATAL: not today'); process.exitCode = 1; }`,
    );
    const judging = await setUpRedis(server, { like: other, entry: { bin: [refusing] }, env: { TMPDIR: temp } });
    const { code, stdout } = await judging.bkp('verify', 'redis', 'app', '--deep');
    expect({ code, stdout }).toEqual({ code: 9, stdout: expect.stringContaining('FATAL: not today') });
    expect(left()).toEqual([]);
  });

  it.each([
    ['no one listens', async () => ({ port: await freePort() }), /Connection refused/, 1],
    ['a name that leads nowhere', async () => ({ host: 'redis.nowhere.invalid' }), /redis\.nowhere\.invalid/, 1],
    ['a wrong user', async () => ({ user: 'nobody', password: 'x' }), /WRONGPASS/, 1],
    ['a password where none is', async () => ({ password: 'x' }), /called without any password/, 1],
    ['a client that is not there', async () => ({ where: { ssh: { host: 'db1' } }, bin: [] }), /neither redis-cli nor valkey-cli/, 1],
  ])('%s: a sentence, what to do, and nothing stays', async (what, entry, words, exit) => {
    const env = {
      TMPDIR: temp,
      ...(what === 'a client that is not there' ? { PATH: `${sshHere()}:${dirWith('sh', 'cat', 'dd', 'zstd', 'age')}` } : {}),
    };
    const other = await setUpRedis(server, { entry: await entry(), env });
    const { code, stderr } = await other.bkp('backup', 'redis', 'app');
    expect({ code, stderr }).toEqual({ code: exit, stderr: expect.stringMatching(words) });
    expect(stderr).toContain('→');
    expect(left()).toEqual([]);
    expect(manifestsOf(other)).toEqual([]);
    // Rights mend a refusal of the server, and nothing else.
    const { stdout } = await other.bkp('doctor', 'redis', 'app');
    expect(stdout.includes('ACL SETUSER')).toBe(/password|user/.test(what));
  });

  it('a user without SYNC: the missing right is named, and the line that mends it', async () => {
    await server.cli('ACL', 'SETUSER', 'poor', 'on', '>x', '-@all', '+info', '+config|get', '+replconf');
    const other = await setUpRedis(server, { entry: { user: 'poor', password: 'x' }, env: { TMPDIR: temp } });
    const { code, stderr } = await other.bkp('backup', 'redis', 'app');
    expect(code).toBe(1);
    expect(stderr).toMatch(/NOPERM .*sync/);
    expect(stderr).toContain('bkp doctor redis app prints the ACL line');
    const { stdout } = await other.bkp('doctor', 'redis', 'app');
    expect(stdout).toMatch(/FAIL {2}rights: .*NOPERM/);
    expect(left()).toEqual([]);
    await server.cli('ACL', 'DELUSER', 'poor');
  });

  it('a user who may not ask for settings is enough, and the files are laid out for both ways', async () => {
    await server.cli('ACL', 'SETUSER', 'least', 'on', '>x', '-@all', '+info', '+sync', '+replconf');
    const other = await setUpRedis(server, { entry: { user: 'least', password: 'x' } });
    await aRedisBackup(other);
    const to = aDir();
    await done(other, 'restore', 'redis', 'app', '--latest', '--to', to, '--yes');
    const restored = await startRedis({ dir: to, settings: { appendonly: 'yes' } });
    expect(await keyspaceOf(restored)).toBe(await keyspaceOf(server));
    await restored.destroy();
  });

  it('too little room for temporary files is told before the server is asked for anything', async () => {
    const big = await startRedis();
    await big.cli('EVAL', "for i = 1, 40 do redis.call('set', i, string.rep(tostring(i), 60000)) end return 1", '0');
    const other = await setUpRedis(big);
    const [file, args] = bkpCommand(['backup', 'redis', 'app']);
    const names = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user'];
    const child = start('unshare', [...names, 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs "$TMPDIR" && exec "$0" "$@"', file, ...args], {
      env: { PATH: process.env['PATH'] ?? '', HOME: tempDir(), BKP_CONFIG: other.run.config, TMPDIR: temp },
    });
    const { code, stderr } = await child.ended;
    expect({ code, stderr }).toEqual({
      code: 4,
      stderr: expect.stringMatching(/a dump takes about \S+ MiB, and \S+ on this host has \S+ \S+ free/),
    });
    expect(await big.info('rdb_saves')).toBe('0');
    expect(manifestsOf(other)).toEqual([]);
    await big.destroy();
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('CF12: a backup ended by %s while the dump comes, and while it is stored, leaves nothing', async (signal, code) => {
    const slow = await startRedis();
    await slow.cli('DEBUG', 'POPULATE', '1000');
    await slow.cli('CONFIG', 'SET', 'rdb-key-save-delay', '20000');
    const other = await setUpRedis(slow, { env: { TMPDIR: temp } });
    const coming = startBkp(['backup', 'redis', 'app'], other.run);
    await waitFor(async () => (await slow.info('rdb_bgsave_in_progress')) === '1', 'the dump to begin');
    coming.kill(signal);
    expect((await coming.ended).code).toBe(code);
    expect(isAlive(coming.pid)).toBe(false);
    await waitFor(async () => (await slow.info('connected_slaves')) === '0', 'the transfer to end');
    await slow.kill9();
    await slow.start();
    await slow.cli('DEBUG', 'POPULATE', '1000');
    const storing = startBkp(['backup', 'redis', 'app'], { ...other.run, env: { TMPDIR: temp, PATH: pathWith(stuckPacker()) } });
    await waitFor(() => filesIn(other.store).some(name => name.includes('.tmp-')), 'the store to be written');
    storing.kill(signal);
    expect((await storing.ended).code).toBe(code);
    expect(left()).toEqual([]);
    expect(filesIn(other.store).filter(file => !file.includes('/runs/'))).toEqual([]);
    await slow.destroy();
  });

  it('the tools run elsewhere: the dump is fetched, read, and stored as from here, and nothing stays there', async () => {
    const there = tempDir();
    const far = await setUpRedis(server, {
      entry: { where: { ssh: { host: 'db1', temp: there } } },
      env: { TMPDIR: temp, PATH: pathWith(sshHere()) },
    });
    await aRedisBackup(far);
    expect(manifestsOf(far)[0]!['baseline'].databases).toEqual(manifestsOf(at)[0]!['baseline'].databases);
    expect(readdirSync(there)).toEqual([]);
    expect(left()).toEqual([]);
  });
});

/** A directory with links to some programs, to stand as the whole PATH. */
function dirWith(...names: string[]): string {
  const dir = tempDir();
  for (const name of names) {
    const real = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    execFileSync('ln', ['-s', real, join(dir, name)]);
  }
  return dir;
}

describe('TLS', () => {
  let made: Record<'ca' | 'other' | 'server' | 'client', Certificate>;
  let server: Redis;
  let port: number;

  beforeAll(async () => {
    const [ca, other] = [await selfSigned('ca'), await selfSigned('other')];
    made = { ca, other, server: await signedBy(ca, 'server'), client: await signedBy(ca, 'client') };
    port = await freePort();
    const { key, cert } = made.server.files;
    server = await startRedis({
      settings: {
        ...{ 'tls-port': String(port), 'tls-cert-file': cert, 'tls-key-file': key },
        ...{ 'tls-ca-cert-file': ca.files.cert, 'tls-replication': 'yes' },
      },
    });
    await fill(server, 50);
  });

  const setUpTls = (tls: Record<string, string>) => setUpRedis(server, { entry: { port, tls } });

  it('with a client certificate: backup, and restore into the running server, whose own links want TLS too', async () => {
    const at = await setUpTls({ ca: made.ca.files.cert, ...made.client.files, serverName: 'server' });
    await aRedisBackup(at);
    const before = await keyspaceOf(server);
    await server.cli('DEL', 'hash');
    await done(at, 'restore', 'redis', 'app', '--latest', '--online', '--yes');
    expect(await keyspaceOf(server)).toBe(before);
    expect(await server.cli('CONFIG', 'GET', 'tls-replication')).toContain('yes');
  });

  it.each([
    ['a wrong authority', () => ({ ca: made.other.files.cert, ...made.client.files })],
    ['no client certificate', () => ({ ca: made.ca.files.cert })],
    ['an authority that is no file', () => ({ ca: join(tempDir(), 'gone.crt') })],
  ])('%s: refused, with what to check', async (_, tls) => {
    const at = await setUpTls(tls());
    const { code, stderr } = await at.bkp('backup', 'redis', 'app');
    expect(code).toBe(1);
    expect(stderr).toMatch(/certificate|SSL|TLS/i);
    expect(stderr).toContain('check `tls:`');
  });
});

it('a marker that is not there refuses the first backup, and says how to set it', async () => {
  const server = await startRedis();
  await server.cli('SET', 'a', 'b');
  const at = await setUpRedis(server, { entry: { marker: 'bkp:marker' } });
  const { code, stderr } = await at.bkp('backup', 'redis', 'app');
  expect(code).toBe(4);
  expect(stderr).toContain('redis-cli SET bkp:marker app-1');
  expect(existsSync(join(at.store, 'bkp/production/redis/app/backups'))).toBe(false);
});

it('a server that renamed SYNC or CONFIG is told as such, and what to do is not what was just done', async () => {
  const conf = join(tempDir(), 'renamed.conf');
  writeFileSync(conf, 'rename-command SYNC ""\nrename-command CONFIG ""\n');
  const server = await startRedis({ settings: { include: conf } });
  await server.cli('SET', 'kept', 'x');
  const at = await setUpRedis(server);
  const { code, stderr } = await runBkp(['backup', 'redis'], at.run);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/SYNC is renamed or taken away by `rename-command`/) });
  const { stdout } = await runBkp(['doctor', 'redis'], at.run);
  expect(stdout).toMatch(/SYNC is renamed or taken away/);
  expect(stdout).toMatch(/or CONFIG is renamed there/);
});
