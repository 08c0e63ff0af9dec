import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { layOut, namesOf } from '../../src/providers/targets/redis/layout.ts';
import { killedBeside } from './orphans.ts';
import { aDir, aRedisBackup, digestOf, done, fill, keyspaceOf, manifestsOf, type RedisSetup, setUpRedis } from './redissetup.ts';
import { cleanUp, type Redis, type RedisVersion, startRedis, tempDir } from './rig/index.ts';

afterAll(cleanUp);

describe.each<[RedisVersion]>([['redis7'], ['valkey9']])('backup and restore of %s', version => {
  let server: Redis;
  let at: RedisSetup;
  let digest: string;
  let keyspace: string;

  beforeAll(async () => {
    server = await startRedis({ version });
    at = await setUpRedis(server);
    await fill(server);
    digest = await digestOf(server);
    keyspace = await keyspaceOf(server);
    await aRedisBackup(at);
  });

  it('the manifest records the keys of each database, the format and how the source keeps its data', async () => {
    const [manifest] = manifestsOf(at);
    const [, keys] = /db0:keys=(\d+)/.exec(keyspace)!;
    expect(manifest!['baseline']).toMatchObject({
      databases: { 0: { keys: Number(keys), expires: 1 }, 5: { keys: 1, expires: 0 } },
      counted: 'dump',
      functions: 1,
      role: 'master',
      aof: { appendonly: 'no', dbfilename: 'dump.rdb', appenddirname: 'appendonlydir' },
    });
    expect(manifest!['versions']).toMatchObject({
      rdb: version === 'redis7' ? 'REDIS10' : 'REDIS11',
      flavor: version === 'redis7' ? 'redis' : 'valkey',
    });
    expect(manifest!['identity']).toEqual({ server: `127.0.0.1:${server.port}` });
  });

  it.each(['yes', 'no'])(
    'RD04: restored into a directory, everything is there with appendonly %s, after a restart, and after the next save',
    async appendonly => {
      const to = aDir();
      await done(at, 'restore', 'redis', 'app', '--latest', '--to', to, '--yes');
      expect(readdirSync(to).sort()).toEqual(['appendonlydir', 'dump.rdb']);
      const restored = await startRedis({ version, dir: to, settings: { appendonly } });
      const same = async () =>
        expect({ keys: await keyspaceOf(restored), digest: await digestOf(restored) }).toEqual({ keys: keyspace, digest });
      await same();
      expect(await restored.cli('FCALL', 'fn', '0')).toBe('works');
      expect(Number(await restored.cli('TTL', 'kept'))).toBeGreaterThan(86_000);
      await restored.restart();
      await same();
      await restored.cli('SAVE');
      await restored.restart();
      await same();
      await restored.cli('SET', 'new', 'key');
      if (appendonly === 'no') await restored.cli('SAVE');
      else await restored.cli('BGREWRITEAOF');
      await restored.restart();
      expect(await restored.cli('GET', 'new')).toBe('key');
      await restored.destroy();
    },
  );

  it('a proof starts it both ways, compares the keys, writes, and leaves nothing', async () => {
    const { stores } = await done(at, 'verify', 'redis', 'app', '--deep');
    const { checks } = stores[0].proof;
    expect(checks.map(({ name, state }: Record<string, string>) => `${name} ${state}`)).toEqual([
      ...['unpack ok', 'keys ok', 'functions ok', 'write ok', 'keys by AOF ok', 'stop ok'],
    ]);
  });

  it('a proof that is killed leaves no server', () => killedBeside(/--unixsocket/, ['verify', 'redis', 'app', '--deep'], at.run));

  it('doctor finds nothing to mend but that this server saves nothing by itself', async () => {
    const { checks } = await done(at, 'doctor', 'redis', 'app');
    const bad = checks.filter(({ state }: { state: string }) => state !== 'ok').map(({ name }: { name: string }) => name);
    // redis-cli is the only client here, and Valkey 9 has more than that one can fetch.
    expect(bad).toEqual(version === 'valkey9' ? ['client', 'persistence'] : ['persistence']);
    expect(checks.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['server', 'role', 'rights', 'transfer', 'room for a dump']),
    );
  });

  it('status asks the server how it is', async () => {
    const { stdout } = await at.bkp('status', '--json');
    expect(stdout).toContain('"persistence"');
  });

  it('a restore into the directory of the running server is refused, forced or not, and so is the place above it', async () => {
    const before = readdirSync(server.dir);
    for (const to of [server.dir, dirname(server.dir)])
      for (const flags of [[], ['--force']]) {
        const { code, stderr } = await at.bkp('restore', 'redis', 'app', '--latest', '--to', to, '--yes', ...flags);
        expect({ to, code }).toEqual({ to, code: 4 });
        expect(stderr).toContain('a running server');
        expect(stderr).toContain(server.dir);
      }
    expect(readdirSync(server.dir)).toEqual(before);
    expect(await keyspaceOf(server)).toBe(keyspace);
  });
});

