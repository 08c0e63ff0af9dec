import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { runDrill } from './drillRig.ts';
import { cleanUp, type Postgres, type PostgresVersion, runBkp, startPostgres } from './rig/index.ts';
import { aBackup, aPlace, setUp } from './setup.ts';

afterAll(cleanUp);

/** The role of backups may look into every database. */
async function opened(version: PostgresVersion, initdb: readonly string[]): Promise<Postgres> {
  const db = await startPostgres({ version, initdb });
  appendFileSync(join(db.dataDir, 'pg_hba.conf'), 'host all bkp 127.0.0.1/32 scram-sha-256\n');
  await db.sql('select pg_reload_conf()');
  return db;
}

const ROWS = 'create table t as select generate_series(1, 300) as n; analyze;\n';
/** An e with an acute accent, an apostrophe, a backslash, quotes and an equals sign: one byte of it is no UTF-8. */
const NAME = `convert_from('\\x636166e9275c22793d7a'::bytea, 'SQL_ASCII')`;

/** Backs up, and what the baseline says, of a backup and of its copy, is the same: nothing failed, nothing was passed over. */
async function provenWhole(db: Postgres, rows: number): Promise<void> {
  const at = await setUp(db);
  await aBackup(at);
  const { code, first } = await runDrill(['postgres'], at.run);
  expect({ code, bad: first.checks.filter(({ state }) => state === 'fail' || state === 'unproven') }).toEqual({ code: 0, bad: [] });
  const found = first.checks.find(({ name }) => name === 'baseline')?.text;
  expect(found).toContain(`with ${rows} rows`);
  expect(found).not.toContain('could not be looked into');
  const { code: restored, stderr } = await runBkp(['restore', 'postgres', '--to', aPlace(), '--yes', '--latest'], at.run);
  expect({ restored, warnings: stderr.match(/^(warning|bkp:).*/gm) }).toEqual({ restored: 0, warnings: null });
}

it.each<PostgresVersion>(['15', '18'])(
  'PostgreSQL %s of SQL_ASCII, with names in no UTF-8, is backed up and proven whole',
  async version => {
    const db = await opened(version, ['-E', 'SQL_ASCII', '--locale=C']);
    await db.sql(
      `select format('create role %I', ${NAME}), format('create schema %I', ${NAME}), format('create database %I', ${NAME}) \\gexec\n${ROWS}`,
    );
    await db.sql(`select format('set search_path = %I', ${NAME}) \\gexec\n${ROWS}`);
    await provenWhole(db, 600);
  },
);

it.each<PostgresVersion>(['15', '18'])(
  'PostgreSQL %s with a database whose name is in its own encoding is proven whole, beside one whose name looks like it',
  async version => {
    const db = await opened(version, []);
    await db.sql(`create database lat encoding 'LATIN1' locale 'C' template template0;\ncreate database caf;`);
    await db.sql(ROWS);
    await db.sql(ROWS, 'lat');
    await db.sql(
      `select format('create database %I encoding ''LATIN1'' locale ''C'' template template0', 'caf' || chr(233)) \\gexec`,
      'lat',
    );
    await provenWhole(db, 600);
  },
);

it.each<PostgresVersion>(['15', '18'])('PostgreSQL %s with a database that a DROP DATABASE left half there is proven', async version => {
  const db = await opened(version, []);
  await db.sql('create database gone');
  await db.sql("update pg_database set datconnlimit = -2 where datname = 'gone'");
  const at = await setUp(db);
  await aBackup(at);
  const { code, first } = await runDrill(['postgres'], at.run);
  expect({ code, bad: first.checks.filter(({ state }) => state === 'fail' || state === 'unproven') }).toEqual({ code: 0, bad: [] });
  expect(first.checks.filter(({ name }) => name === 'collation').map(({ text }) => text)).toEqual([]);
});
