import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { aDir, aRedisBackup, digestOf, done, fill, keyspaceOf, manifestsOf, type RedisSetup, setUpRedis, sshHere } from './redissetup.ts';
import {
  cleanUp,
  freePort,
  type Redis,
  type RedisVersion,
  run,
  runBkp,
  start,
  startBkp,
  startRedis,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { commandLines, pathWith, stub } from './stub.ts';

afterAll(cleanUp);

const BORROWED = ['masterauth', 'min-replicas-to-write', 'tls-replication'];

/** A server that is a master of its own, with its own settings. */
async function isItself(server: Redis): Promise<void> {
  expect(await server.info('role')).toBe('master');
  const values = await Promise.all(BORROWED.map(async name => (await server.cli('CONFIG', 'GET', name)).split('\n')[1] ?? 'no'));
  expect(values).toEqual(['', '0', 'no']);
}

it.each<RedisVersion>(['redis7', 'valkey9'])(
  '%s: keys whose time came since the backup are no fault of what is restored',
  async version => {
    const server = await startRedis({ version });
    const at = await setUpRedis(server);
    await server.cli('SET', 'kept', 'x');
    await server.cli('EVAL', 'for n = 1, 20000 do redis.call("SET", "soon:" .. n, "x", "PX", ARGV[1]) end', '0', '1500');
    await aRedisBackup(at);
    await waitFor(async () => (await server.cli('DBSIZE')) === '1', 'their time');
    await done(at, 'restore', 'redis', 'app', '--latest', '--online', '--yes');
    expect(await server.cli('GET', 'kept')).toBe('x');
    await isItself(server);
  },
);

describe.each<[RedisVersion, string]>([
  ['redis7', 'no'],
  ['redis7', 'yes'],
  ['valkey9', 'no'],
  ['valkey9', 'yes'],
])('restore into a running %s with appendonly %s', (version, appendonly) => {
  let server: Redis;
  let at: RedisSetup;
  let id: string;
  let digest: string;
  let keyspace: string;

  beforeAll(async () => {
    server = await startRedis({ version, settings: { appendonly } });
    at = await setUpRedis(server);
    await fill(server, 300);
    digest = await digestOf(server);
    keyspace = await keyspaceOf(server);
    id = await aRedisBackup(at);
  });

  it('RD04: what was lost is back, with functions and times, and is there after a restart and after the next save', async () => {
    await server.cli('DEL', 'key:1', 'zset', 'hash', 'kept');
    await server.cli('SET', 'after', 'the backup');
    await server.cli('FUNCTION', 'FLUSH');
    const { facts } = await done(at, 'restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
    const same = async () => expect({ keys: await keyspaceOf(server), digest: await digestOf(server) }).toEqual({ keys: keyspace, digest });
    await same();
    await isItself(server);
    expect(await server.cli('FCALL', 'fn', '0')).toBe('works');
    expect(Number(await server.cli('TTL', 'kept'))).toBeGreaterThan(86_000);
    await server.kill9();
    await server.start();
    await same();
    await server.cli('SET', 'new', 'key');
    await server.cli('SAVE');
    await server.restart();
    expect(await server.cli('GET', 'new')).toBe('key');
    await server.cli('DEL', 'new');
    await same();

    // What was there before can be had again.
    await done(at, 'restore', 'redis', 'app', '--from-backup', facts.before, '--online', '--yes');
    expect(await server.cli('GET', 'after')).toBe('the backup');
    expect(await server.cli('EXISTS', 'zset')).toBe('0');
  });

  it('RD04: it is there whichever way the server is started next', async () => {
    await done(at, 'restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
    await server.restart({ appendonly: 'no' });
    expect(await digestOf(server)).toBe(digest);
    await server.cli('CONFIG', 'SET', 'appendonly', 'yes');
    await waitFor(
      async () => (await server.info('aof_rewrite_in_progress')) === '0' && (await server.info('aof_rewrite_scheduled')) === '0',
    );
    await server.restart({ appendonly: 'yes' });
    expect(await digestOf(server)).toBe(digest);
    await server.restart({ appendonly });
  });
});

describe('a running server', () => {
  let server: Redis;
  let at: RedisSetup;
  let id: string;
  let digest: string;

  beforeAll(async () => {
    server = await startRedis();
    at = await setUpRedis(server);
    await fill(server, 300);
    digest = await digestOf(server);
    id = await aRedisBackup(at);
  });

  const restore = (...flags: string[]) => at.bkp('restore', 'redis', 'app', '--from-backup', id, '--online', '--yes', ...flags);

  it('RD07: one that lost everything: the empty state is an anomaly, and the latest stays what it was', async () => {
    await server.cli('FLUSHALL');
    const { facts } = await done(at, 'restore', 'redis', 'app', '--latest', '--online', '--yes');
    expect(facts.backup).toBe(id);
    expect(await digestOf(server)).toBe(digest);
    const secured = manifestsOf(at).find(manifest => manifest['id'] === facts.before);
    expect(secured!['anomaly']).toMatch(/it has 0 B/);
    await done(at, 'restore', 'redis', 'app', '--latest', '--online', '--yes');
    expect(await digestOf(server)).toBe(digest);
  });

  it('while it is restored it takes no write, so that none is lost unseen', async () => {
    const packer = slowSecond();
    await server.cli('SET', 'before', '1');
    const child = startBkp(['restore', 'redis', 'app', '--from-backup', id, '--online', '--yes'], {
      ...at.run,
      env: { PATH: pathWith(packer) },
    });
    const refused = await waitFor(async () => {
      const said = await server.cli('SET', 'between', '1');
      return said.startsWith('NOREPLICAS') && said;
    });
    expect(refused).toContain('NOREPLICAS');
    const { stdout } = await at.bkp('doctor', 'redis', 'app');
    expect(stdout).toMatch(/FAIL {2}writes: the server refuses every write/);
    child.kill('SIGTERM');
    const { code, stderr } = await child.ended;
    expect(code).toBe(143);
    expect(stderr).toMatch(/^bkp: .*SIGTERM/m);
    await isItself(server);
    expect(await server.cli('GET', 'before')).toBe('1');
    await server.cli('DEL', 'before', 'between');
  });

  it('its replicas follow', async () => {
    const replica = await startRedis({ settings: { replicaof: `127.0.0.1 ${server.port}` } });
    await waitFor(async () => (await replica.info('master_link_status')) === 'up', 'the replica');
    await server.cli('DEL', 'hash');
    const { stderr, code } = await restore();
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(stderr).toContain('1 replica(s) follow');
    await waitFor(async () => (await digestOf(replica)) === digest && (await replica.info('master_link_status')) === 'up', 'the replica');
    await replica.destroy();
  });

  it('a replica is refused before anything changes', async () => {
    const replica = await startRedis({ settings: { replicaof: `127.0.0.1 ${server.port}` } });
    await waitFor(async () => (await replica.info('master_link_status')) === 'up', 'the replica');
    const other = await setUpRedis(replica, { like: at });
    const { code, stderr } = await other.bkp('restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
    expect(code).toBe(4);
    expect(stderr).toContain(`is a replica of 127.0.0.1:${server.port}`);
    expect(await replica.info('role')).toBe('slave');
    await replica.destroy();
  });

  it('one with fewer databases than the dump is refused before anything changes: it would end itself', async () => {
    const wide = await startRedis({ settings: { databases: '32' } });
    const from = await setUpRedis(wide);
    await wide.cli('-n', '31', 'SET', 'a', 'b');
    const high = await aRedisBackup(from);
    const into = await setUpRedis(server, { like: from });
    const { code, stderr } = await into.bkp('restore', 'redis', 'app', '--from-backup', high, '--online', '--yes');
    expect({ code, stderr }).toEqual({
      code: 4,
      stderr: expect.stringContaining('has 16 databases, and the dump has keys in database 31'),
    });
    expect(await digestOf(server)).toBe(digest);
    const { checks } = (await done(from, 'verify', 'redis', 'app', '--deep')).stores[0].proof;
    expect(checks.filter(({ state }: Record<string, string>) => state !== 'ok')).toEqual([]);
    const { stdout } = await from.bkp('restore', 'redis', 'app', '--from-backup', high, '--to', aDir(), '--yes');
    expect(stdout).toContain('--databases 32');
    await wide.destroy();
  });

  it('one that may not keep so much is refused before anything changes: it would throw keys away at once', async () => {
    const large = await startRedis();
    const from = await setUpRedis(large);
    await large.cli('EVAL', "for n = 1, 4000 do redis.call('SET', 'k' .. n, string.rep('x', 4000)) end", '0');
    const id = await aRedisBackup(from);
    const into = await setUpRedis(server, { like: from });
    await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await server.cli('CONFIG', 'SET', 'maxmemory', '12mb');
    const { code, stderr } = await into.bkp('restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
    await server.cli('CONFIG', 'SET', 'maxmemory', '0');
    await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringMatching(/may use 12\.0 MiB \(maxmemory, allkeys-lru\)/) });
    expect(await digestOf(server)).toBe(digest);
    await large.destroy();
  });

  it('RD08: a server too old for the dump: both versions named, nothing changed', async () => {
    const valkey = await startRedis({ version: 'valkey9' });
    const from = await setUpRedis(valkey);
    await valkey.cli('SET', 'a', 'b');
    await aRedisBackup(from);
    const into = await setUpRedis(server, { like: from });
    const { code, stderr } = await into.bkp('restore', 'redis', 'app', '--latest', '--online', '--yes');
    expect(code).toBe(4);
    expect(stderr).toMatch(/is Redis 7\.0\.15, which cannot read the dump: RDB 11, of Valkey 9\.1\.2/);
    expect(await digestOf(server)).toBe(digest);
    expect(manifestsOf(from)).toHaveLength(1);
    await valkey.destroy();
  });

  it('the other way round the newer server takes the older dump', async () => {
    const valkey = await startRedis({ version: 'valkey9' });
    await valkey.cli('SET', 'a', 'b');
    const into = await setUpRedis(valkey, { like: at });
    await done(into, 'restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
    expect(await keyspaceOf(valkey)).toBe(await keyspaceOf(server));
    expect(await valkey.cli('FCALL', 'fn', '0')).toBe('works');
    await valkey.destroy();
  });

  it('one whose disk is too small keeps what it has, and the words name the backup of that', async () => {
    const small = await startRedis({ diskMb: 1 });
    await small.cli('SET', 'precious', 'data');
    const big = await startRedis();
    await big.cli(
      'EVAL',
      "for i = 1, 40 do redis.call('set', i, redis.sha1hex(i) .. string.rep(tostring(i * 7919), 20000)) end return 1",
      '0',
    );
    await big.cli('CONFIG', 'SET', 'rdbcompression', 'no');
    const from = await setUpRedis(big);
    const bigId = await aRedisBackup(from);
    const into = await setUpRedis(small, { like: from });
    const { code, stderr } = await into.bkp('restore', 'redis', 'app', '--from-backup', bigId, '--online', '--yes');
    expect(code).toBe(1);
    expect(stderr).toMatch(/could not load it|stopped taking the dump/);
    const secured = manifestsOf(from).find(manifest => manifest['id'] !== bigId)!['id'];
    expect(stderr).toContain(`what was there before is backup ${secured}`);
    expect(stderr).toContain('it holds 1 key in 1 database now');
    await isItself(small);
    expect(await small.cli('GET', 'precious')).toBe('data');
    await small.destroy();
    await big.destroy();
  });

  it('one on another host wants an address to fetch the data from, before anything changes', async () => {
    const env = { PATH: pathWith(sshHere()) };
    const where = { ssh: { host: 'db1' } };
    const none = await setUpRedis(server, { like: at, entry: { where }, env });
    const { code, stderr } = await none.bkp('restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
    expect(code).toBe(4);
    expect(stderr).toContain('nothing says where it can fetch the data');
    expect(stderr).toContain('listen: ADDRESS');
    await server.cli('DEL', 'hash');
    const named = await setUpRedis(server, { like: at, entry: { where, listen: '127.0.0.1' }, env });
    await done(named, 'restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
    expect(await digestOf(server)).toBe(digest);
  });

  it('one that a Sentinel watches is refused: it would fail over', async () => {
    const conf = `${tempDir()}/sentinel.conf`;
    writeFileSync(conf, `sentinel monitor app 127.0.0.1 ${server.port} 1\n`);
    const sentinel = await startSentinel(conf);
    await waitFor(async () => (await server.cli('PUBSUB', 'NUMSUB', '__sentinel__:hello')).endsWith('1'), 'the Sentinel');
    const { code, stderr } = await restore();
    expect(code).toBe(4);
    expect(stderr).toContain('watched by 1 Sentinel');
    const asSource = await setUpRedis(server, { like: at, entry: { port: sentinel.port } });
    const backup = await asSource.bkp('backup', 'redis', 'app');
    expect(backup.code).toBe(4);
    expect(backup.stderr).toContain('is a Sentinel, which holds no data');
    await sentinel.end();
    await server.cli('CLIENT', 'KILL', 'TYPE', 'pubsub');
  });

  it('needs no more rights than doctor prints, and shows no secret', async () => {
    const { checks } = await done(at, 'doctor', 'redis', 'app');
    expect(checks.length).toBeGreaterThan(5);
    const wrong = await setUpRedis(server, { like: at, entry: { user: 'bkp', password: '${PW}' }, env: { PW: 'wr0ng' } });
    const mend = JSON.parse((await wrong.bkp('doctor', 'redis', 'app', '--json')).stdout.trim().split('\n').at(-1)!).checks.find(
      ({ name }: { name: string }) => name === 'server',
    ).mend as string;
    const lines = mend.split('\n').filter(line => line.startsWith('ACL SETUSER'));
    expect(lines).toHaveLength(2);
    const words = (line: string) =>
      line
        .replace(/ {2,}#.*/, '')
        .replace("'>PASSWORD'", '>s3cret "p@ss')
        .split(/ (?!"p@ss)/);
    await server.cli(...words(lines[0]!));
    const user = await setUpRedis(server, { like: at, entry: { user: 'bkp', password: '${PW}' }, env: { PW: 's3cret "p@ss' } });
    await aRedisBackup(user);
    const refused = await user.bkp('restore', 'redis', 'app', '--from-backup', id, '--online', '--yes');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/NOPERM/);
    expect(await digestOf(server)).toBe(digest);
    await server.cli(...words(lines[1]!));
    const seen = new Set<string>();
    const timer = setInterval(() => {
      for (const line of commandLines(path => readFileSync(path, 'utf8'))) seen.add(line);
    }, 5);
    const { code, stdout, stderr } = await user
      .bkp('restore', 'redis', 'app', '--from-backup', id, '--online', '--yes', '--verbose')
      .finally(() => clearInterval(timer));
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const all = [...seen, stdout, stderr].join('\n');
    expect(all).toMatch(/redis-cli .*REPLICAOF/);
    expect(all).not.toContain('s3cret');
    expect(all).not.toMatch(/masterauth\W+[0-9a-f]{10}/);
    await isItself(server);
    await server.cli('ACL', 'DELUSER', 'bkp');
  });

  it('a marker tells databases apart: another one is neither backed up nor written over', async () => {
    await server.cli('SET', 'bkp:marker', 'shop-1');
    const marked = await setUpRedis(server, { entry: { marker: 'bkp:marker' } });
    const first = await aRedisBackup(marked);
    const other = await startRedis();
    await other.cli('SET', 'bkp:marker', 'blog-7');
    const wrong = await setUpRedis(other, { like: marked, entry: { marker: 'bkp:marker' } });
    const backup = await wrong.bkp('backup', 'redis', 'app');
    expect(backup.code).toBe(4);
    expect(backup.stderr).toContain('the marker bkp:marker is "blog-7", and the backups are of "shop-1"');
    const into = await wrong.bkp('restore', 'redis', 'app', '--from-backup', first, '--online', '--yes');
    expect(into.code).toBe(4);
    expect(into.stderr).toContain('holds another database');
    expect(await other.cli('GET', 'bkp:marker')).toBe('blog-7');
    await other.destroy();
    await server.cli('DEL', 'bkp:marker');
  });

  it('leaves no file behind, here and in the data directory of the server', async () => {
    const temp = tempDir();
    const { code } = await runBkp(['restore', 'redis', 'app', '--from-backup', id, '--online', '--yes'], {
      ...at.run,
      env: { TMPDIR: temp },
    });
    expect(code).toBe(0);
    expect(readdirSync(temp).filter(name => name.startsWith('bkp'))).toEqual([]);
    expect(readdirSync(server.dir).filter(name => name.startsWith('temp'))).toEqual([]);
  });
});

/** The real zstd where it unpacks; where it packs one that never ends. */
function slowSecond(): string {
  const real = execFileSync('sh', ['-c', 'command -v zstd'], { encoding: 'utf8' }).trim();
  return stub(
    'zstd',
    `const { spawnSync } = process.getBuiltinModule('node:child_process');
if (!process.argv.includes('-d')) setInterval(() => {}, 1000);
else process.exit(spawnSync(${JSON.stringify(real)}, process.argv.slice(2), { stdio: 'inherit' }).status ?? 1);`,
  );
}

/** A Sentinel on a free port, with a configuration that it writes to. */
async function startSentinel(conf: string): Promise<{ port: number; end(): Promise<void> }> {
  const port = await freePort();
  const child = start('redis-server', [conf, '--sentinel', '--port', String(port), '--daemonize', 'no'], {
    env: { PATH: process.env['PATH'] ?? '' },
  });
  await waitFor(() => run('redis-cli', ['-p', String(port), 'PING']).then(({ stdout }) => stdout.startsWith('PONG')), 'the Sentinel');
  return {
    port,
    async end() {
      child.kill('SIGKILL');
      await child.ended;
    },
  };
}
