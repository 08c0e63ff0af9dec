import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { changed, entryOf, lastJson, type Yaml } from './change.ts';
import { dataIn, recordsIn, resigned, runDrill } from './drillRig.ts';
import {
  cleanUp,
  isAlive,
  type Postgres,
  type PostgresVersion,
  runBkp,
  start,
  startBkp,
  startPostgres,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { movedAway, rewritten, undoing } from './rig/undo.ts';
import { aBackup, type Setup, setUp } from './setup.ts';
import { filesIn } from './stub.ts';

afterAll(cleanUp);

const TRIED = ['unpack', 'pg_verifybackup', 'baseline', 'recovery', 'pg_amcheck', 'write', 'stop', 'pg_checksums'];

/** Ends the segment that is being written, and archives it. @returns its name */
async function archive(at: Setup, db: Postgres): Promise<string> {
  const name = await db.sql('select pg_walfile_name(pg_current_wal_insert_lsn())');
  await db.sql('select pg_switch_wal()');
  const { code, stderr } = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run, cwd: db.dataDir });
  if (code !== 0) throw new Error(stderr);
  return name;
}

/** A server with a table, and a backup of it. */
async function aSource(version: PostgresVersion): Promise<{ db: Postgres; at: Setup; id: string }> {
  const db = await startPostgres({ version, initdb: version === '15' ? ['--data-checksums'] : [], settings: { log_connections: 'on' } });
  const at = await setUp(db);
  await db.sql(`create table orders (n int primary key); insert into orders select generate_series(1, 2000);
    create table gone as select 1 as n; analyze; select pg_stat_force_next_flush()`);
  return { db, at, id: await aBackup(at) };
}

describe.each<PostgresVersion>(['15', '18'])('a drill of PostgreSQL %s', version => {
  let db: Postgres;
  let at: Setup;
  let id: string;

  beforeAll(async () => {
    ({ db, at, id } = await aSource(version));
  });

  it('DR07 DR10: brings back all that was archived, apart from the source, times it, and leaves a record and a proof', async () => {
    // What goes after the backup is no fault of it.
    const now = await db.sql("drop table gone; insert into orders values (2001); select now() at time zone 'UTC'");
    const commit = Date.parse(`${now.replace(' ', 'T')}Z`);
    await archive(at, db);
    const held = dataIn(at.stores['local']!);
    const run = changed(at, config => {
      entryOf(config)['checks'] = [
        { name: 'newest order', sql: 'select max(n) from orders', expect: 2001 },
        { sql: 'select count(*) from orders', atLeast: 2000 },
      ];
    });
    const connections = () => db.log().match(/connection received/g)?.length ?? 0;
    const before = connections();
    expect(before).toBeGreaterThan(0);
    const source = {
      PGHOST: db.socketDir,
      PGPORT: String(db.port),
      PGUSER: 'postgres',
      PGDATABASE: 'postgres',
      PGOPTIONS: '-c nonsense=1',
    };
    const { code, drill, first, failed, result } = await runDrill(['postgres'], { ...run, env: { ...run.env, ...source } });
    expect({ code, failed, result: drill.result, names: first.checks.map(({ name }) => name) }).toEqual({
      code: 0,
      failed: [],
      result: 'passed',
      names: [...TRIED.slice(0, 5), 'check: newest order', 'check: select count(*) from orders', ...TRIED.slice(5)],
    });
    expect(connections()).toBe(before);
    expect(await db.sql("select count(*), (select count(*) from pg_namespace where nspname like 'bkp%') from orders")).toBe('2001|0');
    // The newest commit came back, and it is by that what would have been lost is told.
    expect(Math.abs(Date.parse(first.recoveryPointAt!) - commit)).toBeLessThan(5000);
    expect(first.rpoSeconds).toBeCloseTo((Date.parse(drill.startedAt) - Date.parse(first.recoveryPointAt!)) / 1000, 3);
    const { fetch, restore, start, prove } = first.phases!;
    expect(Math.min(fetch, restore, start, prove)).toBeGreaterThan(0);
    expect(first.rtoSeconds).toBeCloseTo(fetch + restore + start, 2);
    expect(fetch + restore + start + prove).toBeLessThanOrEqual((Date.parse(drill.finishedAt) - Date.parse(drill.startedAt)) / 1000);
    expect(first).toMatchObject({ backup: id, store: 'local', engine: 'native', wave: 0, rpoPromisedSeconds: 900 });
    expect(drill).toMatchObject({ scope: 'postgres', env: 'production', drilledIn: 'production', tool: expect.stringMatching(/^bkp \d/) });
    expect(result['recordedIn']).toEqual(['local', 'offsite']);
    expect(recordsIn(at.stores['offsite']!, 'drills')).toEqual([
      ...['json', 'md', 'xml'].map(form => `bkp/production/drills/${drill.id}.${form}`),
      'bkp/production/drills/index.html',
    ]);
    expect(recordsIn(at.stores['local']!, 'proofs')).toEqual([`bkp/production/proofs/postgres/app/${id}.json`]);
    expect(recordsIn(at.stores['local']!, 'runs').map(path => path.split('.').at(-2))).toEqual(['done']);
    expect(dataIn(at.stores['local']!)).toEqual(held);
  });

  it('DR01: names every thing that the source had and the copy has not', async () => {
    const undo = resigned(at.stores['local']!, at.keysDir, id, ({ baseline }) => {
      const { databases, roles } = structuredClone(baseline) as Yaml;
      const { contents } = databases.postgres;
      databases.postgres.collation = 'de_DE.UTF-8';
      databases.lost = structuredClone(databases.postgres);
      Object.assign(contents, { tables: contents.tables + 1, liveRows: 900_000 });
      contents.schemas.push('accounts');
      contents.extensions.postgis = '3.4';
      return { baseline: { databases, roles: [...roles, 'clerk'] } };
    });
    const { code, failed, texts, first } = await runDrill(['postgres', 'app', '--store', 'local'], at.run);
    undo();
    expect({ code, failed, result: first.result }).toEqual({ code: 9, failed: ['baseline'], result: 'failed' });
    for (const said of [
      'database "lost" is missing',
      'database "postgres" has collation C.UTF-8, and de_DE.UTF-8 was recorded',
      'database "postgres" lacks schema "accounts"',
      /database "postgres" has 2 tables, and 3 were recorded/,
      'database "postgres" has extension postgis none, and 3.4 was recorded',
      /database "postgres" has 200\d rows, and about 900000 were recorded/,
      'role "clerk" is missing',
    ])
      expect(texts).toMatch(said);
    expect({ rto: first.rtoSeconds, rpo: first.rpoSeconds }).toEqual({ rto: undefined, rpo: undefined });
  });
});

