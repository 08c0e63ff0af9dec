import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  cleanUp,
  type Postgres,
  type PostgresVersion,
  pause,
  runBkp,
  startBkp,
  startPostgres,
  stopBkp,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

describe.each<PostgresVersion>(['15', '18'])('PostgreSQL %s to a point in time', version => {
  let db: Postgres;
  let at: Setup;
  let before: { count: string; time: string; lsn: string; xid: string };

  beforeAll(async () => {
    db = await startPostgres({ version, settings: { max_prepared_transactions: '5' } });
    at = await setUp(db);
    await db.sql('create table orders (id bigserial primary key, at timestamptz default clock_timestamp())');
    await db.sql('create table pending (id int)');
    const stream = startBkp(['stream', 'postgres', '--json'], at.run);
    await waitFor(async () => (await db.sql('select count(*) from pg_replication_slots')) === '1', 'the slot');
    await aBackup(at);
    await db.sql('insert into orders select from generate_series(1, 1000)');
    await db.sql("begin; insert into pending values (1); prepare transaction 'open at the target'");
    await db.sql('insert into orders default values');
    before = {
      count: await db.sql('select count(*) from orders'),
      xid: await db.sql('select pg_current_xact_id()::xid'),
      time: '',
      lsn: await db.sql("select pg_create_restore_point('before the accident')"),
    };
    await pause(1200);
    before.time = await db.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')");
    await pause(1200);
    await db.sql('drop table orders');
    await db.sql('create table later (id int); insert into later values (1)');
    const last = await db.sql('select pg_walfile_name(pg_switch_wal() - 1)');
    await db.sql('insert into later values (2); select pg_switch_wal()');
    await waitFor(() => at.walNames('offsite').includes(last), `WAL ${last} in the stores`);
    await stopBkp(stream, 'SIGTERM');
    await db.kill9();
    db.loseDisk();
  });

  const restored = async (args: readonly string[]): Promise<{ copy: Postgres; out: Record<string, unknown> }> => {
    const to = aPlace();
    const { code, stdout, stderr } = await runBkp(['restore', 'postgres', 'app', '--to', to, '--yes', '--json', ...args], at.run);
    expect({ code, stderr: code === 0 ? '' : stderr + stdout }).toEqual({ code: 0, stderr: '' });
    return { copy: await startPostgres({ version, dir: to }), out: JSON.parse(stdout.trim().split('\n').at(-1)!) };
  };

  it('PG10: brings back the rows of the second before the accident, promoted and writable', async () => {
    const { copy } = await restored(['--target-time', before.time]);
    expect(await copy.sql('select count(*) from orders')).toBe(before.count);
    expect(await copy.sql("select count(*) from pg_prepared_xacts where gid = 'open at the target'")).toBe('1');
    await copy.sql('create table written (id int)');
    expect(await copy.sql('show archive_mode')).toBe('off');
    await copy.destroy();
  });

  it.each([
    ['--target-name', () => ['--target-name', 'before the accident']],
    ['--target-lsn', () => ['--target-lsn', before.lsn]],
    ['--target-xid', () => ['--target-xid', before.xid]],
    ['one store alone', () => ['--target-time', before.time, '--from', 'offsite']],
  ])('reaches the same rows by %s', async (_, args) => {
    const { copy } = await restored(args());
    expect(await copy.sql('select count(*) from orders')).toBe(before.count);
    await copy.destroy();
  });

  it('a name or a transaction that no WAL has is not found, and the base is named', async () => {
    const run = await runBkp(['restore', 'postgres', '--to', aPlace(), '--yes', '--target-name', 'never made'], at.run);
    expect(run.code).toBe(6);
    expect(run.stderr).toMatch(/recovery_target_name = never made is not in the WAL from backup \d{8}T/);
  });

  it('reaches the end of everything archived by --latest, and the end of the backup by --from-backup', async () => {
    const { copy } = await restored(['--latest']);
    expect(await copy.sql("select to_regclass('orders') is null and exists (select from later)")).toBe('t');
    await copy.destroy();
    const { copy: first } = await restored(['--from-backup', 'latest']);
    expect(await first.sql('select count(*) from orders')).toBe('0');
    await first.destroy();
  });

  it('two restores from one base archive into lineages of their own', async () => {
    const copies = [await restored(['--target-time', before.time]), await restored(['--target-time', before.time])];
    const lineages = [];
    for (const { copy } of copies) {
      await copy.sql('insert into orders default values; select pg_switch_wal()');
      const other = await setUp(copy, { like: at });
      expect((await runBkp(['backup', 'postgres', '--json'], other.run)).code).toBe(0);
      const file = await copy.sql("select pg_walfile_name('0/1')").then(name => name.slice(0, 8));
      lineages.push(file);
    }
    expect(lineages).toEqual(['00000002', '00000002']);
    const own = readdirSync(join(at.stores['local']!, 'bkp/production/postgres/app/lineages')).sort();
    expect(own.map(name => name.replace(/^\d+-/, ''))).toEqual(['1.json', '2.json', '3.json']);
    const third = JSON.parse(
      readFileSync(join(at.stores['local']!, 'bkp/production/postgres/app/lineages', own[2]!), 'utf8').split('\n')[0]!,
    );
    expect(third.parent.lineage).toMatch(/-1$/);
    for (const { copy } of copies) await copy.destroy();
  });

  it('PG07 PG08: refuses a time outside the window, names the window, and touches nothing', async () => {
    const to = aPlace();
    const early = await runBkp(['restore', 'postgres', '--to', to, '--yes', '--target-time', '2020-01-01T00:00:00Z'], at.run);
    expect(early.code).toBe(4);
    expect(early.stderr).toMatch(/window begins at \d{4}-/);
    const late = await runBkp(
      ['restore', 'postgres', '--to', to, '--yes', '--target-time', new Date(Date.now() - 500).toISOString()],
      at.run,
    );
    expect(late.code).toBe(4);
    expect(late.stderr).toMatch(/last commit within reach is of \d{4}-/);
    expect(readdirSync(join(to, '..'))).toEqual([]);
  });

  it('--dry-run shows the plan and touches nothing', async () => {
    const to = aPlace();
    const { code, stdout, stderr } = await runBkp(['restore', 'postgres', '--to', to, '--dry-run', '--target-time', before.time], at.run);
    expect(code).toBe(0);
    expect(stdout + stderr).toMatch(/recovery_target_time/);
    expect(readdirSync(join(to, '..'))).toEqual([]);
  });

  it('--serve leaves the copy on its private socket', async () => {
    const { out } = await (async () => {
      const to = aPlace();
      const run = await runBkp(['restore', 'postgres', '--to', to, '--yes', '--serve', '--json', '--target-time', before.time], at.run);
      expect(run.code).toBe(0);
      return { out: JSON.parse(run.stdout.trim().split('\n').at(-1)!) };
    })();
    const socket = out.facts.socket as string;
    const { stdout } = await db.asServer(db.tool('psql'), [
      '-XAt',
      '-h',
      socket,
      '-p',
      '5432',
      '-U',
      'postgres',
      '-c',
      'select count(*) from orders',
      'postgres',
    ]);
    expect(stdout.trim()).toBe(before.count);
    await db.asServer(db.tool('pg_ctl'), ['-D', out.facts.dataDir, '-m', 'fast', '-w', 'stop']);
    rmSync(socket, { recursive: true });
  });

  it('PG11: a pg_resetwal on PATH is never called', async () => {
    const trap = tempDir();
    const { writeFileSync, chmodSync, existsSync } = await import('node:fs');
    writeFileSync(join(trap, 'pg_resetwal'), `#!/bin/sh\ntouch ${join(trap, 'called')}\n`);
    chmodSync(join(trap, 'pg_resetwal'), 0o755);
    const to = aPlace();
    const run = await runBkp(['restore', 'postgres', '--to', to, '--yes', '--latest'], {
      ...at.run,
      env: { ...at.run.env, PATH: `${trap}:${process.env['PATH']}` },
    });
    expect(run.code).toBe(0);
    expect(existsSync(join(trap, 'called'))).toBe(false);
  });
});

