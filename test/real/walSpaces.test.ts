import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { suspectSpaces } from '../../src/core/postgres/spaceRecord.ts';
import { refuseNewSpaces } from '../../src/providers/targets/postgres/walSpaces.ts';
import { systemRunner } from '../../src/system/runner.ts';
import { cleanUp, type Postgres, type PostgresVersion, startPostgres, tempDir } from './rig/index.ts';

afterAll(cleanUp);

const SEGMENT = 1024 * 1024;
const CREATED = /lsn: (\S+),.*desc: CREATE \d+ "/g;

const start = (version: PostgresVersion): Promise<Postgres> =>
  startPostgres({
    version,
    initdb: ['--wal-segsize=1'],
    settings: { autovacuum: 'off', full_page_writes: 'off', wal_keep_size: '200MB', max_wal_size: '1GB', checkpoint_timeout: '1h' },
  });

const nameOf = (number: number): string =>
  `00000001${(0).toString(16).padStart(8, '0')}${number.toString(16).toUpperCase().padStart(8, '0')}`;
const bytesOf = (db: Postgres, name: string): Buffer => readFileSync(join(db.dataDir, 'pg_wal', name));
const insertAt = async (db: Postgres): Promise<number> => Number(await db.sql("select pg_current_wal_insert_lsn() - '0/0'"));

/** Byte positions of the creations that pg_waldump shows from one segment to another. */
function shown(db: Postgres, from: string, to = from): number[] {
  const args = ['-r', 'Tablespace', '-p', join(db.dataDir, 'pg_wal'), from, to];
  const { stdout } = spawnSync(db.tool('pg_waldump'), args, { encoding: 'utf8' });
  return [...stdout.matchAll(CREATED)].map(([, lsn]) => Number.parseInt(lsn!.split('/')[1]!, 16));
}

function lookerAt(db: Postgres, segments: readonly string[]) {
  const ctx = { run: systemRunner, signal: new AbortController().signal };
  const place = { dir: tempDir(), tools: { path: (file: string) => db.tool(file) } };
  const look = refuseNewSpaces(ctx as never, place as never, segments, async name => bytesOf(db, name));
  return (name: string): Promise<void> => look(name, bytesOf(db, name));
}

/** Writes so many bytes of WAL as messages; what is added to each is found out by one of them. */
async function pad(db: Postgres, to: number): Promise<void> {
  const emit = (bytes: number): Promise<string> => db.sql(`select pg_logical_emit_message(false, 'p', repeat('x', ${bytes}))`);
  for (let left = to - (await insertAt(db)); left > 6000; left = to - (await insertAt(db))) await emit(Math.min(left - 4000, 100_000));
  const before = await insertAt(db);
  await emit(1000);
  const after = await insertAt(db);
  const last = to - after - (after - before - 1000);
  if (last >= 300) await emit(last);
}

/** Creates a tablespace whose record begins `left` bytes before the end of a segment. @returns the segment's name */
async function createAtEnd(db: Postgres, dir: string, left: number): Promise<string> {
  for (let distance = 200; ; ) {
    const end = (Math.floor((await insertAt(db)) / SEGMENT) + 2) * SEGMENT;
    await pad(db, end - left - distance);
    const from = await insertAt(db);
    // pg_waldump wants the last file that it is told of to be there.
    await db.sql(`create tablespace later location '${dir}'; select pg_switch_wal(); select pg_logical_emit_message(true, 'p', 'x')`);
    const first = end / SEGMENT - 1;
    const at = shown(db, nameOf(first), nameOf(first + 1))[0]!;
    if (at === end - left) return nameOf(first);
    // Behind the end there is a page's header between.
    distance = at - from - (at >= end ? 40 : 0);
    await db.sql('drop tablespace later');
  }
}

it.each<[PostgresVersion, number]>([
  ['15', 8],
  ['15', 16],
  ['15', 24],
  ['18', 8],
  ['18', 40],
])(
  'the record of a new tablespace of PostgreSQL %s with %i bytes before the end of a segment is seen, though none shows it alone',
  async (version, left) => {
    const db = await start(version);
    const dir = tempDir({ forServer: true });
    const first = await createAtEnd(db, dir, left);
    const next = nameOf(Number.parseInt(first.slice(16), 16) + 1);
    await db.sql('select pg_switch_wal()');
    expect([shown(db, first), shown(db, next)]).toEqual([[], []]);
    const look = lookerAt(db, [first, next]);
    const refused = (await Promise.allSettled([look(first), look(next)])).map(result =>
      result.status === 'rejected' ? String(result.reason) : '',
    );
    expect(refused.join('')).toContain(`creates a tablespace in ${dir}`);
    await db.destroy();
  },
);

it('one in the midst of a segment is seen; what only drops or names one passes, and ordinary WAL is not even suspect', async () => {
  const db = await start('15');
  const dir = tempDir({ forServer: true });
  const segment = (): Promise<string> => db.sql('select pg_walfile_name(pg_current_wal_insert_lsn())');
  await db.sql('create table t (a bigint, b int, c text); create index on t (b); select pg_switch_wal()');
  const from = Number.parseInt((await segment()).slice(16), 16);
  await db.sql("insert into t select n, n, md5(n::text) from generate_series(1, 20000) n; update t set c = 'x' where b % 7 = 0");
  const to = Number.parseInt((await segment()).slice(16), 16);
  const ordinary = Array.from({ length: to - from }, (_, n) => nameOf(from + n));
  expect(ordinary.length).toBeGreaterThan(2);
  expect(ordinary.filter(name => suspectSpaces(bytesOf(db, name)) !== undefined)).toEqual([]);
  await db.sql('select pg_switch_wal()');
  const created = await segment();
  await db.sql(`create tablespace later location '${dir}'; select pg_switch_wal()`);
  const dropped = await segment();
  await db.sql('alter tablespace later rename to never; drop tablespace never; select pg_switch_wal()');
  const look = lookerAt(db, [created, dropped]);
  await expect(look(created)).rejects.toThrow(`creates a tablespace in ${dir}`);
  await expect(look(dropped)).resolves.toBeUndefined();
  await db.destroy();
});
