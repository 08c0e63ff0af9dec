import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it } from '@jest/globals';
import { changed, entryOf, lastJson, type Yaml } from './change.ts';
import { INCREMENTS, manifestOf, restored, take, ZONE } from './incrementWorld.ts';
import { cleanUp, type Postgres, runBkp, startPostgres, stopBkp, tempDir, waitFor } from './rig/index.ts';
import { type Setup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

let primary: Postgres;
let standby: Postgres;
let old: Setup;
let at: Setup;

beforeEach(async () => {
  primary = await startPostgres({ version: '18', settings: { summarize_wal: 'on', wal_keep_size: '1GB' }, initdb: ['--wal-segsize=1'] });
  await primary.sql('create table t as select n, md5(n::text) as m from generate_series(1, 20000) n');
  old = await setUp(primary, { entry: INCREMENTS, top: ZONE });
});
afterEach(async () => {
  await standby.destroy();
  await primary.destroy();
});

/** A standby that follows by streaming, and the entry once it is the primary. */
async function follow(): Promise<void> {
  const dir = join(tempDir({ forServer: true }), 'data');
  const from = ['-h', primary.socketDir, '-p', String(primary.port), '-U', primary.superuser];
  await primary.asServer(primary.tool('pg_basebackup'), ['-D', dir, '-R', '--checkpoint=fast', ...from]);
  standby = await startPostgres({ version: '18', dir });
  at = await setUp(standby, { like: old, entry: { ...INCREMENTS, spool: old.spool }, top: ZONE });
}

async function caughtUp(): Promise<void> {
  const end = await primary.sql('select pg_current_wal_flush_lsn()');
  await waitFor(async () => (await standby.sql(`select pg_last_wal_replay_lsn() >= '${end}'`)) === 't', 'the standby');
}

const promote = (): Promise<string> => standby.sql('select pg_promote()');

const rowsOf = async (...args: string[]): Promise<string> => {
  const copy = await restored(at, '18', ...args);
  const rows = await copy.sql("select count(*), string_agg(m, ',' order by n) filter (where n < 0) from t");
  expect(await copy.sql('select count(*) from t a join t b on a.n = b.n and a.m = md5(a.n::text) where a.n > 0')).toBe('20000');
  await copy.destroy();
  return rows;
};
/** One more row, that says where it was written. */
const write = (db: Postgres, n: number, text: string): Promise<string> => db.sql(`insert into t values (${-n}, '${text}')`);

const listed = async (): Promise<Yaml[]> => lastJson((await runBkp(['list', 'postgres', '--json'], at.run)).stdout)['backups'];

const verifies = async (): Promise<void> => {
  const { code, stdout } = await runBkp(['verify', 'postgres', '--deep', '--json'], at.run);
  expect({ code, said: code === 0 ? '' : stdout }).toEqual({ code: 0, said: '' });
};

it('a standby that has followed since before the full one goes on with increments on its own timeline', async () => {
  await follow();
  const stream = await streamTo(old, primary);
  const full = await take(old);
  await write(primary, 1, 'old');
  const first = await take(old);
  await write(primary, 2, 'old too');
  await caughtUp();
  await primary.kill9();
  await promote();
  await stopBkp(stream, 'SIGTERM');
  const after = await streamTo(at, standby);
  await write(standby, 3, 'new');
  const second = await take(at);
  await write(standby, 4, 'newer');
  const third = await take(at);
  const last = await standby.sql("insert into t values (-5, 'last'); select pg_walfile_name(pg_current_wal_lsn())");
  await standby.sql('select pg_switch_wal()');
  await waitFor(() => at.walNames('local').includes(last), `WAL ${last}`);
  await stopBkp(after, 'SIGTERM');

  const chain = [full, first, second, third];
  const ids = chain.map(({ id }) => id as string);
  expect(chain.map(({ base, parent, warnings }) => ({ base, parent, warnings }))).toEqual([
    { base: 'full', parent: undefined, warnings: [] },
    ...ids.slice(0, 3).map(parent => ({ base: 'incremental', parent, warnings: [] })),
  ]);
  expect(ids.map(id => manifestOf(at, id).wal!.timeline)).toEqual([1, 1, 2, 2]);
  expect((await listed()).map(({ chain: members }) => members)).toEqual([undefined, ids.slice(0, 1), ids.slice(0, 2), ids.slice(0, 3)]);
  expect(await rowsOf('--from-backup', ids[1]!)).toBe('20001|old');
  expect(await rowsOf('--from-backup', ids[2]!)).toBe('20003|new,old too,old');
  expect(await rowsOf('--from-backup', ids[3]!)).toBe('20004|newer,new,old too,old');
  expect(await rowsOf('--latest')).toBe('20005|last,newer,new,old too,old');
  await verifies();
  const pruning = changed(at, config => {
    Object.assign(entryOf(config), { retention: { last: 1, daily: 0, weekly: 0, monthly: 0, wal: '1h' }, pruneShare: 100 });
  });
  const { code, stdout } = await runBkp(['prune', 'postgres', '--json'], pruning);
  expect(code).toBe(0);
  for (const { plan } of lastJson(stdout)['stores'] as Yaml[])
    expect((plan.lines as Yaml[]).map(({ id, keep }) => ({ id, keep }))).toEqual(
      expect.arrayContaining(ids.map(id => ({ id, keep: true }))),
    );
});

it('what the old primary took behind the switch is built on by nothing: a full one says so, and what follows builds on that', async () => {
  await follow();
  const full = await take(old);
  await write(primary, 1, 'old');
  await caughtUp();
  await standby.stop();
  await write(primary, 2, 'lost');
  const lost = await take(old);
  await primary.stop();
  await standby.start();
  await promote();
  await write(standby, 3, 'new');
  const next = await take(at);
  await write(standby, 4, 'newer');
  const last = await take(at);
  expect([lost, next, last].map(({ base, parent }) => [base, parent])).toEqual([
    ['incremental', full['id']],
    ['full', undefined],
    ['incremental', next['id']],
  ]);
  expect(next['warnings']).toEqual([expect.stringMatching(/^a full backup was taken although an incremental one was due: .*timeline 1/s)]);
  expect(last['warnings']).toEqual([]);
  expect(await rowsOf('--from-backup', lost['id'])).toBe('20002|lost,old');
  expect(await rowsOf('--from-backup', last['id'])).toBe('20003|newer,new,old');
  expect(await rowsOf('--from-backup', 'latest')).toBe('20003|newer,new,old');
  await verifies();
});

it('a standby that was made after the full one has no summaries back to it: a full one says so, and what follows builds on that', async () => {
  await take(old);
  for (let n = 0; n < 3; n += 1) await primary.sql('select pg_switch_wal(); checkpoint'.replace('; ', ';\n'));
  await follow();
  await write(primary, 1, 'old');
  await caughtUp();
  await primary.kill9();
  await promote();
  const next = await take(at);
  await write(standby, 2, 'new');
  const last = await take(at);
  expect([next, last].map(({ base, parent }) => [base, parent])).toEqual([
    ['full', undefined],
    ['incremental', next['id']],
  ]);
  expect(next['warnings']).toEqual([
    expect.stringMatching(/^a full backup was taken although an incremental one was due: .*summaries are required on timeline 1/s),
  ]);
  expect(await rowsOf('--from-backup', 'latest')).toBe('20002|new,old');
  await verifies();
});
