import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { lastJson, type Yaml } from './change.ts';
import {
  cleanUp,
  makeConfig,
  type Postgres,
  type PostgresVersion,
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

const ENTRY = 'bkp/production/postgres/app';

/** A standby of a running server, which follows it by streaming. */
async function standbyOf(primary: Postgres): Promise<Postgres> {
  const dir = join(tempDir({ forServer: true }), 'data');
  const from = ['-h', primary.socketDir, '-p', String(primary.port), '-U', primary.superuser];
  await primary.asServer(primary.tool('pg_basebackup'), ['-D', dir, '-R', '--checkpoint=fast', ...from]);
  return startPostgres({ version: primary.version, dir });
}

/** Writes a row and closes the segment in which it lies; answers with that segment's name. */
const segment = async (db: Postgres, n: number): Promise<string> => {
  const name = await db.sql(`insert into t values (${n}); select pg_walfile_name(pg_current_wal_lsn())`);
  await db.sql('select pg_switch_wal()');
  return name;
};

const stored = (at: Setup, name: string) =>
  Promise.all(['local', 'offsite'].map(store => waitFor(() => at.walNames(store).includes(name), `WAL ${name} in ${store}`)));

const lineagesOf = (at: Setup): string[] =>
  readdirSync(join(at.stores['local']!, ENTRY, 'lineages'))
    .map(name => name.replace('.json', ''))
    .sort();

const utcNow = (db: Postgres): Promise<string> =>
  db.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')");

async function rowsAt(at: Setup, version: PostgresVersion, args: readonly string[]): Promise<string> {
  const to = aPlace();
  const { code, stderr } = await runBkp(['restore', 'postgres', 'app', '--to', to, '--yes', ...args], at.run);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  const copy = await startPostgres({ version, dir: to });
  const rows = await copy.sql("select string_agg(n::text, ',' order by n) from t");
  await copy.destroy();
  return rows;
}

const windows = async (at: Setup, ...args: string[]): Promise<Yaml[]> => {
  const { code, stdout, stderr } = await runBkp(['list', 'postgres', 'app', '--window', '--json', ...args], at.run);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return lastJson(stdout)['windows'];
};

describe.each<PostgresVersion>(['15', '18'])('a failover of PostgreSQL %s while its WAL is streamed', version => {
  let primary: Postgres;
  let standby: Postgres;
  let old: Setup;
  let at: Setup;

  beforeEach(async () => {
    primary = await startPostgres({ version });
    await primary.sql('create table t (n int)');
    standby = await standbyOf(primary);
    old = await setUp(primary);
    at = await setUp(standby, { like: old, entry: { spool: old.spool } });
  });
  afterEach(async () => {
    await standby.destroy();
    await primary.destroy();
  });

  const caughtUp = async (): Promise<void> => {
    const end = await primary.sql('select pg_current_wal_flush_lsn()');
    await waitFor(async () => (await standby.sql(`select pg_last_wal_replay_lsn() >= '${end}'`)) === 't', 'the standby');
  };
  const promote = async (): Promise<void> => {
    await primary.kill9();
    await standby.sql('select pg_promote()');
  };

  // What a new timeline asks of the server is shown on both; these go different ways in bkp alone.
  const only = (on: PostgresVersion) => (on === version ? it : () => {});

  it('goes on in the same lineage on the new timeline, without a hole; times before and after the switch are reached', async () => {
    const first = await streamTo(old, primary);
    await aBackup(old);
    await stored(old, await segment(primary, 1));
    await primary.sql('insert into t values (2)');
    const before = await utcNow(primary);
    await primary.sql('insert into t values (3)');
    await caughtUp();
    await promote();
    await stopBkp(first, 'SIGTERM');

    const second = await streamTo(at, standby);
    const slots = "select count(*) from pg_replication_slots where slot_name = 'bkp_app'";
    await waitFor(async () => (await standby.sql(slots)) === '1', 'the slot on the new primary');
    await stored(at, await segment(standby, 4));
    const after = await utcNow(standby);
    await stored(at, await segment(standby, 5));
    await stored(at, '00000002.history');
    await aBackup(at);
    await stored(at, await segment(standby, 6));
    await stopBkp(second, 'SIGTERM');

    expect(lineagesOf(at)).toHaveLength(1);
    const verified = await runBkp(['verify', '--deep'], at.run);
    expect({ code: verified.code, stdout: verified.code === 0 ? '' : verified.stdout }).toEqual({ code: 0, stdout: '' });
    expect(await rowsAt(at, version, ['--target-time', before])).toBe('1,2');
    expect(await rowsAt(at, version, ['--target-time', after])).toBe('1,2,3,4');
    expect(await rowsAt(at, version, ['--latest'])).toBe('1,2,3,4,5,6');
    for (const line of await windows(at))
      expect(line).toMatchObject({
        lineage: lineagesOf(at)[0],
        live: true,
        gaps: [],
        timelines: [{ timeline: 1, until: expect.stringMatching(/^0\//) }, { timeline: 2 }],
      });
  });

  only('18')('goes on at the switch when the standby had less than was streamed; the old primary is refused afterwards', async () => {
    const first = await streamTo(old, primary);
    await aBackup(old);
    await stored(old, await segment(primary, 1));
    await caughtUp();
    await standby.stop();
    const lost = [await segment(primary, 20), await segment(primary, 21)];
    for (const name of lost) await stored(old, name);
    await primary.sql('insert into t values (22)');
    await primary.stop('immediate');
    await standby.start();
    await standby.sql('select pg_promote()');
    await stopBkp(first, 'SIGTERM');

    const second = await streamTo(at, standby);
    for (const n of [2, 3, 4]) await stored(at, await segment(standby, n));
    const slot = "select restart_lsn < pg_current_wal_lsn() - 16777216 * 2 from pg_replication_slots where slot_name = 'bkp_app'";
    await waitFor(async () => (await standby.sql(slot)) === 'f', 'the slot to follow');
    await stopBkp(second, 'SIGTERM');
    expect(lineagesOf(at)).toHaveLength(1);
    expect(at.walNames('local')).toEqual(expect.arrayContaining(lost));
    expect(await rowsAt(at, version, ['--latest'])).toBe('1,2,3,4');

    await primary.start();
    const again = await runBkp(['stream', 'postgres'], old.run);
    expect(again.code).toBe(4);
    expect(again.stderr).toMatch(/is on timeline 1, and lineage \S+ has gone on to timeline 2/);
  });

  only('15')('goes on when the timeline was left exactly between two segments', async () => {
    const first = await streamTo(old, primary);
    await aBackup(old);
    // It writes a snapshot now and then, which would be the first record of the next segment.
    process.kill(Number(await primary.sql("select pid from pg_stat_activity where backend_type = 'background writer'")), 'SIGSTOP');
    const name = await segment(primary, 1);
    await stored(old, name);
    await caughtUp();
    await promote();
    const switched = await standby.sql("select pg_read_file('pg_wal/00000002.history')");
    expect(switched).toMatch(/^1\t0\/[0-9A-F]+000000\t/);
    const ended = await stopBkp(first, 'SIGTERM');
    expect(ended.stderr).toContain(name);
    const second = await streamTo(at, standby);
    await stored(at, await segment(standby, 2));
    await stopBkp(second, 'SIGTERM');
    expect(await rowsAt(at, version, ['--latest'])).toBe('1,2');
  });

  only('18')('with the spool lost too it goes on behind what is stored, though its slot begins later', async () => {
    const first = await streamTo(old, primary);
    await aBackup(old);
    await stored(old, await segment(primary, 1));
    await stopBkp(first, 'SIGTERM');
    rmSync(old.spool, { recursive: true });
    standby.configure({ wal_keep_size: '1GB' });
    await standby.sql('select pg_reload_conf()');
    for (const n of [2, 3]) await segment(primary, n);
    await caughtUp();
    await promote();
    await standby.sql('insert into t values (4); checkpoint');
    const second = await streamTo(at, standby);
    await stored(at, await segment(standby, 5));
    await stopBkp(second, 'SIGTERM');
    expect(await rowsAt(at, version, ['--latest'])).toBe('1,2,3,4,5');
  });

  only('15')('refuses a gap and names it, when the new primary no longer has what no store holds; --new-lineage declares it', async () => {
    const first = await streamTo(old, primary);
    await aBackup(old);
    await stored(old, await segment(primary, 1));
    await stopBkp(first, 'SIGTERM');
    rmSync(old.spool, { recursive: true });
    const missing = await segment(primary, 2);
    await segment(primary, 3);
    await caughtUp();
    await promote();
    for (const n of [4, 5, 6]) {
      await segment(standby, n);
      await standby.sql('checkpoint');
    }
    const refused = await runBkp(['stream', 'postgres'], at.run);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain(missing);
    expect(refused.stderr).toMatch(/it keeps 00000002[0-9A-F]{16} and what follows/);
    expect(refused.stderr).toContain('--new-lineage');
    const declared = startBkp(['stream', 'postgres', '--new-lineage'], at.run);
    await waitFor(() => lineagesOf(at).length === 2, 'the new lineage');
    await stored(at, await segment(standby, 7));
    await aBackup(at);
    await stopBkp(declared, 'SIGTERM');
    expect(await rowsAt(at, version, ['--latest'])).toBe('1,2,3,4,5,6,7');
  });
});

describe('lineages', () => {
  const version: PostgresVersion = '18';
  let db: Postgres;
  let at: Setup;
  let time: string;
  let firstBase: string;
  let original: string;

  beforeAll(async () => {
    db = await startPostgres({ version });
    at = await setUp(db);
    await db.sql('create table t (n int)');
    const stream = await streamTo(at, db);
    firstBase = await aBackup(at);
    await stored(at, await segment(db, 1));
    time = await utcNow(db);
    await stored(at, await segment(db, 2));
    await stored(at, await segment(db, 3));
    await stopBkp(stream, 'SIGTERM');
    original = lineagesOf(at)[0]!;
  });

  it('DR07: two restores from one base, both promoted and archiving, are lineages of their own and never meet', async () => {
    const before = at.walNames('local');
    const made: { lineage: string; fork: string }[] = [];
    for (const n of [10, 20]) {
      const to = aPlace();
      const run = await runBkp(['restore', 'postgres', 'app', '--target-time', time, '--to', to, '--yes', '--json'], at.run);
      expect(run.code).toBe(0);
      const copy = await startPostgres({ version, dir: to });
      const own = await setUp(copy, { like: at });
      const known = lineagesOf(at);
      const stream = await streamTo(own, copy);
      await aBackup(own);
      const name = await segment(copy, n);
      expect(name.slice(0, 8)).toBe('00000002');
      await waitFor(() => own.walNames('offsite').filter(each => each === name).length === made.length + 1, `${name} once more`);
      await stopBkp(stream, 'SIGTERM');
      await copy.destroy();
      made.push({ lineage: lineagesOf(at).find(each => !known.includes(each))!, fork: lastJson(run.stdout)['lsn'] });
    }
    expect(at.walNames('local').filter(name => before.includes(name))).toEqual(before);
    const lines = await windows(at, '--from', 'local');
    for (const { lineage, fork } of made)
      expect(lines.filter(line => line['lineage'] === lineage)).toMatchObject([{ parent: { lineage: original, lsn: fork }, gaps: [] }]);
    expect(lines.filter(line => line['lineage'] === original)).toMatchObject([{ backups: [firstBase], gaps: [], live: false }]);
    expect(lines.filter(line => line['live'])).toMatchObject([{ lineage: made[1]!.lineage }]);
    const { stdout } = await runBkp(['list', 'postgres', '--window'], at.run);
    expect(stdout).toContain(`lineage ${made[0]!.lineage}: restored from lineage ${original} at LSN ${made[0]!.fork}`);
    expect(await rowsAt(at, version, ['--latest'])).toBe('1,20');
    expect(await rowsAt(at, version, ['--from-backup', firstBase, '--latest'])).toBe('1,2,3');
  });

  it('PG19 PG04: a cluster made anew is refused without --new-lineage; with it, its higher timeline is never what is chosen', async () => {
    const other = await startPostgres({ version });
    await other.sql('create table t (n int); insert into t values (99)');
    const there = await setUp(other, { like: at });
    const known = lineagesOf(at);
    for (const verb of ['backup', 'stream']) {
      const { code, stderr } = await runBkp([verb, 'postgres', 'app'], there.run);
      expect({ verb, code }).toEqual({ verb, code: 4 });
      expect(stderr).toMatch(/system identifier is \d+.*another cluster/);
      expect(stderr).toContain('--new-lineage');
    }
    expect(lineagesOf(at)).toEqual(known);
    for (const timeline of [2, 3, 4]) {
      await other.stop();
      writeFileSync(join(other.dataDir, 'standby.signal'), '');
      await other.start();
      await other.sql('select pg_promote()');
      expect(await other.sql('select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)')).toBe(`0000000${timeline}`);
    }
    const foreign = await aBackup(there, ['--new-lineage']);
    await other.destroy();

    const begun = lineagesOf(at).filter(each => !known.includes(each));
    expect(begun).toEqual([expect.stringMatching(/-1$/)]);
    const line = (await windows(at, '--from', 'local')).find(each => each['backups'].includes(foreign));
    expect(line).toMatchObject({ lineage: begun[0], systemIdentifier: begun[0]!.split('-')[0], timelines: [{ timeline: 4 }], live: true });

    await aBackup(at);
    expect(await rowsAt(at, version, ['--latest'])).toBe('1,2,3');
    expect(await rowsAt(at, version, ['--target-time', time])).toBe('1');
  });
});

it('PG18: marks of folders, zero bytes and a name that ends in `/`, are ignored; verify tells of them', async () => {
  const versity = await startVersity();
  const bucket = await versity.bucket();
  const db = await startPostgres({ version: '18' });
  const { endpoint, region, accessKey, secretKey } = versity;
  const far = { type: 's3', endpoint, region, bucket, accessKey, secretKey, pathStyle: true };
  const config = await makeConfig({ stores: { far }, postgres: { app: db.entry() } });
  const run = { config: config.path, env: db.bkpEnv };
  await db.sql('create table t (n int); insert into t values (1)');
  expect((await runBkp(['backup', 'postgres'], run)).code).toBe(0);

  const client = s3Client(versity);
  const places = ['', 'backups/', 'backups/20260115T020000Z-4f2a1c/', 'wal/', 'wal/7642011472967116994-1/', 'lineages/'];
  for (const place of places) await client.send(new PutObjectCommand({ Bucket: bucket, Key: `${ENTRY}/${place}`, ContentLength: 0 }));
  client.destroy();

  const backup = await runBkp(['backup', 'postgres', '--json'], run);
  expect({ code: backup.code, stdout: backup.code === 0 ? '' : backup.stdout }).toEqual({ code: 0, stdout: '' });
  const listed = await runBkp(['list', 'postgres', '--window', '--json'], run);
  expect(lastJson(listed.stdout)).toMatchObject({ windows: [{ store: 'far' }, { store: 'far', live: true }], notes: [] });
  const verified = await runBkp(['verify', '--json'], run);
  const findings: Yaml[] = lastJson(verified.stdout)['stores'][0].findings;
  expect(new Set(findings.map(each => each['state']))).toEqual(new Set(['stray']));
  expect(verified.code).toBe(0);
  const to = aPlace();
  expect((await runBkp(['restore', 'postgres', 'app', '--latest', '--to', to, '--yes'], run)).code).toBe(0);
});