describe('a drill of PostgreSQL that is not to pass', () => {
  let db: Postgres;
  let at: Setup;
  let id: string;

  const root = (store = 'local') => at.stores[store]!;
  const objectOf = (store: string, part: string) => join(root(store), filesIn(root(store)).find(path => path.includes(part))!);

  beforeAll(async () => {
    ({ db, at, id } = await aSource('18'));
  });

  it('each check of the config that does not hold names itself, and none of them can write', async () => {
    const run = changed(at, config => {
      entryOf(config)['checks'] = [
        { name: 'all orders', sql: 'select count(*) from orders', expect: 2000 },
        { name: 'one order', sql: 'select count(*) from orders', expect: '1' },
        { name: 'more orders', sql: 'select count(*) from orders', atLeast: 5000 },
        { name: 'no number', sql: "select 'many'", atLeast: 1 },
        { name: 'invoices', sql: 'select count(*) from invoices', atLeast: 1 },
        { name: 'a write', sql: 'delete from orders returning 1', expect: '1' },
        { name: 'elsewhere', sql: 'select 1', database: 'nowhere', expect: 1 },
      ];
    });
    const { code, failed, texts } = await runDrill(['postgres', '--store', 'local'], run);
    const names = ['one order', 'more orders', 'no number', 'invoices', 'a write', 'elsewhere'];
    expect({ code, failed }).toEqual({ code: 9, failed: names.map(name => `check: ${name}`) });
    for (const said of [
      'it is "2000", and "1" was expected',
      '2000, and at least 5000 were expected',
      'it is "many", which is no number',
      'relation "invoices" does not exist',
      'cannot execute DELETE in a read-only transaction',
      'database "nowhere" does not exist',
    ])
      expect(texts).toContain(said);
    expect(recordsIn(root(), 'proofs')).toEqual([]);
  });

  it('a hole in the archived log fails it, with the segment', async () => {
    await db.sql('insert into orders values (3001)');
    const lost = await archive(at, db);
    await db.sql('insert into orders values (3002)');
    await archive(at, db);
    const object = objectOf('local', `/${lost}-`);
    const back = movedAway(object);
    const holed = await runDrill(['postgres', '--store', 'local'], at.run);
    back();
    expect({ code: holed.code, failed: holed.failed }).toEqual({ code: 9, failed: ['recovery'] });
    expect(holed.texts).toContain(`WAL ${lost} is missing in every store although later WAL is there`);

    rewritten(object, bytes => bytes.fill(1, 300, 400));
    const bent = await runDrill(['postgres', '--store', 'local'], at.run);
    expect({ code: bent.code, failed: bent.failed }).toEqual({ code: 9, failed: ['recovery'] });
    expect(bent.texts).toContain(lost);
  });

  it('DR04: a backup that lacks an object is not begun, and no older one stands in for it', async () => {
    const newer = await aBackup(at);
    for (const store of ['local', 'offsite'])
      undoing(() => rmSync(join(root(store), 'bkp/production/postgres/app/backups', newer), { recursive: true }));
    movedAway(objectOf('local', `${newer}/base.tar`));
    const { code, first } = await runDrill(['postgres', '--store', 'local'], at.run);
    expect({ code, result: first.result, checks: first.checks, backup: first.backup }).toEqual({
      code: 9,
      result: 'failed',
      checks: [],
      backup: newer,
    });
    expect(first.skipped).toMatch(new RegExp(`^backup ${newer} cannot be restored: store local lacks .*${newer}/base\\.tar`));
    // Where a store has it whole, that one is taken, as a restore does.
    const other = await runDrill(['postgres'], at.run);
    expect({ code: other.code, store: other.first.store, backup: other.first.backup }).toEqual({
      code: 0,
      store: 'offsite',
      backup: newer,
    });
    const each = await runDrill(['postgres', '--store', 'each', '--from-backup', newer], at.run);
    expect(each.drill.targets.map(({ store, result }) => `${store} ${result}`)).toEqual(['local failed', 'offsite passed']);
    expect(each.code).toBe(9);
    const older = await runDrill(['postgres', 'app', '--from-backup', id, '--store', 'local'], at.run);
    expect({ code: older.code, backup: older.first.backup }).toEqual({ code: 0, backup: id });
  });

  it('a byte that was bent in the store fails it, and nothing is started', async () => {
    rewritten(objectOf('local', `${id}/base.tar`), bytes => bytes.fill(1, bytes.length - 500, bytes.length - 400));
    const { code, failed, first } = await runDrill(['postgres', '--store', 'local', '--random'], at.run);
    expect({ code, failed, tried: first.checks.length }).toEqual({ code: 9, failed: ['unpack'], tried: 1 });
  });

  it('without any backup, with a store that is silent, with one that is not its own: failed, and never green', async () => {
    const none = await setUp(db);
    const empty = await runDrill(['postgres'], none.run);
    expect({ code: empty.code, why: empty.first.skipped }).toEqual({
      code: 9,
      why: 'postgres/app has no good backup in local, offsite',
    });
    expect(empty.drill.result).toBe('failed');
    const apart = changed(at, config => {
      const { production } = config['environments'];
      production.stores.moon = { ...production.stores.local, path: tempDir() };
      production.postgres.app.stores = ['local'];
    });
    const wrong = await runDrill(['postgres', '--store', 'moon'], apart);
    expect({ code: wrong.code, why: wrong.first.skipped }).toEqual({ code: 9, why: 'postgres/app has no store moon; it has: local' });
    const away = changed(at, config => {
      config['environments'].production.stores.local.path = '/nowhere/at/all';
    });
    const silent = await runDrill(['postgres', '--store', 'each'], away);
    expect(silent.drill.targets.map(({ store, result }) => `${store} ${result}`)).toEqual(['local failed', 'offsite passed']);
    expect(silent.drill.targets[0]!.skipped).toContain('/nowhere/at/all');
    expect(silent.code).toBe(9);
  });

  it('EK15: on a host that lacks what a restore needs it says what, and is no success', async () => {
    const blind = changed(at, config => {
      delete config['keys'].identity;
    });
    const ran = recordsIn(root(), 'runs').length;
    const { code, first, drill } = await runDrill(['postgres', '--store', 'local'], blind);
    expect({ code, result: drill.result, checks: first.checks }).toMatchObject({
      code: 3,
      result: 'unproven',
      checks: [{ name: 'preflight', state: 'unproven', text: expect.stringContaining('keys.identity') }],
    });
    // Neither a success nor a failure: the newest run on record is the one before.
    expect(recordsIn(root(), 'runs')).toHaveLength(ran);
    const unsigned = changed(at, config => {
      delete config['keys'].signing;
    });
    const kept = await runDrill(['postgres', '--store', 'local'], unsigned);
    expect({ code: kept.code, recordedIn: kept.result['recordedIn'] }).toEqual({ code: 0, recordedIn: [] });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('%s in the middle: nothing runs on, nothing is left, and nothing is on record', async signal => {
    const temp = tempDir();
    const before = ['local', 'offsite'].map(store => filesIn(root(store)));
    const child = startBkp(['drill', 'postgres'], { ...at.run, env: { ...at.run.env, TMPDIR: temp } });
    const pids = () =>
      readdirSync(temp)
        .map(name => join(temp, name, 'tmp/data/postmaster.pid'))
        .filter(existsSync);
    const pid = await waitFor(() => pids().length > 0 && Number(readFileSync(pids()[0]!, 'utf8').split('\n')[0]), 'the server');
    child.kill(signal);
    expect((await child.ended).code).toBe(signal === 'SIGTERM' ? 143 : 130);
    expect({ alive: isAlive(pid), left: readdirSync(temp) }).toEqual({ alive: false, left: [] });
    expect(['local', 'offsite'].map(store => filesIn(root(store)))).toEqual(before);
  });

  it("staging tries production's backups, and production's stores have the record", async () => {
    const run = changed(at, config => {
      const { production } = config['environments'];
      config['environments'].staging = {
        restoresFrom: 'production',
        stores: { own: { type: 'directory', path: tempDir() } },
        postgres: { app: { ...production.postgres.app, rpo: '5m' } },
      };
    });
    const { code, drill, first } = await runDrill(['postgres', '--env', 'staging'], run);
    expect({ code, env: drill.env, drilledIn: drill.drilledIn, store: first.store, rpo: first.rpoPromisedSeconds }).toEqual({
      code: 0,
      env: 'production',
      drilledIn: 'staging',
      store: 'local',
      rpo: 900,
    });
    expect(recordsIn(root(), 'drills')).toContain(`bkp/production/drills/${drill.id}.json`);
  });

  it('status tells of the last drill, and is red once one is overdue or failed', async () => {
    const asked = (every?: string) =>
      changed(at, config => {
        if (every) config['environments'].production.drills = { every };
      });
    const status = async (run: Setup['run']) => {
      const { code, stdout } = await runBkp(['status', 'postgres', '--json'], run);
      return { code, drills: lastJson(stdout)['drills'] as Yaml };
    };
    const good = await runDrill(['postgres', '--store', 'local'], at.run);
    expect((await status(asked())).drills).toMatchObject({ state: 'ok', why: [], last: { id: good.drill.id, result: 'passed' } });
    expect((await status(asked('1d'))).drills).toMatchObject({ state: 'ok', everySeconds: 86_400 });
    const late = await status(asked('1ms'));
    expect(late).toMatchObject({ code: 10, drills: { state: 'late', why: [{ state: 'late' }] } });
    expect(late.drills['why'][0].text).toMatch(/^postgres\/app is to be drilled every .*: the last good drill was .*ago/);
    const undo = resigned(root(), at.keysDir, id, () => ({ baseline: { databases: { lost: {} }, roles: [] } }));
    const bad = await runDrill(['postgres', '--store', 'local'], at.run);
    undo();
    const failing = await status(asked('1d'));
    expect(failing).toMatchObject({ code: 10, drills: { state: 'failing', last: { id: bad.drill.id, failed: ['postgres/app'] } } });
    const { stdout } = await runBkp(['status', 'postgres'], asked('1d'));
    expect(stdout).toMatch(/^last drill: postgres in production, failed, /m);
    expect(stdout).toMatch(new RegExp(`^failing  drills: the last drill \\(postgres, ${bad.drill.id}\\) failed .*: postgres/app$`, 'm'));
  });
});

it('a copy that lets nobody in at the end of the backup is compared later, and what may have changed since is no fault', async () => {
  const { db, at } = await aSource('18');
  const session = start(db.tool('psql'), ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', '-'], { env: db.superEnv, keepInput: true });
  const many = Array.from({ length: 80 }, (_, n) => `savepoint s${n}; insert into busy values (${n});`).join('\n');
  session.process.stdin!.write(`create table busy (n int);\nbegin;\n${many}\nselect 'ready';\n`);
  await waitFor(() => session.output().stdout.includes('ready'), 'the transaction');
  const made = await aBackup(at);
  session.process.stdin!.end('commit;\n');
  await session.ended;
  const good = await runDrill(['postgres', '--store', 'local'], at.run);
  const gone = resigned(at.stores['local']!, at.keysDir, made, ({ baseline }) => ({ baseline: { ...baseline, roles: ['clerk'] } }));
  const other = await runDrill(['postgres', '--store', 'local'], at.run);
  gone();
  expect({ code: good.code, names: good.first.checks.map(({ name }) => name).slice(2, 4) }).toEqual({
    code: 0,
    names: ['recovery', 'baseline'],
  });
  expect({ code: other.code, checks: other.first.checks }).toMatchObject({
    code: 3,
    checks: expect.arrayContaining([
      {
        name: 'baseline',
        state: 'unproven',
        text: 'after all was replayed, role "clerk" is missing',
        mend: expect.any(String),
        seconds: expect.any(Number),
      },
    ]),
  });
});
