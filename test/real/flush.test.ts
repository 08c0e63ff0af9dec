import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { lastJson } from './change.ts';
import {
  childrenOf,
  cleanUp,
  isAlive,
  makeConfig,
  type Postgres,
  type PostgresVersion,
  pause,
  type Running,
  runBkp,
  s3Client,
  startBkp,
  startPostgres,
  startVersity,
  stopBkp,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

/** Chunks that a store holds, as `<segment>/<from>-<to>`, in order. */
const chunks = (at: Setup, store = 'local'): string[] =>
  readdirSync(at.stores[store]!, { recursive: true, encoding: 'utf8' })
    .map(path => /([0-9A-F]{24}\/[0-9A-F]{8}-[0-9A-F]{8})-[0-9a-f]{32}\.zst/.exec(path)?.[1])
    .filter(name => name !== undefined)
    .sort();

/** Every object of a store with the time at which it was written. */
const objects = (at: Setup, store = 'local'): string[] =>
  readdirSync(at.stores[store]!, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .map(path => `${path} ${statSync(path).mtimeMs}`)
    .sort();

const rowsIn = async (at: Setup, version: PostgresVersion, ...args: string[]): Promise<string> => {
  const to = aPlace();
  const run = await runBkp(['restore', 'postgres', 'app', '--to', to, '--yes', ...args], at.run);
  expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
  const copy = await startPostgres({ version, dir: to });
  const rows = await copy.sql("select string_agg(n::text, ',' order by n) from t");
  await copy.destroy();
  return rows;
};

describe.each<PostgresVersion>(['15', '18'])('the open segment of PostgreSQL %s', version => {
  let db: Postgres;
  let at: Setup;

  const begin = async (settings: Record<string, string> = {}, wal: Record<string, unknown> = {}): Promise<void> => {
    db = await startPostgres({ version, settings, initdb: ['--wal-segsize=1'] });
    at = await setUp(db, { entry: { wal: { flush: '250ms', heartbeat: 'off', ...wal } } });
    await db.sql('create table t (n int)');
  };
  /** What takes long is tried on one version; what it rests on is the same. */
  const only = (on: PostgresVersion) => (on === version ? it : () => {});
  beforeEach(() => begin());
  afterEach(() => db.destroy());

  const streaming = (): Promise<Running> => streamTo(at, db);
  /** As the loss of the receiver's machine: nothing is said to anyone. */
  const kill = async (child: Running): Promise<void> => {
    const children = childrenOf(child.pid);
    child.kill('SIGKILL');
    // A question to the server may have ended meanwhile.
    for (const pid of children) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    await child.ended;
  };
  const gone = async (): Promise<void> => {
    await db.sql('select pg_terminate_backend(pid) from pg_stat_replication');
    await waitFor(async () => (await db.sql('select count(*) from pg_stat_replication')) === '0', 'the receiver to be gone');
  };
  /** Writes a row and waits until what was written is in the store, as far as its listing tells. */
  const stored = async (n: number): Promise<void> => {
    const [name, offset] = (
      await db.sql(`insert into t values (${n}); select file_name || ' ' || file_offset from pg_walfile_name_offset(pg_current_wal_lsn())`)
    ).split(' ') as [string, string];
    const there = (): boolean =>
      at.walNames('local').includes(name) ||
      chunks(at).some(chunk => chunk.startsWith(name) && Number.parseInt(chunk.slice(-8), 16) + 8 >= Number(offset));
    await waitFor(there, `row ${n} in ${name} at ${offset}`);
  };
  const load = (from: number, count: number): Promise<string> =>
    db.sql(`insert into t select n from generate_series(${from}, ${from + count - 1}) n`);

  it('is restored up to its last commit after server, receiver and bkp were killed and their disks lost', async () => {
    const child = await streaming();
    await aBackup(at);
    await stored(1);
    const between = await db.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')");
    await stored(2);
    await stored(3);
    await Promise.all([kill(child), db.kill9()]);
    db.loseDisk();
    rmSync(at.spool, { recursive: true });
    expect(chunks(at).length).toBeGreaterThanOrEqual(2);
    expect(chunks(at, 'offsite')).toEqual([]);
    expect(await rowsIn(at, version, '--latest')).toBe('1,2,3');
    expect(await rowsIn(at, version, '--target-time', between)).toBe('1');
    const { code, stdout } = await runBkp(['verify', 'postgres', '--deep', '--json'], at.run);
    expect({ code, stdout: code === 0 ? '' : stdout }).toEqual({ code: 0, stdout: '' });
    const [local, offsite] = lastJson((await runBkp(['list', 'postgres', 'app', '--window', '--json'], at.run)).stdout)['windows'];
    expect(local.toIs).toBe('commit');
    expect(local.toLsn > offsite.toLsn).toBe(true);
  });

  only('15')('is whole in an empty store that stands in for a lost one, before any backup', async () => {
    const child = await streaming();
    await aBackup(at);
    await db.sql('insert into t values (1)');
    const name = await db.sql('select pg_walfile_name(pg_current_wal_insert_lsn())');
    await waitFor(() => chunks(at).some(chunk => chunk.startsWith(`${name}/00000000-`)), `the beginning of ${name}`);
    // Until the next one is there, the stream may still be about to count the first.
    await db.sql("select pg_logical_emit_message(true, 'bkp', 'more')");
    await waitFor(() => chunks(at).filter(chunk => chunk.startsWith(name)).length > 1, `more of ${name}`);
    renameSync(at.stores['local']!, join(tempDir(), 'lost'));
    mkdirSync(at.stores['local']!);
    await stored(2);
    await waitFor(
      () => child.output().stderr.includes('it was emptied or replaced, and gets anew what the spool has'),
      'the stream to notice',
    );
    await stored(3);
    expect(chunks(at)[0]).toContain('/00000000-');
    await Promise.all([kill(child), db.kill9()]);
    db.loseDisk();
    rmSync(at.spool, { recursive: true });
    expect(await rowsIn(at, version, '--latest')).toBe('1,2,3');
  });

  only('18')('rule 7: what the server wrote and has not flushed is in no store, and the stream goes on when it is lost', async () => {
    const child = await streaming();
    await aBackup(at);
    await stored(1);
    // Nobody is left that flushes but a commit that waits for it.
    const writers =
      "select pid from pg_stat_activity where backend_type in ('walwriter', 'checkpointer', 'background writer', 'autovacuum launcher')";
    for (const [pid] of await db.rows(writers)) process.kill(Number(pid), 'SIGSTOP');
    await db.sql('set synchronous_commit = off; insert into t values (2)');
    const lsns = 'select pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()';
    expect(await db.sql(lsns)).toBe('t');
    await pause(1500);
    const [name, offset] = (
      await db.sql("select file_name || ' ' || file_offset from pg_walfile_name_offset(pg_current_wal_flush_lsn())")
    ).split(' ') as [string, string];
    expect(await db.sql(lsns)).toBe('t');
    const ends = chunks(at).map(chunk => [chunk.slice(0, 24), Number.parseInt(chunk.slice(-8), 16)] as const);
    const above = ends.filter(([segment, end]) => segment > name || (segment === name && end > Number(offset)));
    expect({ above, some: ends.length > 0 }).toEqual({ above: [], some: true });
    await db.kill9();
    await db.start();
    await stored(3);
    await stopBkp(child, 'SIGTERM');
    expect(await db.sql("select string_agg(n::text, ',' order by n) from t")).toBe('1,3');
    expect(await rowsIn(at, version, '--latest')).toBe('1,3');
  });

  only('15')('writes nothing into the stores while nothing is written into the database', async () => {
    const child = await streaming();
    await aBackup(at);
    await stored(1);
    // The server itself writes a record after a while (of the transactions that run), once.
    const end = () => db.sql('select pg_current_wal_insert_lsn()');
    const quiet = async (): Promise<{ before: string[]; after: string[] } | undefined> => {
      const from = await end();
      await pause(700);
      const before = objects(at);
      await pause(1500);
      const after = objects(at);
      return (await end()) === from ? { before, after } : undefined;
    };
    const { before, after } = await waitFor(quiet, 'a while in which the server writes nothing');
    expect(after).toEqual(before);
    await stored(2);
    expect(objects(at)).not.toEqual(before);
    await stopBkp(child, 'SIGTERM');
  });

  only('18')('leaves no chunk once it is stored whole, and joins them when they are many', async () => {
    const child = await streaming();
    await stored(1);
    for (let n = 2; n < 20; n += 1) await stored(n);
    const name = await db.sql('select pg_walfile_name(pg_current_wal_lsn())');
    await waitFor(() => chunks(at).filter(chunk => chunk.startsWith(name)).length === 1, 'one chunk');
    expect(chunks(at)[0]).toMatch(/\/00000000-/);
    await db.sql('select pg_switch_wal(); insert into t values (0)');
    await waitFor(() => at.walNames('local').includes(name) && at.walNames('offsite').includes(name), name);
    await waitFor(() => !chunks(at).some(chunk => chunk.startsWith(name)), 'its chunks to be gone');
    await stopBkp(child, 'SIGTERM');
  });

  it('goes on where the store ends on another machine with an empty spool, and after kill -9 with the old one', async () => {
    const first = await streaming();
    await aBackup(at);
    await stored(1);
    // That machine is gone without a word: the server still holds its sender, and no slot of theirs keeps the next one out.
    for (const pid of [first.pid, ...childrenOf(first.pid)]) process.kill(pid, 'SIGSTOP');
    const elsewhere = join(tempDir(), 'bkp.yaml');
    writeFileSync(elsewhere, readFileSync(at.run.config!, 'utf8').replaceAll(at.spool, join(tempDir(), 'spool')));
    const there = { ...at.run, config: elsewhere };
    const before = chunks(at);
    const second = startBkp(['stream', 'postgres'], there);
    await stored(2);
    await kill(first);
    await kill(second);
    await gone();
    const third = await streamTo({ ...at, run: there }, db);
    await stored(3);
    const begins = chunks(at).map(chunk => chunk.slice(0, 33));
    expect(new Set(begins).size).toBe(begins.length);
    // The backup may have closed the segment of the first ones.
    const open = before.filter(chunk => !at.walNames('local').includes(chunk.slice(0, 24)));
    expect(chunks(at)).toEqual(expect.arrayContaining(open));
    await Promise.all([kill(third), db.kill9()]);
    db.loseDisk();
    rmSync(at.spool, { recursive: true });
    expect(await rowsIn(at, version, '--latest')).toBe('1,2,3');
  });

  only('18')('catches up after an outage of every store under load, with nothing lost', async () => {
    const child = await streaming();
    await aBackup(at);
    for (const path of Object.values(at.stores)) renameSync(path, `${path}.gone`);
    for (let n = 0; n < 10; n += 1) await load(n * 8000, 8000);
    await waitFor(() => child.output().stderr.includes('does not take'), 'the outage to be told');
    const kept = await db.sql("select pg_current_wal_lsn() - restart_lsn > 3000000 from pg_replication_slots where slot_name = 'bkp_app'");
    expect(kept).toBe('t');
    for (const path of Object.values(at.stores)) renameSync(`${path}.gone`, path);
    await stored(1_000_000);
    await Promise.all([kill(child), db.kill9()]);
    db.loseDisk();
    rmSync(at.spool, { recursive: true });
    const to = aPlace();
    expect((await runBkp(['restore', 'postgres', '--latest', '--to', to, '--yes'], at.run)).code).toBe(0);
    const copy = await startPostgres({ version, dir: to });
    expect(await copy.sql('select count(*), max(n) from t')).toBe('80001|1000000');
    await copy.destroy();
  });

  only('15')('what only the spool holds is stored though the server is gone for good', async () => {
    await db.destroy();
    await begin({ synchronous_standby_names: 'bkp', synchronous_commit: 'local' }, { synchronous: true });
    const child = await streaming();
    await aBackup(at);
    await stored(1);
    for (const path of Object.values(at.stores)) renameSync(path, `${path}.gone`);
    const receiver = childrenOf(child.pid).find(pid => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('pg_receivewal'))!;
    process.kill(receiver, 'SIGSTOP');
    const committed = db.sql('set synchronous_commit = on; insert into t values (2)');
    const waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
    await waitFor(async () => (await db.sql(waits)) === '1', "the commit to wait for the receiver's disk");
    process.kill(receiver, 'SIGCONT');
    await committed;
    await Promise.all([kill(child), db.kill9()]);
    db.loseDisk();
    for (const path of Object.values(at.stores)) renameSync(`${path}.gone`, path);
    const before = chunks(at).length;
    const again = startBkp(['stream', 'postgres'], at.run);
    await waitFor(() => chunks(at).length > before, 'the rest of the spool');
    await stopBkp(again, 'SIGTERM');
    expect(await rowsIn(at, version, '--latest')).toBe('1,2');
  });

  only('18')(
    'a slot that the server gave up costs nothing while the spool has it all, and names what is lost where it has not',
    async () => {
      await db.destroy();
      await begin({ max_slot_wal_keep_size: '2MB', max_wal_size: '2MB', min_wal_size: '2MB' });
      const child = await streaming();
      await aBackup(at);
      for (const path of Object.values(at.stores)) renameSync(path, `${path}.gone`);
      const status = "select wal_status from pg_replication_slots where slot_name = 'bkp_app'";
      const lose = async (n: number): Promise<void> => {
        await load(n, 8000);
        await db.sql('select pg_switch_wal(); checkpoint');
      };
      for (let n = 0; (await db.sql(status)) !== 'lost' && n < 40; n += 1) await lose(n * 8000);
      expect(await db.sql(status)).toBe('lost');
      for (const path of Object.values(at.stores)) renameSync(`${path}.gone`, path);
      await stored(1_000_000);
      await stopBkp(child, 'SIGTERM');
      const again = await streaming();
      await waitFor(async () => (await db.sql(status)) === 'reserved', 'a new slot');
      expect(again.output().stderr).toMatch(/gave up our slot/);
      await stored(1_000_001);
      await kill(again);
      await gone();
      rmSync(at.spool, { recursive: true });
      for (let n = 0; (await db.sql(status)) !== 'lost' && n < 40; n += 1) await lose(2_000_000 + n * 8000);
      const refused = await runBkp(['stream', 'postgres'], at.run);
      expect(refused.code).toBe(4);
      expect(refused.stderr).toMatch(/no longer has WAL.*[0-9A-F]{24}.*it keeps [0-9A-F]{24}/);
      expect(refused.stderr).toMatch(/--new-lineage/);
    },
  );

  only('15')('notices by the missing progress that the sender hangs, and connects anew', async () => {
    const child = await streaming();
    await aBackup(at);
    const sender = Number(await db.sql('select pid from pg_stat_replication'));
    process.kill(sender, 'SIGSTOP');
    await db.sql('insert into t values (1)');
    await waitFor(() => /although the server goes on.*made anew/.test(child.output().stderr), 'the hanging sender to be noticed');
    await stored(2);
    process.kill(sender, 'SIGCONT');
    await stopBkp(child, 'SIGTERM');
    expect(await rowsIn(at, version, '--latest')).toBe('1,2');
  });

  only('18')('of a server that was set back is refused, and once it has gone past what is stored it is a conflict', async () => {
    const old = join(tempDir({ forServer: true }), 'old');
    await db.stop();
    await db.asServer('/bin/cp', ['-a', db.dataDir, old]);
    await db.start();
    const child = await streaming();
    for (const n of [1, 2, 3]) await stored(n);
    await stopBkp(child, 'SIGTERM');
    await db.stop();
    rmSync(db.dataDir, { recursive: true });
    renameSync(old, db.dataDir);
    await db.start();
    const refused = await runBkp(['stream', 'postgres'], at.run);
    expect({ code: refused.code, stderr: refused.stderr }).toMatchObject({ code: 4, stderr: expect.stringMatching(/it was set back/) });
    await load(100, 2000);
    const conflict = await runBkp(['stream', 'postgres'], at.run);
    expect(conflict.code).toBe(7);
    expect(conflict.stderr).toMatch(/with another content/);
  });
});

describe('a store that would keep every chunk for good', () => {
  it('gets whole segments only: the next one takes the chunks, and without another that is said', async () => {
    const gateway = await startVersity();
    const { endpoint, region, accessKey, secretKey } = gateway;
    const locked = { type: 's3', endpoint, region, accessKey, secretKey, bucket: await gateway.bucket({ lock: true }), pathStyle: true };
    const db = await startPostgres({ version: '18', initdb: ['--wal-segsize=1'] });
    await db.sql('create table t (n int)');
    const local = tempDir();
    const entry = db.entry({ spool: join(tempDir(), 'spool'), wal: { flush: '250ms' } });
    const both = await makeConfig({ stores: { locked, local }, postgres: { app: entry } });
    const child = startBkp(['stream', 'postgres'], { config: both.path, env: db.bkpEnv });
    const chunk = (): boolean =>
      readdirSync(local, { recursive: true, encoding: 'utf8' }).some(path => /[0-9A-F]{8}-[0-9A-F]{8}-[0-9a-f]{32}/.test(path));
    await waitFor(chunk, 'a chunk in the other store');
    await db.sql('insert into t values (1); select pg_switch_wal(); insert into t values (2)');
    await waitFor(() => /WAL 0\S+ is in .*locked/.test(child.output().stderr), 'a segment in the locked store');
    await stopBkp(child, 'SIGTERM');
    const client = s3Client(gateway);
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: locked.bucket }));
    client.destroy();
    expect(Contents.filter(({ Key }) => Key!.includes('/wal/')).length).toBeGreaterThan(0);
    expect(Contents.filter(({ Key }) => /heartbeat|[0-9A-F]{8}-[0-9A-F]{8}-[0-9a-f]{32}/.test(Key!))).toEqual([]);
    const asking = { ...entry, wal: { flush: '250ms', synchronous: true } };
    const alone = await makeConfig({ stores: { locked }, postgres: { app: asking }, keys: both.keys });
    const warned = startBkp(['stream', 'postgres'], { config: alone.path, env: db.bkpEnv });
    await waitFor(() => warned.output().stderr.includes('only whole segments are stored'), 'the warning');
    expect(warned.output().stderr).toMatch(/the server does not wait for us \(synchronous_standby_names = ''\): ALTER SYSTEM SET/);
    await stopBkp(warned, 'SIGTERM');
    await db.destroy();
    await gateway.stop();
  });
});
