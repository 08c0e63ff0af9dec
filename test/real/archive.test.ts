import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, type Postgres, type PostgresVersion, runBkp, startPostgres, tempDir } from './rig/index.ts';
import { aBackup, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

describe.each<PostgresVersion>(['15', '18'])('archive_command and restore_command of PostgreSQL %s', version => {
  let db: Postgres;
  let at: Setup;
  let names: string[];

  const push = (name: string, path = join('pg_wal', name)) => runBkp(['wal', 'push', 'app', name, path], { ...at.run, cwd: db.dataDir });
  const fetch = (name: string, to: string) => runBkp(['wal', 'fetch', 'app', name, to], { ...at.run, cwd: db.dataDir });

  beforeAll(async () => {
    db = await startPostgres({ version, settings: { wal_keep_size: '1GB' } });
    at = await setUp(db);
    await aBackup(at);
    await db.sql('create table t (n int)');
    names = [];
    for (const n of [1, 2, 3]) {
      await db.sql(`insert into t values (${n})`);
      names.push(await db.sql('select pg_walfile_name(pg_current_wal_lsn())'));
      await db.sql('select pg_switch_wal()');
    }
  });

  it('pushes a segment into every store, once', async () => {
    expect((await push(names[0]!)).code).toBe(0);
    expect((await push(names[0]!)).code).toBe(0);
    for (const store of ['local', 'offsite']) expect(at.walNames(store).filter(name => name === names[0])).toHaveLength(1);
  });

  it('never overwrites: the same name with another content fails with a code that the archiver counts', async () => {
    const forged = join(tempDir(), 'other');
    writeFileSync(forged, Buffer.alloc(16 * 1024 * 1024, 7));
    const run = await push(names[0]!, forged);
    expect(run.code).toBeGreaterThan(0);
    expect(run.code).toBeLessThan(126);
    expect(run.stderr).toMatch(/already with another content/);
  });

  it('fetches what was pushed, byte for byte', async () => {
    const to = join(tempDir(), 'seg');
    expect((await fetch(names[0]!, to)).code).toBe(0);
    expect(readFileSync(to).equals(readFileSync(join(db.dataDir, 'pg_wal', names[0]!)))).toBe(true);
  });

  it('says 74 only at the proven end: 255 at a hole and when a store does not answer', async () => {
    const to = join(tempDir(), 'seg');
    expect((await fetch(names[1]!, to)).code).toBe(74);
    expect((await push(names[2]!)).code).toBe(0);
    const hole = await fetch(names[1]!, to);
    expect(hole.code).toBe(255);
    expect(hole.stderr).toMatch(/there is a hole/);
    expect((await push(names[1]!)).code).toBe(0);
    const next = names[2]!.slice(0, 16) + (Number.parseInt(names[2]!.slice(16), 16) + 1).toString(16).toUpperCase().padStart(8, '0');
    expect((await fetch(next, to)).code).toBe(74);
    renameSync(at.stores['offsite']!, `${at.stores['offsite']}.gone`);
    const dead = await fetch(next, to);
    renameSync(`${at.stores['offsite']}.gone`, at.stores['offsite']!);
    expect(dead.code).toBe(255);
    expect((await fetch('00000009.history', to)).code).toBe(74);
  });

  it('a damaged segment goes into no other store, and is told; a good one does, out of the store that has it', async () => {
    const pathIn = (store: string) => {
      const root = at.stores[store]!;
      const path = readdirSync(root, { recursive: true, encoding: 'utf8' }).find(each => each.includes(`${names[0]}-`));
      return path === undefined ? undefined : join(root, path);
    };
    const [near, far] = [pathIn('local')!, pathIn('offsite')!];
    const good = readFileSync(near);
    const bad = Buffer.from(good);
    bad[bad.length - 50]! ^= 1;
    rmSync(far);
    writeFileSync(near, bad);
    const told = await runBkp(['backup', 'postgres'], at.run);
    expect(pathIn('offsite')).toBeUndefined();
    expect(told.stderr).toMatch(
      new RegExp(`1 file\\(s\\) of WAL are still missing, the first in offsite: object \\S*${names[0]}-\\S* in store local is damaged`),
    );
    writeFileSync(near, good);
    await aBackup(at);
    expect(readFileSync(far).equals(good)).toBe(true);
    const three = await setUp(db, { like: { ...at, stores: { ...at.stores, third: tempDir() } } });
    await aBackup(three);
    writeFileSync(near, bad);
    rmSync(far);
    await aBackup(three);
    expect(readFileSync(far).equals(good)).toBe(true);
    writeFileSync(near, good);
  });

  it('stops with 255 at a flipped byte that no other store can mend, and names the object', async () => {
    for (const root of Object.values(at.stores)) {
      const path = readdirSync(root, { recursive: true, encoding: 'utf8' }).find(each => each.includes(`${names[2]}-`))!;
      const bytes = readFileSync(join(root, path));
      bytes[bytes.length - 50]! ^= 1;
      rmSync(join(root, path));
      writeFileSync(join(root, path), bytes);
    }
    const run = await fetch(names[2]!, join(tempDir(), 'seg'));
    expect(run.code).toBe(255);
    expect(run.stderr).toContain(names[2]);
  });
});
