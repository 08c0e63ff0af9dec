import { existsSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { lastJson } from './change.ts';
import { cleanUp, type Postgres, type PostgresVersion, runBkp, startPostgres, tempDir } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

describe.each<PostgresVersion>(['15', '18'])('tablespaces of PostgreSQL %s', version => {
  let db: Postgres;
  let at: Setup;
  let id: string;
  const there: Record<string, string> = {};

  const restore = (to: string, ...args: string[]) => runBkp(['restore', 'postgres', 'app', '--to', to, '--yes', '--json', ...args], at.run);
  const mapped = (fast: string, cold: string): string[] => ['--tablespace', `${there['fast']}=${fast}`, '--tablespace', `cold=${cold}`];

  beforeAll(async () => {
    db = await startPostgres({ version });
    at = await setUp(db);
    for (const name of ['fast', 'cold']) {
      there[name] = join(tempDir({ forServer: true }), `the ${name} one`);
      await db.sql(
        `copy (select 1) to program 'cat > /dev/null; mkdir -m 700 "${there[name]}"'; create tablespace ${name} location '${there[name]}'`,
      );
      await db.sql(`create table in_${name} tablespace ${name} as select n, md5(n::text) as m from generate_series(1, 5000) n`);
    }
    id = await aBackup(at);
    await db.sql(`insert into in_fast values (5001, 'late'); select pg_switch_wal()`);
  });

  it('are backed up, a stream each, and come back to new places; the originals are not touched', async () => {
    const before = Object.values(there).map(dir => readdirSync(dir, { recursive: true }).length);
    const [to, fast, cold] = [aPlace(), aPlace(), aPlace()];
    const { code, stdout, stderr } = await restore(to, '--from-backup', id, ...mapped(fast, cold));
    expect({ code, said: code === 0 ? '' : stderr }).toEqual({ code: 0, said: '' });
    expect(lastJson(stdout)['facts'].tablespaces).toEqual({ fast, cold });
    const links = readdirSync(join(to, 'pg_tblspc')).map(oid => readlinkSync(join(to, 'pg_tblspc', oid)));
    expect(links.sort()).toEqual([fast, cold].sort());
    expect(existsSync(join(fast, 'BKP_RESTORE_INCOMPLETE'))).toBe(false);
    await db.sql('drop table if exists gone');
    const copy = await startPostgres({ version, dir: to });
    expect(await copy.sql('select (select count(*) from in_fast), (select count(*) from in_cold)')).toBe('5000|5000');
    await copy.sql("insert into in_cold values (0, 'only in the copy')");
    expect(await db.sql('select count(*) from in_cold')).toBe('5000');
    await copy.destroy();
    expect(Object.values(there).map(dir => readdirSync(dir, { recursive: true }).length)).toEqual(before);
  });

  it('without a place for each it is refused before anything changes, and says what to type', async () => {
    const to = aPlace();
    const none = await restore(to, '--from-backup', id);
    expect(none.code).toBe(4);
    expect(none.stderr).toContain(`--tablespace '${there['fast']}=NEW' --tablespace '${there['cold']}=NEW'`);
    const half = await restore(to, '--from-backup', id, '--tablespace', `fast=${aPlace()}`);
    expect(half.code).toBe(4);
    expect(half.stderr).toContain(`cold in ${there['cold']}`);
    expect(existsSync(to)).toBe(false);
  });

  it.each([
    ["the original's own place", (_: string) => [`fast=${there['fast']}`, `cold=${aPlace()}`], /never writes to/],
    ["another original's place", (_: string) => [`fast=${there['cold']}/x`, `cold=${aPlace()}`], /never writes to/],
    ['a place in the data directory', (to: string) => [`fast=${to}/fast`, `cold=${aPlace()}`], /lies in the data directory/],
    ['a relative one', (_: string) => ['fast=somewhere', `cold=${aPlace()}`], /no absolute path/],
    ['one that is not in the backup', (_: string) => [`fast=${aPlace()}`, `cold=${aPlace()}`, `warm=${aPlace()}`], /no tablespace warm/],
    ['no pair', (_: string) => ['fast'], /OLD=NEW/],
  ])('refuses %s', async (_, spaces, words) => {
    const to = aPlace();
    const run = await restore(to, '--from-backup', id, ...spaces(to).flatMap(each => ['--tablespace', each]));
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(words);
    expect(existsSync(to)).toBe(false);
  });

  it('a place that holds something is refused, and moved aside when forced', async () => {
    const [to, cold, full] = [aPlace(), aPlace(), aPlace()];
    mkdirSync(full);
    writeFileSync(join(full, 'mine'), 'x');
    const refused = await restore(to, '--from-backup', id, ...mapped(full, cold));
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain(full);
    expect(existsSync(to)).toBe(false);
    const forced = await restore(to, '--from-backup', id, '--force', ...mapped(full, cold));
    expect(forced.code).toBe(0);
    const aside = (lastJson(forced.stdout)['next'] as string[]).find(line => line.includes(`${full}.before-`))!;
    expect(readdirSync(aside.split(' is in ')[1]!)).toEqual(['mine']);
  });

  it.each([
    [
      "a link to the original's own place",
      (link: string) => [aPlace(), `fast=${link}`, `cold=${aPlace()}`],
      2,
      /leads to .* own place of tablespace fast/,
    ],
    [
      "the original's own place, for the data directory",
      () => [there['fast']!, `fast=${aPlace()}`, `cold=${aPlace()}`],
      4,
      /the server that runs in .* has a tablespace/,
    ],
  ] as const)('nothing of a running server is moved aside, though forced: %s', async (_, places, code, words) => {
    const link = join(tempDir({ forServer: true }), 'link');
    symlinkSync(there['fast']!, link);
    const [to, ...spaces] = places(link);
    const run = await restore(to!, '--from-backup', id, '--force', ...spaces.flatMap(each => ['--tablespace', each]));
    expect(run.code).toBe(code);
    expect(run.stderr).toMatch(words);
    await db.sql("update in_fast set m = 'still here' where n = 1");
    expect(await db.sql('select count(*) from in_fast')).toBe('5001');
    expect(readdirSync(join(there['fast']!, '..'))).toEqual(['the fast one']);
  });

  it('one that is created later in the WAL is not replayed onto the original, which stays as it is', async () => {
    const place = tempDir({ forServer: true });
    await db.sql(`create tablespace later location '${place}'`);
    const name = await db.sql(`create table in_later tablespace later as select 1 as n; select pg_walfile_name(pg_switch_wal() - 1)`);
    for (const each of readdirSync(join(db.dataDir, 'pg_wal')).filter(file => /^[0-9A-F]{24}$/.test(file) && file <= name))
      expect((await runBkp(['wal', 'push', 'app', each, join('pg_wal', each)], { ...at.run, cwd: db.dataDir })).code).toBe(0);
    const before = readdirSync(place, { recursive: true }).sort();
    const to = aPlace();
    const run = await restore(to, '--from-backup', id, '--latest', ...mapped(aPlace(), aPlace()));
    expect(run.code).toBe(1);
    expect(run.stderr).toContain(`creates a tablespace in ${place}`);
    expect(existsSync(join(to, 'BKP_RESTORE_INCOMPLETE'))).toBe(true);
    expect(readdirSync(place, { recursive: true }).sort()).toEqual(before);
    await db.sql('update in_later set n = 2');
    expect(await db.sql('select n from in_later')).toBe('2');
    await db.sql('drop table in_later');
    await db.sql('drop tablespace later');
  });

  it('verify --deep restores and proves them too', async () => {
    const { code, stdout } = await runBkp(['verify', 'postgres', 'app', '--deep', '--from', 'local', '--json'], at.run);
    const [store] = lastJson(stdout)['stores'];
    expect({ code, failing: (store.proof?.checks ?? []).filter((check: { state: string }) => check.state !== 'ok') }).toEqual({
      code: 0,
      failing: expect.not.arrayContaining([expect.objectContaining({ state: 'fail' })]),
    });
    expect(store.proof.backup).toBe(id);
  });
});

it('WAL of a running server that lies apart is not moved aside, though forced, nor what is around it', async () => {
  const wal = join(tempDir({ forServer: true }), 'wal');
  const db = await startPostgres({ version: '15', initdb: [`--waldir=${wal}`] });
  const at = await setUp(db);
  await aBackup(at);
  for (const to of [wal, join(wal, '..')]) {
    const run = await runBkp(['restore', 'postgres', 'app', '--from-backup', 'latest', '--to', to, '--yes', '--force'], at.run);
    expect(run.code).toBe(4);
    expect(run.stderr).toContain(`the server that runs in ${db.dataDir} (pid ${db.pid}) has its WAL`);
  }
  await db.sql('select pg_switch_wal(); create table t as select 1');
  expect(existsSync(join(wal, 'archive_status'))).toBe(true);
});
