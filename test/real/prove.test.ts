import { existsSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Manifest, PieceRef, Trial } from '../../src/core/contracts.ts';
import type { Proof } from '../../src/ops/prove.ts';
import { altered, memberOf, recordAnew } from './altered.ts';
import { changed, lastJson, type Yaml } from './change.ts';
import {
  cleanUp,
  freePort,
  isAlive,
  type Postgres,
  type PostgresVersion,
  type Running,
  runBkp,
  startBkp,
  startPostgres,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';
import { filesIn, pathWith, stub } from './stub.ts';

afterAll(cleanUp);

const PAGE = 8192;
const ALL = ['unpack', 'pg_verifybackup', 'recovery', 'baseline', 'pg_amcheck', 'write', 'stop', 'pg_checksums'];

let temp: string;

beforeEach(() => {
  temp = tempDir();
});

/** Whatever happened: nothing of a restored copy is left. */
afterEach(() => expect(readdirSync(temp).filter(name => name.startsWith('bkp'))).toEqual([]));

async function prove(at: Setup, args: readonly string[] = ['--from', 'local'], run = at.run) {
  const { code, stdout, stderr } = await runBkp(['verify', 'postgres', '--deep', '--json', ...args], {
    ...run,
    env: { ...run.env, TMPDIR: temp },
  });
  const stores = (lastJson(stdout)['stores'] ?? []) as Yaml[];
  const findings = stores.flatMap(store => store['findings'] as Yaml[]);
  const proofs = stores.map(store => store['proof'] as Proof);
  return { code, stderr, findings, proofs, proof: proofs[0]!, texts: findings.map(({ text }) => text as string).join('\n') };
}

const failed = ({ checks }: Proof): string[] => [...new Set(checks.filter(({ state }) => state === 'fail').map(({ name }) => name))];
const records = (at: Setup, store: string) => filesIn(at.stores[store]!).filter(path => path.includes('/proofs/'));

/** Ids of backups that a test put there; they go after it. */
const dirOf = (at: Setup, id: string) => join(at.stores['local']!, 'bkp/production/postgres/app/backups', id);

describe.each<PostgresVersion>(['15', '18'])('a proof of PostgreSQL %s, with page checksums', version => {
  let db: Postgres;
  let at: Setup;
  let id: string;
  let made: string | undefined;

  const path = (relation: string) => db.sql(`select pg_relation_filepath('${relation}')`);

  beforeAll(async () => {
    db = await startPostgres({ version, initdb: ['--data-checksums'] });
    await db.sql('create database empty');
    at = await setUp(db);
  });

  afterEach(() => {
    if (made) rmSync(dirOf(at, made), { recursive: true });
    made = undefined;
  });

  it('DR02: one with no table at all comes back as empty as it was', async () => {
    await aBackup(at);
    const { code, proof } = await prove(at);
    expect(proof.checks.map(({ name, state }) => `${name} ${state}`)).toEqual(ALL.map(name => `${name} ok`));
    expect(code).toBe(0);
  });

  it('PG11 PG12: a good one is tried in every store, recorded there, and nothing of the environment gets in', async () => {
    await db.sql(`create table t (n int primary key, text text); insert into t select n, repeat('x', 500) from generate_series(1, 3000) n;
      create index by_hash on t using hash (n); alter database postgres set default_transaction_read_only = on`);
    await db.sql('analyze t; select pg_stat_force_next_flush()');
    id = await aBackup(at);
    const reset = stub('pg_resetwal', `process.getBuiltinModule('node:fs').writeFileSync(process.argv[1] + '.called', '');`);
    const hostile = { PGHOST: db.socketDir, PGPORT: String(db.port), PGDATABASE: 'empty', PGOPTIONS: '-c nonsense=1', PGUSER: 'nobody' };
    const run = { ...at.run, env: { ...at.run.env, ...hostile, PATH: pathWith(reset) } };
    const { code, findings, proofs } = await prove(at, [], run);
    expect({ code, findings }).toEqual({ code: 0, findings: [] });
    for (const { backup, seconds, checks } of proofs) {
      expect(backup).toBe(id);
      expect(checks.map(({ name, state }) => `${name} ${state}`)).toEqual(ALL.map(name => `${name} ok`));
      expect(seconds).toBeGreaterThanOrEqual(checks.reduce((sum, each) => sum + (each.seconds ?? 0), 0) - 1);
      expect(checks.find(({ name }) => name === 'baseline')?.text).toContain('3000 rows');
    }
    expect(existsSync(join(reset, 'pg_resetwal.called'))).toBe(false);
    expect(['local', 'offsite'].map(store => records(at, store).filter(each => each.includes(id)).length)).toEqual([1, 1]);
    expect(await db.sql("select count(*) from pg_extension where extname = 'amcheck'")).toBe('0');
  });

  it('DR01: a copy without the rows that were recorded is none', async () => {
    const recorded = ({ baseline }: Manifest) => {
      const databases = structuredClone(baseline['databases']) as Yaml;
      databases['empty'].contents = { schemas: ['public'], tables: 2, liveRows: 1234, extensions: { plpgsql: '1.0' } };
      databases['gone'] = databases['postgres'];
      return { baseline: { ...baseline, databases } };
    };
    made = await altered(at, id, () => {}, { more: recorded });
    const { code, findings, proof, texts } = await prove(at);
    expect(failed(proof)).toEqual(['baseline']);
    expect(texts).toContain('database "empty" has 0 rows, and about 1234 were recorded');
    expect(texts).toContain('database "empty" has 0 tables, and 2 were recorded');
    expect(texts).toContain('database "gone" is missing');
    expect(findings[0]).toMatchObject({ state: 'damaged', breaks: [`backup ${made}`] });
    expect(code).toBe(9);
    expect(records(at, 'local').filter(each => each.includes(made!))).toEqual([]);
    // A restore keeps what came back, and says what did not.
    const restored = await runBkp(['restore', 'postgres', 'app', '--from-backup', made, '--to', aPlace(), '--yes', '--json'], at.run);
    expect({ code: restored.code, differs: lastJson(restored.stdout)['differs'] }).toEqual({
      code: 3,
      differs: ['database "empty" has 0 tables, and 2 were recorded', 'database "gone" is missing'],
    });
  });

  it('a byte that differs from what PostgreSQL recorded is found before anything runs, and the table is named', async () => {
    const file = await path('t');
    made = await altered(at, id, tar => {
      tar[memberOf(tar, file).from + PAGE + 5000]! ^= 1;
    });
    const { code, proof, texts } = await prove(at);
    expect(failed(proof)).toEqual(expect.arrayContaining(['pg_verifybackup', 'pg_amcheck', 'pg_checksums']));
    expect(texts).toMatch(new RegExp(`\\(pg_verifybackup\\): checksum mismatch for file "${file}"`));
    expect(texts).toContain('heap table "postgres.public.t"');
    expect(texts).toMatch(new RegExp(`\\(pg_checksums\\): checksum verification failed in file "${file}", block 1`));
    expect(texts).not.toContain(temp);
    expect(code).toBe(9);
  });

  it('a page that only its checksum gives away, in what amcheck does not read, is named by file and block', async () => {
    const file = await path('by_hash');
    made = await altered(at, id, tar => {
      tar[memberOf(tar, file).from + 2 * PAGE + 4000]! ^= 1;
      recordAnew(tar, file);
    });
    const { code, proof, texts } = await prove(at);
    expect(failed(proof)).toEqual(['pg_checksums']);
    expect(texts).toMatch(new RegExp(`in file "${file}", block 2`));
    expect(code).toBe(9);
  });

  /** A proof whose private server is up. */
  async function inTheMiddle(): Promise<{ child: Running; pid: number }> {
    const child = startBkp(['verify', 'postgres', '--deep', '--from', 'local'], { ...at.run, env: { ...at.run.env, TMPDIR: temp } });
    const pids = () =>
      readdirSync(temp)
        .map(name => join(temp, name, 'tmp/data/postmaster.pid'))
        .filter(existsSync);
    const pid = await waitFor(() => pids().length > 0 && Number(readFileSync(pids()[0]!, 'utf8').split('\n')[0]), 'the server');
    return { child, pid };
  }

  it('SIGTERM in the middle leaves no server and no directory', async () => {
    const { child, pid } = await inTheMiddle();
    child.kill('SIGTERM');
    expect((await child.ended).code).toBe(143);
    expect(isAlive(pid)).toBe(false);
    expect(filesIn(at.stores['local']!).filter(each => each.includes('/pins/'))).toEqual([]);
  });

  it('SIGKILL in the middle ends its server too; what it leaves among the temporary files, the next run removes and tells', async () => {
    const { child, pid } = await inTheMiddle();
    child.kill('SIGKILL');
    await child.ended;
    await waitFor(() => !isAlive(pid), 'the end of its server');
    const left = readdirSync(temp).filter(name => name.startsWith('bkp'));
    expect(left).toHaveLength(1);
    const { code, stderr } = await runBkp(['verify', 'postgres', '--deep', '--from', 'local'], {
      ...at.run,
      env: { ...at.run.env, TMPDIR: temp },
    });
    expect(code).toBe(0);
    expect(stderr).toContain(`a directory of temporary files was left in ${temp} by a bkp that was killed, and removed`);
  });
});

describe.each<PostgresVersion>(['15', '18'])('a proof of PostgreSQL %s, without page checksums', version => {
  let db: Postgres;
  let at: Setup;

  beforeAll(async () => {
    db = await startPostgres({ version, initdb: version === '18' ? ['--no-data-checksums'] : [] });
    at = await setUp(db);
    await db.sql("create table t (n int primary key, text text); insert into t select n, repeat('x', 500) from generate_series(1, 300) n");
    await db.sql('vacuum freeze t');
  });

  it('says that pages could not be compared, and is a proof all the same', async () => {
    // Unlogged rows are recorded with the others, and never come back.
    await db.sql('create unlogged table u as select n from generate_series(1, 5000) n; analyze u; select pg_stat_force_next_flush()');
    await aBackup(at);
    const { code, proof } = await prove(at);
    expect(proof.checks.at(-1)).toMatchObject({ name: 'pg_checksums', state: 'note', text: expect.stringContaining('no page checksums') });
    expect(code).toBe(0);
  });

  it('a flipped byte in a row, which the server itself never noticed, is found by amcheck: table, block and row', async () => {
    const file = join(db.dataDir, await db.sql("select pg_relation_filepath('t')"));
    await db.stop();
    const fd = openSync(file, 'r+');
    const page = Buffer.alloc(PAGE);
    readSync(fd, page, 0, PAGE, 0);
    // The first line pointer leads to a row, whose 23rd byte says where its columns begin.
    const row = page.readUInt32LE(24) & 0x7fff;
    writeSync(fd, Buffer.from([page[row + 22]! ^ 0x40]), 0, 1, row + 22);
    await db.start();
    await aBackup(at);
    const { code, proof, texts } = await prove(at);
    expect(failed(proof)).toEqual(['pg_amcheck']);
    expect(texts).toMatch(/heap table "postgres\.public\.t", block 0, offset 1: .*begin/);
    expect(code).toBe(9);
  });
});

describe('what this host cannot prove', () => {
  let db: Postgres;
  let at: Setup;
  let id: string;

  const unproven = async (run = at.run) => {
    const { code, proof, texts } = await prove(at, undefined, run);
    expect(proof.checks).toMatchObject([{ name: 'preflight', state: 'unproven' }] satisfies Partial<Trial>[]);
    expect(code).toBe(3);
    return texts;
  };

  beforeAll(async () => {
    db = await startPostgres({ version: '15' });
    at = await setUp(db);
    await db.sql('create table t as select 1 as n');
    id = await aBackup(at);
  });

  it('without the identity: exit 3, and what to do', async () => {
    const run = changed(at, config => {
      delete config['keys'].identity;
    });
    expect(await unproven(run)).toMatch(/is not proven \(preflight\): .*keys\.identity/);
  });

  it('without room for the copy: nothing is read, and `temp:` is named', async () => {
    const huge = ({ pieces }: Manifest) => ({ pieces: [{ ...(pieces[0] as PieceRef), bytes: 2 ** 50 }] });
    const made = await altered(at, id, () => {}, { more: huge });
    expect(await unproven()).toMatch(/a restored copy needs about .*TiB, and .* free → `temp:`/);
    rmSync(dirOf(at, made), { recursive: true });
  });

  it('without the programs of that version: what to install', async () => {
    const other = ({ versions }: Manifest) => ({ versions: { ...versions, server: '17.1' } });
    const made = await altered(at, id, () => {}, { more: other });
    expect(await unproven()).toMatch(/server programs of PostgreSQL 17 are needed, .* → install postgresql-17/);
    rmSync(dirOf(at, made), { recursive: true });
  });

  it('an index that is only in the order of another ICU: what to do, and no damage', async () => {
    await db.sql(`create collation german (provider = icu, locale = 'de'); create table words (w text collate "C");
      insert into words values ('B'), ('a'); create index by_word on words (w);
      update pg_index set indcollation = ('german'::regcollation::oid::text)::oidvector where indexrelid = 'by_word'::regclass;
      update pg_attribute set attcollation = 'german'::regcollation where attrelid in ('by_word'::regclass, 'words'::regclass) and attnum > 0;
      update pg_collation set collversion = '1.0' where collname = 'german'`);
    const made = await aBackup(at);
    const { code, proof, texts } = await prove(at);
    await db.sql('drop table words; drop collation german');
    for (const root of Object.values(at.stores)) rmSync(join(root, 'bkp/production/postgres/app/backups', made), { recursive: true });
    const { text } = proof.checks.find(({ name }) => name === 'collation')!;
    expect(text).toMatch(/^collation german is of version 1\.0 in database "postgres", and of \S+ on this host$/);
    expect(texts).toMatch(/\(pg_amcheck\): 1 index\(es\) .*btree index "postgres\.public\.by_word".* → prove it on a host with/);
    expect({ code, fails: failed(proof) }).toEqual({ code: 3, fails: [] });
  });

  it('--no-proof restores nothing', async () => {
    const { code, proofs } = await prove(at, ['--no-proof']);
    expect({ code, proofs }).toEqual({ code: 0, proofs: [undefined, undefined] });
    expect(records(at, 'local')).toEqual([]);
  });

  it('as text: what was tried, and a last word', async () => {
    const { code, stdout } = await runBkp(['verify', 'postgres', '--deep'], { ...at.run, env: { ...at.run.env, TMPDIR: temp } });
    expect(stdout).toMatch(new RegExp(`^PROVEN +postgres/app in store offsite: backup ${id} was restored and tried in [\\d.]+ s$`, 'm'));
    expect(stdout).toMatch(/^ +pg_amcheck: every table .* \([\d.]+ s\)$/m);
    expect(stdout.trim().split('\n').at(-1)).toBe('everything that was looked at is good');
    expect(code).toBe(0);
  });
});

it('a subscription of the copy never goes to its publisher', async () => {
  const db = await startPostgres({ version: '18' });
  const at = await setUp(db);
  let calls = 0;
  const publisher = createServer(link => {
    calls += 1;
    link.destroy();
  });
  const port = await freePort();
  await new Promise<void>(resolve => publisher.listen(port, '127.0.0.1', () => resolve()));
  await db.sql(
    `create subscription s connection 'host=127.0.0.1 port=${port} dbname=x' publication p with (connect = false, slot_name = 's')`,
  );
  await db.sql('alter subscription s enable');
  await waitFor(() => calls > 0, 'the source to call its publisher');
  await aBackup(at);
  await db.stop();
  calls = 0;
  const { code, proof } = await prove(at);
  publisher.close();
  expect({ code, calls, proven: failed(proof) }).toEqual({ code: 0, calls: 0, proven: [] });
});
