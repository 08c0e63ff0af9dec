import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { publicText, signingKey, signingText } from '../../src/flow/keys.ts';
import { changed, entryOf } from './change.ts';
import { folderOf, INCREMENTS, restored, take, ZONE } from './incrementWorld.ts';
import { cleanUp, type Postgres, startPostgres, waitFor } from './rig/index.ts';
import { type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

const DUE = 'a full backup was taken although an incremental one was due: ';

/** A full backup it is, and this is the only warning. */
const fullBecause = (why: RegExp) => ({
  base: 'full',
  exit: 'done',
  warnings: [expect.stringMatching(new RegExp(`^${DUE}.*${why.source}`, 's'))],
});

const setting = async (db: Postgres, sql: string, name: string, value: string): Promise<void> => {
  await db.sql(`alter system ${sql}`);
  await db.sql('select pg_reload_conf()');
  await waitFor(async () => (await db.sql(`show ${name}`)) === value, `${name} to be ${value}`);
};

describe('whatever keeps PostgreSQL 18 from an increment, a full backup is taken and says why', () => {
  let db: Postgres;
  let at: Setup;
  const own = (id: string, store: string): string => join(folderOf(at, id, store), 'backup_manifest.own.sealed.000');

  it('without its conditions, one after the other', async () => {
    db = await startPostgres({
      version: '18',
      settings: { summarize_wal: 'off', wal_keep_size: '0', min_wal_size: '32MB', max_wal_size: '32MB', archive_mode: 'off' },
    });
    at = await setUp(db, { top: ZONE });
    await db.sql('create table t as select n from generate_series(1, 1000) n');
    const plain = await take(at);
    expect(plain).toMatchObject({ base: 'full', warnings: [] });
    expect(readdirSync(folderOf(at, plain['id'])).some(name => name.includes('own'))).toBe(false);
    at.run = changed(at, config => Object.assign(entryOf(config), INCREMENTS));
    expect(await take(at)).toMatchObject(fullBecause(/summarize_wal is off on the server: ALTER SYSTEM/));
    await setting(db, "set summarize_wal = 'on'", 'summarize_wal', 'on');
    const next = await take(at, '--full');
    expect(await take(at)).toMatchObject({ base: 'incremental', parent: next['id'], warnings: [] });
  });

  it('with WAL summaries that are gone', async () => {
    await take(at, '--full');
    for (let n = 0; n < 4; n += 1) await db.sql(`insert into t values (${n}); select pg_switch_wal(); checkpoint`.replaceAll('; ', ';\n'));
    await db.stop();
    const summaries = join(db.dataDir, 'pg_wal/summaries');
    for (const name of readdirSync(summaries)) rmSync(join(summaries, name));
    await db.start();
    expect(await take(at)).toMatchObject(fullBecause(/WAL summaries are required on timeline 1 from/));
  });

  it('with a predecessor whose own manifest is lost or damaged in every store; in one store, the other one serves', async () => {
    const full = await take(at, '--full');
    const file = own(full['id'], 'local');
    const sealed = readFileSync(file);
    writeFileSync(file, Buffer.from(sealed).fill(7, 40, 60));
    const increment = await take(at);
    expect(increment).toMatchObject({ base: 'incremental', parent: full['id'], warnings: [] });
    for (const store of ['local', 'offsite'])
      writeFileSync(own(increment['id'], store), readFileSync(own(increment['id'], store)).fill(7, 40, 60));
    expect(await take(at)).toMatchObject(fullBecause(/the backup_manifest of backup \S+ cannot be read: store local: .*; store offsite: /));
  });

  it('with a member of the chain that lost a piece in every store', async () => {
    const full = await take(at, '--full');
    const increment = await take(at);
    for (const store of ['local', 'offsite'])
      for (const name of readdirSync(folderOf(at, full['id'], store)).filter(each => each.startsWith('base.tar')))
        rmSync(join(folderOf(at, full['id'], store), name));
    expect(increment['parent']).toBe(full['id']);
    expect(await take(at)).toMatchObject(fullBecause(new RegExp(`backup ${full['id']}, which it would build on, is whole in no store`)));
  });

  it('with a chain that has its full length', async () => {
    const before = at.run;
    at.run = changed(at, config => Object.assign(entryOf(config), { maxChain: 2 }));
    const full = await take(at, '--full');
    expect(await take(at)).toMatchObject({ base: 'incremental', parent: full['id'] });
    expect(await take(at)).toMatchObject(fullBecause(/the chain has 2 backups already, and maxChain is 2/));
    at.run = before;
  });

  it('with another signing key, which cannot open what the one before left', async () => {
    const signing = signingText(randomBytes(32));
    const before = at.run;
    at.run = changed(at, config => {
      config['keys'].signing = signing;
      config['keys'].trusted = [...config['keys'].trusted, publicText(signingKey(signing))];
    });
    expect(await take(at)).toMatchObject(fullBecause(/it was sealed with another signing key, or is damaged/));
    expect(await take(at)).toMatchObject({ base: 'incremental', warnings: [] });
    at.run = before;
  });

  it('after a restore: the copy has a lineage of its own, and begins with a full one', async () => {
    const copy = await restored(at, '18', '--from-backup', 'latest');
    const other = await setUp(copy, { like: at, entry: INCREMENTS, top: ZONE });
    const full = await take(other);
    expect(full).toMatchObject(fullBecause(/is of lineage \d+-1, and the server is of lineage \d+-2/));
    expect(await take(other)).toMatchObject({ base: 'incremental', parent: full['id'], warnings: [] });
    await copy.destroy();
    const back = await take(at);
    expect(back).toMatchObject({ base: 'incremental', warnings: [] });
  });

  it('another cluster begins with a full one, too', async () => {
    const fresh = await startPostgres({ version: '18', settings: { summarize_wal: 'on' } });
    const other = await setUp(fresh, { like: at, entry: INCREMENTS, top: ZONE });
    const full = await take(other, '--new-lineage');
    expect(full).toMatchObject(fullBecause(/is of lineage \S+, and the server is of lineage \S+/));
    await fresh.destroy();
  });
});

it('PostgreSQL 15 makes none, and says so with every backup that would be one', async () => {
  const db = await startPostgres({ version: '15' });
  const at = await setUp(db, { entry: INCREMENTS, top: ZONE });
  expect(await take(at)).toMatchObject({ base: 'full', warnings: [] });
  expect(await take(at)).toMatchObject(fullBecause(/the server is PostgreSQL 15, and increments need 17 or newer/));
  await db.destroy();
});
