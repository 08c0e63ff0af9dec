import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runDrill } from './drillRig.ts';
import { cleanUp, type Postgres, type PostgresVersion, run, runBkp, startPostgres, stopBkp, waitFor } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

/** What an administrator changed with ALTER SYSTEM: it comes along in postgresql.auto.conf, and max_connections does not. */
const SYSTEM = {
  superuser_reserved_connections: '150',
  recovery_min_apply_delay: '1h',
  unix_socket_permissions: '0000',
  log_error_verbosity: 'verbose',
};

/** What a role brings along into each of its sessions. */
const SESSION = {
  role: 'reader',
  default_transaction_isolation: 'serializable',
  idle_session_timeout: '1ms',
  DateStyle: 'German',
};

const each = (settings: Record<string, string>, line: (name: string, value: string) => string): string =>
  Object.entries(settings)
    .map(([name, value]) => `${line(name, value)};\n`)
    .join('');

/** Asks as the superuser, without what the role and the database bring along. */
async function ask(db: Postgres, statement: string): Promise<string> {
  const settings = {
    ...SESSION,
    role: 'none',
    idle_session_timeout: '0',
    search_path: 'public',
    default_transaction_isolation: 'read\\ committed',
  };
  const PGOPTIONS = each(settings, (name, value) => `-c ${name}=${value}`).replaceAll(';\n', ' ');
  const { stdout } = await run(db.tool('psql'), ['-XqAt', '-d', 'postgres', '-c', statement], { env: { ...db.superEnv, PGOPTIONS } });
  return stdout.trim();
}

/** An owner of a database who would be more: on whoever asks there for a table of the catalog, this becomes a superuser. */
const GRABBING = `create role owner login; create schema own authorization owner; alter database postgres owner to owner;
set role owner;
create function own.grab() returns boolean language plpgsql as $$
  begin execute 'alter role owner superuser'; return true; exception when others then return true; end $$;
create view own.pg_namespace as select oid, nspname from pg_catalog.pg_namespace where own.grab();
create view own.pg_database as select *, oid from pg_catalog.pg_database where own.grab();
create view own.pg_class as select *, oid from pg_catalog.pg_class where own.grab();
alter database postgres set search_path = own, public, pg_catalog;
reset role;
`;

describe.each<PostgresVersion>(['15', '18'])(
  'PostgreSQL %s whose administrator, roles and databases have settings of their own',
  version => {
    let db: Postgres;
    let at: Setup;

    beforeAll(async () => {
      db = await startPostgres({ version, settings: { max_connections: '300' } });
      at = await setUp(db, { entry: { checks: [{ sql: 'select count(*) from orders', expect: '500' }] } });
      await db.sql(`create table orders as select generate_series(1, 500) as n; analyze; create role reader; create database "two
lines"; ${GRABBING.replaceAll('select *, oid from', 'select * from')}`);
      await db.sql(each(SYSTEM, (name, value) => `alter system set ${name} = '${value}'`));
      await db.sql(
        each({ idle_session_timeout: '1ms', search_path: 'nowhere' }, (name, value) => `alter role bkp set ${name} = '${value}'`),
      );
      await db.sql(each(SESSION, (name, value) => `alter role postgres set ${name} = '${value}'`));
      await aBackup(at);
      const name = await ask(db, 'select pg_walfile_name(pg_current_wal_insert_lsn())');
      await ask(db, 'create table later as select 1 as n');
      await ask(db, 'select pg_switch_wal()');
      const { code, stderr } = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run, cwd: db.dataDir });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    });

    it('is restored and served to the end of what was archived, and no owner of a database became more by it', async () => {
      const to = aPlace();
      const { code, stderr } = await runBkp(['restore', 'postgres', '--to', to, '--yes', '--latest'], at.run);
      expect({ code, warnings: stderr.match(/^(warning|bkp:).*/gm) }).toEqual({ code: 0, warnings: null });
      const copy = await startPostgres({ version, dir: to, settings: { max_connections: '300', unix_socket_permissions: '0777' } });
      expect(await ask(copy, "select rolsuper, (select count(*) from later) from pg_catalog.pg_roles where rolname = 'owner'")).toBe('f|1');
    });

    it('passes its drill, whose own checks see what they would in their database', async () => {
      const { code, failed, first } = await runDrill(['postgres'], at.run);
      expect({ code, failed, unproven: first.checks.filter(({ state }) => state === 'unproven') }).toEqual({
        code: 0,
        failed: [],
        unproven: [],
      });
    });
  },
);