describe('a directory that holds something', () => {
  let at: RedisSetup;

  beforeAll(async () => {
    const server = await startRedis({ settings: { dbfilename: 'cache.rdb', appenddirname: 'aof', appendfilename: 'log.aof' } });
    at = await setUpRedis(server);
    await fill(server, 100);
    await aRedisBackup(at);
    await server.destroy();
  });

  it('RD04: what is there is moved aside, old AOF and all, and the names are those of the source', async () => {
    const to = aDir();
    mkdirSync(join(to, 'aof'), { recursive: true });
    writeFileSync(join(to, 'aof', 'log.aof.manifest'), 'file log.aof.7.base.rdb seq 7 type b\n');
    writeFileSync(join(to, 'cache.rdb'), 'old');
    const refused = await at.bkp('restore', 'redis', 'app', '--latest', '--to', to, '--yes');
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain('data of a Redis');
    expect(readFileSync(join(to, 'cache.rdb'), 'utf8')).toBe('old');
    const { facts } = await done(at, 'restore', 'redis', 'app', '--latest', '--to', to, '--yes', '--force');
    expect(readFileSync(join(facts.movedAside, 'cache.rdb'), 'utf8')).toBe('old');
    expect(readdirSync(to).sort()).toEqual(['aof', 'cache.rdb']);
    expect(readdirSync(join(to, 'aof')).sort()).toEqual(['log.aof.1.base.rdb', 'log.aof.manifest']);
    expect(facts.checkedBy).toMatch(/redis-check-aof$/);
    const names = { dbfilename: 'cache.rdb', appenddirname: 'aof', appendfilename: 'log.aof' };
    const restored = await startRedis({ dir: to, settings: { ...names, appendonly: 'yes' } });
    expect(await restored.cli('-n', '5', 'GET', 'other')).toBe('database');
    await restored.destroy();
  });

  it('the restored files belong to whom they are to, and to nobody else', async () => {
    const to = aDir();
    await done(at, 'restore', 'redis', 'app', '--latest', '--to', to, '--yes', ...(process.getuid?.() === 0 ? ['--owner', 'nobody'] : []));
    const owners = new Set(readdirSync(to, { recursive: true, encoding: 'utf8' }).map(name => statSync(join(to, name)).uid));
    expect(owners).toEqual(new Set([process.getuid?.() === 0 ? statSync(to).uid : process.getuid?.()]));
    if (process.getuid?.() === 0) expect(statSync(to).uid).not.toBe(0);
    for (const name of ['', 'cache.rdb', 'aof']) expect(statSync(join(to, name)).mode & 0o077).toBe(0);
  });

  it('a dry run says what it would do, and does nothing', async () => {
    const to = aDir();
    const { stderr, code } = await at.bkp('restore', 'redis', 'app', '--latest', '--to', to, '--dry-run');
    expect(code).toBe(0);
    expect(stderr).toMatch(/RDB 10/);
    expect(existsSync(to)).toBe(false);
  });

  it('a damaged object in the store fails the restore, and its place is marked', async () => {
    const to = aDir();
    const root = join(at.store, 'bkp/production/redis/app/backups');
    const copy = tempDir();
    cpSync(at.store, copy, { recursive: true });
    const [id] = readdirSync(root);
    const object = join(root, id!, readdirSync(join(root, id!)).find(name => name.startsWith('dump.rdb'))!);
    const bytes = readFileSync(object);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(object, bytes);
    try {
      const { code, stderr } = await at.bkp('restore', 'redis', 'app', '--latest', '--to', to, '--yes');
      expect(code).toBe(9);
      expect(stderr).toContain('is incomplete');
      expect(existsSync(join(to, 'cache.rdb'))).toBe(false);
    } finally {
      rmSync(at.store, { recursive: true });
      cpSync(copy, at.store, { recursive: true });
    }
  });

  it('--target-time takes the newest backup from before, and says so where there is none', async () => {
    const { code, stderr } = await at.bkp('restore', 'redis', 'app', '--target-time', '2020-01-01T00:00:00Z', '--to', aDir(), '--yes');
    expect(code).toBe(6);
    expect(stderr).toContain('no backup from before');
  });
});

it('RD04: a dump of a Redis before 7 is laid out as the one file that its AOF is, which may be appended to', async () => {
  const source = await startRedis();
  await source.cli('SET', 'a', 'b');
  await source.cli('SAVE');
  const dir = aDir();
  mkdirSync(dir);
  cpSync(join(source.dir, 'dump.rdb'), join(dir, 'dump.rdb'));
  await layOut(dir, namesOf(undefined), 6, undefined);
  expect(readdirSync(dir).sort()).toEqual(['appendonly.aof', 'dump.rdb']);
  expect(statSync(join(dir, 'appendonly.aof')).nlink).toBe(1);
  // Redis 7 takes such a file over when it starts.
  for (const appendonly of ['yes', 'no']) {
    const restored = await startRedis({ dir, settings: { appendonly } });
    expect(await restored.cli('GET', 'a')).toBe('b');
    await restored.destroy();
  }
});

it('RD08: a dump of a newer format than the servers of this host read: both versions named before anything is touched', async () => {
  const valkey = await startRedis({ version: 'valkey9' });
  const from = await setUpRedis(valkey);
  await valkey.cli('SET', 'a', 'b');
  await aRedisBackup(from);
  const at = await setUpRedis(valkey, { like: from, entry: { bin: [] } });
  const to = aDir();
  const { code, stderr } = await at.bkp('restore', 'redis', 'app', '--latest', '--to', to, '--yes');
  expect(code).toBe(4);
  expect(stderr).toMatch(/RDB 11, of Valkey 9\.1\.2, and Redis 7\.0\.15 cannot read it/);
  expect(existsSync(to)).toBe(false);
  const forced = await at.bkp('restore', 'redis', 'app', '--latest', '--to', to, '--yes', '--force');
  expect(forced.code).toBe(0);
  const proof = await at.bkp('verify', 'redis', 'app', '--deep');
  expect(proof.code).toBe(3);
  expect(proof.stdout).toMatch(/UNPROVEN|unproven/);
});
