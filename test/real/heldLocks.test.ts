import { afterAll, expect, it } from '@jest/globals';
import { type Drilled, runDrill } from './drillRig.ts';
import { start } from './rig/child.ts';
import { cleanUp, type PostgresVersion, runBkp, startPostgres } from './rig/index.ts';
import { waitFor } from './rig/wait.ts';
import { aBackup, aPlace, setUp } from './setup.ts';

afterAll(cleanUp);

const TABLES = 'create table t as select generate_series(1, 1000) as n; create table u as select generate_series(1, 1000) as n; analyze;\n';
/** What failed, or could not be proven. */
const bad = ({ first }: Drilled) => first.checks.filter(({ state }) => state === 'fail' || state === 'unproven');

const LOCKED = "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and relation = 't'::regclass";

it.each<PostgresVersion>(['15', '18'])(
  'PostgreSQL %s with a prepared transaction that locks a table comes through its proofs, and is told',
  async version => {
    const db = await startPostgres({ version, settings: { max_prepared_transactions: '5' } });
    const at = await setUp(db);
    await db.sql(`${TABLES}begin; truncate t; prepare transaction 'o''dd "one"'`);
    await aBackup(at);
    const drilled = await runDrill(['postgres'], at.run);
    expect({ code: drilled.code, bad: bad(drilled) }).toEqual({ code: 0, bad: [] });
    expect(drilled.first.checks.find(({ name }) => name === 'prepared transactions')).toMatchObject({
      state: 'note',
      text: expect.stringMatching(/^1 came along/),
    });
    expect((await runBkp(['verify', 'postgres', '--deep'], at.run)).code).toBe(0);
    const to = aPlace();
    const { code, stdout } = await runBkp(['restore', 'postgres', '--to', to, '--yes', '--latest'], at.run);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining('1 prepared transaction(s) came back and hold their locks'),
    });
    const copy = await startPostgres({ version, dir: to });
    await copy.sql(`commit prepared 'o''dd "one"'`);
    expect(await copy.sql('select (select count(*) from t), (select count(*) from u)')).toBe('0|1000');
  },
);

it.each<PostgresVersion>(['15', '18'])(
  'PostgreSQL %s at whose table somebody was when the backup ended comes through its drill',
  async version => {
    const db = await startPostgres({ version });
    const at = await setUp(db);
    await db.sql(TABLES);
    const session = start(db.tool('psql'), ['-Xq', '-d', 'postgres'], { env: db.superEnv, keepInput: true });
    session.process.stdin!.write('begin; alter table t add column more int; insert into u values (1);\n');
    await waitFor(async () => (await db.sql(LOCKED)) === '1', 'the lock');
    await aBackup(at);
    const drilled = await runDrill(['postgres'], at.run);
    session.process.stdin!.end();
    await session.ended;
    expect({ code: drilled.code, bad: bad(drilled) }).toEqual({ code: 0, bad: [] });
  },
);