it.each<PostgresVersion>(['15', '18'])('PostgreSQL %s that sets aside more memory than this host has comes back', async version => {
  const db = await startPostgres({ version });
  const at = await setUp(db);
  await db.sql("alter system set min_dynamic_shared_memory = '4TB'");
  await db.sql("alter system set shared_buffers = '4TB'");
  await aBackup(at);
  const { code, stderr } = await runBkp(['restore', 'postgres', '--to', aPlace(), '--yes', '--latest'], at.run);
  expect({ code, said: stderr.match(/^bkp:.*/gm) }).toEqual({ code: 0, said: null });
});

it.each<PostgresVersion>(['15', '18'])(
  'PostgreSQL %s that ran with wal_level minimal for a while: told with what can be had, and a time before comes back',
  async version => {
    const db = await startPostgres({ version });
    const at = await setUp(db);
    await db.sql('create table t (n int)');
    await aBackup(at);
    await db.sql('insert into t values (1)');
    const before = await db.sql(`select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
    await db.sql('insert into t values (2)');
    const first = await db.sql('select pg_walfile_name(pg_current_wal_lsn())');
    db.configure({ wal_level: 'minimal', max_wal_senders: '0' });
    await db.restart();
    await db.sql('create table bulk as select 1 as n');
    db.configure({ wal_level: 'replica', max_wal_senders: '10' });
    await db.restart();
    const last = await db.sql('select pg_walfile_name(pg_switch_wal())');
    expect(last).toBe(first);
    expect((await runBkp(['wal', 'push', 'app', last, join('pg_wal', last)], { ...at.run, cwd: db.dataDir })).code).toBe(0);

    const late = await runBkp(['restore', 'postgres', '--to', aPlace(), '--yes', '--latest'], at.run);
    expect(late.code).toBe(1);
    expect(late.stderr).toMatch(/wal_level="?minimal[\s\S]*→ what came after that[\s\S]*→ up to then: --target-time/);
    const to = aPlace();
    const { code, stderr } = await runBkp(['restore', 'postgres', '--to', to, '--yes', '--target-time', before], at.run);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const copy = await startPostgres({ version, dir: to });
    expect(await copy.sql('select n from t')).toBe('1');
  },
);

it.each<PostgresVersion>(['15', '18'])(
  'PostgreSQL %s with a tablespace in place, which pg_basebackup loses: no backup, and doctor says why',
  async version => {
    const db = await startPostgres({ version });
    const at = await setUp(db);
    await db.sql("set allow_in_place_tablespaces = on; create tablespace odd location ''; create table t tablespace odd as select 1 as n");
    const { code, stderr } = await runBkp(['backup', 'postgres', 'app'], at.run);
    expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringContaining('tablespace odd lies in pg_tblspc itself') });
    expect((await runBkp(['doctor', 'postgres'], at.run)).stdout).toMatch(/^FAIL +tablespaces: odd lies in pg_tblspc itself/m);
  },
);

it('a server that gives up slots nobody uses keeps that of a quiet stream, and doctor tells of the limit', async () => {
  const db = await startPostgres({ version: '18', settings: { idle_replication_slot_timeout: '8s' } });
  const at = await setUp(db, { entry: { wal: { heartbeat: 'off' } } });
  const stream = await streamTo(at, db);
  const used = async (): Promise<string[]> => (await db.sql('select restart_lsn, inactive_since from pg_replication_slots')).split('|');
  const [position, since] = await used();
  await waitFor(async () => (await used())[1] !== since, 'the slot to be used');
  expect((await used())[0]).toBe(position);
  expect((await runBkp(['doctor', 'postgres'], at.run)).stdout).toMatch(/^WARN +idle_replication_slot_timeout: 8 s: /m);
  await stopBkp(stream, 'SIGTERM');
  expect(stream.output().stderr).not.toMatch(/^warning/m);
});
