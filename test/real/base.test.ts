import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Manifest } from '../../src/core/contracts.ts';
import { encodeManifest } from '../../src/core/manifest.ts';
import { makeKeys } from '../../src/flow/keys.ts';
import { lastJson, type Yaml } from './change.ts';
import {
  cleanUp,
  type Postgres,
  type PostgresVersion,
  runBkp,
  serverAccount,
  startBkp,
  startPostgres,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';
import { lingeringPacker, pathWith } from './stub.ts';

afterAll(cleanUp);

describe.each<PostgresVersion>(['15', '18'])('the base backup of PostgreSQL %s', version => {
  let db: Postgres;
  let at: Setup;

  const dirOf = (id: string, store = 'local') => join(at.stores[store]!, 'bkp/production/postgres/app/backups', id);
  const manifestOf = (id: string, store = 'local'): Manifest =>
    JSON.parse(readFileSync(join(dirOf(id, store), 'manifest.json'), 'utf8').split('\n')[0]!);

  /** Opens a base by hand, without bkp, as docs/FORMAT.md says. */
  function unpacked(id: string): string {
    const to = tempDir({ forServer: true });
    chmodSync(to, 0o700);
    const pipe = 'cat "$1"/base.tar.zst.age.* | age -d -i "$2" | zstd -d -q | tar -x -p -C "$3"';
    execFileSync('bash', ['-o', 'pipefail', '-c', pipe, 'sh', dirOf(id), join(at.keysDir, 'identity.txt'), to]);
    const account = serverAccount();
    if (account)
      for (const path of ['', ...readdirSync(to, { recursive: true, encoding: 'utf8' })])
        chownSync(join(to, path), account.uid, account.gid);
    return to;
  }

  beforeAll(async () => {
    // No WAL is kept for anybody: a checkpoint lets go of it at once.
    const settings = { archive_mode: 'off', wal_keep_size: '0', min_wal_size: '32MB', max_wal_size: '32MB' };
    db = await startPostgres({ version, settings });
    at = await setUp(db);
    await db.sql('create table t (n int)');
  });

  it('PG20: all WAL from start to stop is inside, though the server wrote and let go of much of it meanwhile', async () => {
    const packer = lingeringPacker();
    const child = startBkp(['backup', 'postgres', '--json'], { ...at.run, env: { ...at.run.env, PATH: pathWith(packer.dir) } });
    const streaming = "select count(*) from pg_stat_progress_basebackup where phase = 'streaming database files' and backup_streamed > 0";
    await waitFor(async () => (await db.sql(streaming)) === '1', 'the backup to be on its way');
    for (let n = 0; n < 6; n += 1) await db.sql(`insert into t values (${n}); select pg_switch_wal(); checkpoint`);
    packer.go();
    const { code, stdout, stderr } = await child.ended;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const { id } = lastJson(stdout)['backups'][0] as Yaml as { id: string };
    const { wal } = manifestOf(id);
    const to = unpacked(id);
    const inside = readdirSync(join(to, 'pg_wal'))
      .filter(name => /^[0-9A-F]{24}$/.test(name))
      .sort();
    const number = (lsn: string) => Number.parseInt(lsn.split('/')[1]!, 16) >>> 24;
    const wanted = Array.from({ length: number(wal!.to) - number(wal!.from) + 1 }, (_, n) =>
      (number(wal!.from) + n).toString(16).toUpperCase().padStart(8, '0'),
    );
    expect(wanted.length).toBeGreaterThan(5);
    expect(inside.map(name => name.slice(16))).toEqual(expect.arrayContaining(wanted));
    // Without -n: it reads this WAL with pg_waldump, from the manifest's start to its end.
    await db.asServer(db.tool('pg_verifybackup'), [to]);
  });

  it('PG21: a base that was taken to pieces by hand starts, with nothing but itself', async () => {
    const id = await aBackup(at);
    const copy = await startPostgres({ version, dir: unpacked(id), settings: { archive_mode: 'off' } });
    expect(await copy.sql('select count(*) from t')).toBe(await db.sql('select count(*) from t'));
    await copy.destroy();
  });
});

describe('PG05: which backup is the newest', () => {
  let db: Postgres;
  let at: Setup;
  let older: string;
  let newer: string;

  /** Gives a backup another id in every store, signed anew: its name no longer says when it was taken. */
  function renamed(id: string, to: string): void {
    const signing = readFileSync(join(at.keysDir, 'signing.key'), 'utf8').trim();
    const keys = makeKeys({ recipients: [], trusted: [], signing: () => signing });
    for (const root of Object.values(at.stores)) {
      const dir = join(root, 'bkp/production/postgres/app/backups');
      renameSync(join(dir, id), join(dir, to));
      const path = join(dir, to, 'manifest.json');
      const text = readFileSync(path, 'utf8').split('\n')[0]!.replaceAll(id, to);
      rmSync(path);
      writeFileSync(path, encodeManifest(JSON.parse(text), keys.sign));
    }
  }

  beforeAll(async () => {
    db = await startPostgres({ version: '18' });
    at = await setUp(db);
    await db.sql('create table t as select 1 as n');
    const first = await aBackup(at);
    await db.sql('insert into t values (2)');
    const second = await aBackup(at);
    older = '20991231T235959Z-ffffff';
    newer = '20000101T000000Z-000000';
    renamed(first, older);
    renamed(second, newer);
  });

  it('is decided by the times inside the manifests, not by names: list has it last', async () => {
    const { code, stdout } = await runBkp(['list', '--json'], at.run);
    expect(code).toBe(0);
    expect(lastJson(stdout)['backups'].map((row: Yaml) => row['id'])).toEqual([older, newer]);
    const text = (await runBkp(['list'], at.run)).stdout.trim().split('\n');
    expect(text).toHaveLength(3);
    expect(text[2]).toMatch(new RegExp(`${newer} +\\d+ (ms|s|min) ago`));
  });

  it('restore takes it for "latest", and names it with its end and its age', async () => {
    const to = aPlace();
    const { code, stdout, stderr } = await runBkp(
      ['restore', 'postgres', '--from-backup', 'latest', '--to', to, '--yes', '--json'],
      at.run,
    );
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(lastJson(stdout)['facts'].backup).toBe(newer);
    const copy = await startPostgres({ version: '18', dir: to });
    expect(await copy.sql("select string_agg(n::text, ',' order by n) from t")).toBe('1,2');
    await copy.destroy();
    const plan = await runBkp(['restore', 'postgres', '--latest', '--to', aPlace(), '--dry-run'], at.run);
    expect(plan.stderr).toMatch(new RegExp(`backup ${newer}, ended \\d{4}-.*\\d+ (s|min) ago`));
  });

  it('heal gives the newest to a store that lacks it, whatever it is called', async () => {
    const root = at.stores['offsite']!;
    const dir = join(root, 'bkp/production/postgres/app/backups');
    rmSync(join(dir, newer), { recursive: true });
    const { stdout } = await runBkp(['backup', 'postgres', '--json'], at.run);
    expect(lastJson(stdout)['backups'][0].healed).toEqual([{ id: newer, store: 'offsite' }]);
  });
});
