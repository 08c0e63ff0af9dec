import { cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openDirectory } from '../../src/providers/stores/directory.ts';
import { agedCopy, signerOf } from './aged.ts';
import { changed, entryOf, lastJson, type Yaml } from './change.ts';
import { BASE, folderOf, INCREMENTS, manifestOf, restored, take, ZONE } from './incrementWorld.ts';
import { cleanUp, type Postgres, runBkp, startPostgres, tempDir } from './rig/index.ts';
import { aPlace, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

const AGED = {
  gone: '20250101T020000Z-00000a',
  goneToo: '20250102T020000Z-00000b',
  heldFull: '20250201T020000Z-00000c',
  held: '20250202T020000Z-00000d',
  full: '20250301T020000Z-00000e',
  window: '20250302T020000Z-00000f',
};

describe('a chain of three of PostgreSQL 18', () => {
  let db: Postgres;
  let at: Setup;
  const chain: Yaml[] = [];
  const pushed = new Set<string>();
  let between = '';
  const id = (n: number): string => chain[n]!['id'];

  /** All WAL so far, as an archive_command would have. */
  async function pushWal(): Promise<void> {
    await db.sql('create table if not exists pushed (n int); insert into pushed values (1); select pg_switch_wal()');
    const open = await db.sql('select pg_walfile_name(pg_current_wal_lsn())');
    const names = readdirSync(join(db.dataDir, 'pg_wal')).filter(name => /^[0-9A-F]{24}$/.test(name) && name < open && !pushed.has(name));
    for (const name of names.sort()) {
      const { code } = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run, cwd: db.dataDir });
      expect(code).toBe(0);
      pushed.add(name);
    }
  }

  /** Both stores as they are, for a test that does harm. */
  function spoilt(): Setup {
    const stores = Object.fromEntries(Object.keys(at.stores).map(name => [name, tempDir()]));
    const config = readFileSync(at.run.config, 'utf8');
    const path = join(tempDir(), 'bkp.yaml');
    let text = config;
    for (const [name, dir] of Object.entries(stores)) {
      cpSync(at.stores[name]!, dir, { recursive: true, preserveTimestamps: true });
      text = text.replace(at.stores[name]!, dir);
    }
    writeFileSync(path, text);
    return { ...at, stores, run: { ...at.run, config: path } };
  }

  const bases = (where: Setup, backup: string, store: string): string[] =>
    readdirSync(folderOf(where, backup, store))
      .filter(name => name.startsWith('base.tar'))
      .map(name => join(folderOf(where, backup, store), name));

  /** The server's programs, of which pg_combinebackup does harm to what it made: `$out`, with `$file` in it. */
  function harming(harm: string): string {
    const dir = tempDir();
    const script = (name: string, lines: readonly string[]): void =>
      writeFileSync(join(dir, name), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
    for (const name of readdirSync(db.bin))
      if (!['postgres', 'pg_combinebackup'].includes(name)) symlinkSync(db.tool(name), join(dir, name));
    // A link would lead to the directory of the others.
    script('postgres', [`exec '${db.tool('postgres')}' "$@"`]);
    script('pg_combinebackup', [
      `'${db.tool('pg_combinebackup')}' "$@" || exit`,
      'while [ "$1" != -o ]; do shift; done',
      'out=$2',
      'file=$(find "$out/base" -type f -size +1000k | sort | head -n 1)',
      harm,
    ]);
    return dir;
  }

  beforeAll(async () => {
    const settings = { summarize_wal: 'on', archive_mode: 'off', wal_keep_size: '1GB' };
    db = await startPostgres({ version: '18', settings });
    at = await setUp(db, { entry: INCREMENTS, top: ZONE });
    await db.sql('create table t as select n, md5(n::text) as m from generate_series(1, 60000) n; create table going (n int)');
    chain.push(await take(at));
    await db.sql("update t set m = 'changed' where n % 10000 = 0; insert into t values (60001, 'one'); drop table going");
    chain.push(await take(at));
    await db.sql("insert into t values (60002, 'two'); create table coming as select 1 as n");
    chain.push(await take(at));
    await db.sql("insert into t values (60003, 'three')");
    between = await db.sql('select clock_timestamp()');
    await db.sql("insert into t values (60004, 'four')");
    await pushWal();
  });

  it('each names all that it builds on, the nearest first, and is small; sizes are compared as those of full ones', () => {
    expect(chain.map(({ base, parent }) => [base, parent])).toEqual([
      ['full', undefined],
      ['incremental', id(0)],
      ['incremental', id(1)],
    ]);
    expect(chain.map(({ warnings }) => warnings)).toEqual([[], [], []]);
    expect(manifestOf(at, id(2)).needs).toEqual([{ backup: id(1) }, { backup: id(0) }]);
    const [full, , last] = chain.map(({ id }) => manifestOf(at, id));
    const plain = (manifest = full!) => manifest.pieces.reduce((sum, piece) => sum + ('bytes' in piece ? piece.bytes : 0), 0);
    // The WAL inside is the greater part of an increment, and no content.
    expect(plain(last) - 16_777_216).toBeLessThan((plain(full) - 16_777_216) / 2);
    expect(last!.contentBytes! / full!.contentBytes!).toBeCloseTo(1, 1);
  });

  it('what a backup needs of the one before opens without the age identity, and not for another backup', async () => {
    const { makeKeys } = await import('../../src/flow/keys.ts');
    const { openOwn } = await import('../../src/flow/ownSeal.ts');
    const signing = () => readFileSync(join(at.keysDir, 'signing.key'), 'utf8').trim();
    const keys = makeKeys({ recipients: [], trusted: [], signing });
    const file = join(folderOf(at, id(0)), 'backup_manifest.own.sealed.000');
    const purpose = `bkp/production/postgres/app/backups/${id(0)}/backup_manifest.own`;
    const manifest = JSON.parse((await openOwn(readFileSync(file), keys, purpose)).toString());
    expect(manifest['System-Identifier'].toString()).toMatch(/^\d+/);
    await expect(openOwn(readFileSync(file), keys, purpose.replace(id(0), id(1)))).rejects.toThrow(/does not open/);
  });

  it('list shows kind, parent and the size of the chain', async () => {
    const { stdout } = await runBkp(['list', 'postgres', '--json'], at.run);
    const rows = lastJson(stdout)['backups'] as Yaml[];
    expect(rows.map(({ base, parent, chain }) => ({ base, parent, chain }))).toEqual([
      { base: 'full', parent: undefined, chain: undefined },
      { base: 'incremental', parent: id(0), chain: [id(0)] },
      { base: 'incremental', parent: id(1), chain: [id(0), id(1)] },
    ]);
    expect(rows[2]!['chainBytes']).toBe(rows.reduce((sum, { bytes }) => sum + bytes, 0));
    expect((await runBkp(['list', 'postgres'], at.run)).stdout).toMatch(new RegExp(`incremental on ${id(1)} \\(chain of 3, `));
  });

  it('comes back to its own end, combined and checked, with nothing left of the members', async () => {
    const copy = await restored(at, '18', '--from-backup', id(2));
    expect(await copy.sql("select count(*), count(*) filter (where m = 'changed') from t")).toBe('60002|6');
    expect(await copy.sql("select to_regclass('coming') is not null, to_regclass('going') is null")).toBe('t|t');
    expect(readdirSync(copy.dataDir).filter(name => name.startsWith('BKP_'))).toEqual([]);
    await copy.destroy();
  });

  it('and rolls forward to a time, and to the latest', async () => {
    const then = await restored(at, '18', '--target-time', between);
    expect(await then.sql('select max(n) from t')).toBe('60003');
    await then.destroy();
    const now = await restored(at, '18', '--latest');
    expect(await now.sql('select max(n) from t')).toBe('60004');
    await now.destroy();
  });

  it('each member may come from another store', async () => {
    const where = spoilt();
    for (const [n, store] of ['local', 'offsite', 'local'].entries())
      for (const file of bases(where, id(n), store)) writeFileSync(file, readFileSync(file).fill(7, 100, 200));
    const copy = await restored(where, '18', '--from-backup', id(2));
    expect(await copy.sql('select count(*) from t')).toBe('60002');
    await copy.destroy();
  });

  it.each([0, 1])('a member that is damaged in every store ends it, with what is unpacked beside it: number %i', async n => {
    const where = spoilt();
    for (const store of ['local', 'offsite'])
      for (const file of bases(where, id(n), store)) writeFileSync(file, readFileSync(file).fill(7, 100, 200));
    const to = aPlace();
    const { code, stderr } = await runBkp(['restore', 'postgres', 'app', '--from-backup', id(2), '--to', to, '--yes'], where.run);
    expect({ code, stderr }).toEqual({
      code: 9,
      stderr: expect.stringContaining(`${id(n)}/base.tar.zst.age.000 in store offsite is damaged`),
    });
    expect(stderr).not.toContain('combine 3 backups');
  });

  it.each([
    ['some bytes of a file are others', 'printf damaged! | dd of="$file" bs=1 seek=500000 conv=notrunc 2>/dev/null', 'has SHA-256'],
    ['a file is gone', 'rm "$file"', 'is present in the manifest but not on disk'],
    ['a file is there too many', 'cp "$file" "$out/base/stray"', 'is present on disk but not in the manifest'],
    ['a file is shorter', 'truncate -s 8192 "$file"', 'has size 8192'],
    [
      'the WAL is damaged',
      'printf damaged! | dd of="$(find "$out/pg_wal" -maxdepth 1 -type f -name "0*" | head -n 1)" bs=1 seek=40 conv=notrunc 2>/dev/null',
      'WAL',
    ],
  ])('what came out of pg_combinebackup is no copy where %s', async (_, harm, said) => {
    const config = changed(at, all => void Object.assign(entryOf(all), { bin: [harming(harm)] }));
    const to = aPlace();
    const { code, stderr } = await runBkp(['restore', 'postgres', 'app', '--from-backup', id(2), '--to', to, '--yes'], config);
    expect({ code, stderr }).toEqual({ code: 9, stderr: expect.stringContaining('the combined backup is not what was recorded') });
    expect(stderr).toContain(said);
    expect(readdirSync(to)).toContain('BKP_RESTORE_INCOMPLETE');
  });

  it('a lost parent breaks its children: verify says which, list, status and the window leave them out, a restore refuses', async () => {
    const where = spoilt();
    for (const store of ['local', 'offsite']) for (const file of bases(where, id(1), store)) rmSync(file);
    const verified = await runBkp(['verify', 'postgres', '--json'], where.run);
    expect(verified.code).toBe(9);
    expect(verified.stdout).toContain(`backup ${id(2)}, which builds on ${id(1)}`);
    const rows = lastJson((await runBkp(['list', 'postgres', '--json'], where.run)).stdout)['backups'] as Yaml[];
    expect(rows.map(({ copies }) => copies['local'])).toEqual(['whole', 'damaged', 'damaged']);
    expect((await runBkp(['status', 'postgres', '--json'], where.run)).code).toBe(10);
    const windows = (await runBkp(['list', 'postgres', '--window', '--json'], where.run)).stdout;
    expect(windows).toContain(`backup ${id(2)} builds on what is not whole there`);
    const to = aPlace();
    const run = await runBkp(['restore', 'postgres', 'app', '--from-backup', id(2), '--to', to, '--yes'], where.run);
    expect(run.code).toBe(9);
    expect(run.stderr).toContain(id(1));
    const older = await restored(where, '18', '--from-backup', id(0));
    expect(await older.sql('select count(*) from t')).toBe('60000');
    await older.destroy();
  });

  it('one without the manifest of its parent is left out by "latest", which says so, and refused by name', async () => {
    const where = spoilt();
    for (const store of ['local', 'offsite']) rmSync(join(folderOf(where, id(1), store), 'manifest.json'));
    const run = await runBkp(['restore', 'postgres', 'app', '--from-backup', id(2), '--to', aPlace(), '--yes'], where.run);
    expect(run.code).toBe(9);
    expect(run.stderr).toContain(`backup ${id(2)} builds on backup ${id(1)}, which is in none of local, offsite`);
    const plan = await runBkp(['restore', 'postgres', 'app', '--latest', '--to', aPlace(), '--dry-run'], where.run);
    expect({ code: plan.code, said: plan.stdout + plan.stderr }).toMatchObject({
      code: 0,
      said: expect.stringContaining(`${id(2)} builds on`),
    });
    expect(plan.stdout + plan.stderr).toContain(`backup ${id(0)}, ended`);
    const verified = await runBkp(['verify', 'postgres'], where.run);
    expect(verified.stdout).toContain(`backup ${id(1)}, on which others build, is not in it`);
  });

  it('verify --deep and a drill prove the newest with its chain', async () => {
    const deep = await runBkp(['verify', 'postgres', '--deep', '--from', 'offsite', '--json'], at.run);
    expect({ code: deep.code, said: deep.code === 0 ? '' : deep.stdout }).toEqual({ code: 0, said: '' });
    expect(deep.stdout).toContain('combined with the 2 before it');
    const drill = await runBkp(['drill', 'postgres', '--store', 'local', '--json'], at.run);
    expect({ code: drill.code, said: drill.code === 0 ? '' : drill.stdout + drill.stderr }).toEqual({ code: 0, said: '' });
    expect(drill.stdout).toContain(id(2));
  });

  it('prune keeps the chain of what is kept, takes a chain whole, and what is held keeps what it builds on', async () => {
    const where = spoilt();
    const sign = signerOf(at.keysDir);
    for (const store of ['local', 'offsite']) {
      const opened = openDirectory(store, { type: 'directory', path: where.stores[store]! });
      const aged = async (n: number, days: number, as: string, parent?: string): Promise<void> => {
        const change = parent === undefined ? {} : { change: { needs: [{ backup: parent }] } };
        await agedCopy(opened, BASE, id(n), days, sign, { as, ...change });
      };
      await aged(0, 90, AGED.gone);
      await aged(1, 89, AGED.goneToo, AGED.gone);
      await aged(0, 80, AGED.heldFull);
      await aged(1, 79, AGED.held, AGED.heldFull);
      await aged(0, 60, AGED.full);
      await aged(1, 59, AGED.window, AGED.full);
    }
    expect((await runBkp(['hold', AGED.held, '--reason', 'audit'], where.run)).code).toBe(0);
    where.run = changed(where, config => {
      Object.assign(entryOf(config), { retention: { last: 1, daily: 0, weekly: 0, monthly: 0, wal: '30d' }, pruneShare: 100 });
    });
    const { code, stdout, stderr } = await runBkp(['prune', 'postgres', '--confirm', '--json'], where.run);
    expect({ code, said: code === 0 ? '' : stderr + stdout }).toEqual({ code: 0, said: '' });
    for (const { plan, removal } of lastJson(stdout)['stores'] as Yaml[]) {
      const why = new Map((plan.lines as Yaml[]).map(line => [line['id'], line['reasons'].join('; ')]));
      expect(why.get(AGED.window)).toContain('reaches back to the start of the 30 d window');
      expect(why.get(AGED.full)).toBe(`needed by ${AGED.window}`);
      expect(why.get(AGED.heldFull)).toBe(`needed by ${AGED.held}`);
      expect(removal.gone).toEqual([AGED.goneToo, AGED.gone]);
    }
  });

  it('a store that lacks a member gets it before the next increment counts there', async () => {
    const where = spoilt();
    rmSync(folderOf(where, id(0), 'offsite'), { recursive: true });
    rmSync(folderOf(where, id(2), 'offsite'), { recursive: true });
    const next = await take(where);
    expect(next['parent']).toBe(id(2));
    expect(next['stores']).toEqual([
      { name: 'local', ok: true },
      { name: 'offsite', ok: true },
    ]);
    const rows = lastJson((await runBkp(['list', 'postgres', '--json'], where.run)).stdout)['backups'] as Yaml[];
    expect(rows.map(({ copies }) => copies['offsite'])).toEqual(['whole', 'whole', 'whole', 'whole']);
  });

  it('--full takes a full one, on which the next one builds', async () => {
    const where = spoilt();
    const full = await take(where, '--full');
    expect(full).toMatchObject({ base: 'full', warnings: [] });
    const next = await take(where);
    expect(next).toMatchObject({ base: 'incremental', parent: full['id'] });
  });
});