it.each<PostgresVersion>(['15', '18'])(
  'PostgreSQL %s: the commit of a prepared transaction is one like any other, and its name says nothing',
  async version => {
    const db = await startPostgres({ version, settings: { max_prepared_transactions: '5', track_commit_timestamp: 'on' } });
    const at = await setUp(db);
    const micros = (time: string): Promise<string> =>
      db.sql(`select to_char((${time}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
    await db.sql('create table t (n int)');
    await aBackup(at);
    await db.sql("begin; insert into t values (1); prepare transaction 'x, desc: COMMIT 2099-01-01 00:00:00 UTC'");
    await db.sql('insert into t values (2)');
    const exact = await micros('select pg_xact_commit_timestamp(xmin) from t where n = 2');
    const between = await micros('select clock_timestamp()');
    await db.sql("commit prepared 'x, desc: COMMIT 2099-01-01 00:00:00 UTC'");
    const last = await micros('select pg_xact_commit_timestamp(xmin) from t where n = 1');
    const name = await db.sql('select pg_walfile_name(pg_switch_wal())');
    await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run, cwd: db.dataDir });

    const { stdout } = await runBkp(['list', 'postgres', 'app', '--window', '--json'], at.run);
    const { windows } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { windows: { to: string }[] };
    expect(windows.map(({ to }) => to)).toEqual([last, last]);
    for (const [time, rows] of [
      [exact, '2'],
      [between, '2'],
      [last, '1,2'],
    ] as const) {
      const to = aPlace();
      const { code, stderr } = await runBkp(['restore', 'postgres', 'app', '--target-time', time, '--to', to, '--yes'], at.run);
      expect({ time, code, stderr: code === 0 ? '' : stderr }).toEqual({ time, code: 0, stderr: '' });
      const copy = await startPostgres({ version, dir: to });
      expect({ time, rows: await copy.sql("select string_agg(n::text, ',' order by n) from t") }).toEqual({ time, rows });
      await copy.destroy();
    }
  },
);
