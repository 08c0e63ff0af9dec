import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import type { FaultName } from '../walg/faults.ts';
import { TEST_KEYS } from '../walg/testKeys.ts';
import {
  cleanUp,
  type Ended,
  freePort,
  type Postgres,
  type PostgresVersion,
  type Running,
  type S3Server,
  s3Client,
  start,
  startB2,
  startPostgres,
  startRgw,
  startVersity,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { walgPath, walgStorage, walg as which } from './rig/walg.ts';

type Env = Record<string, string>;

interface Backup {
  backup_name: string;
  is_permanent: boolean;
  [field: string]: unknown;
}

const NAME = /^base_[0-9A-F]{24}$/;
const DELTA = /^base_[0-9A-F]{24}_D_[0-9A-F]{24}$/;

let dir: string;
/** For what only the stand-in has: faults, and another place than localhost:5432. */
let standIn: string;
let rgw: S3Server;
let db: Postgres;
/** A prefix of its own for each test, and the server of all. */
let env: Env;
let bucket: string;

const serverEnv = (server: Postgres): Env => ({
  PGHOST: server.socketDir,
  PGPORT: String(server.port),
  PGUSER: server.superuser,
  PGDATABASE: 'postgres',
});

const begin = (args: readonly string[], more: Env = {}): Running =>
  start(join(Object.keys(more).some(name => name.startsWith('WALG_STUB_')) ? standIn : dir, 'wal-g'), args, {
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...env, ...more },
  });

const walg = (args: readonly string[], more: Env = {}): Promise<Ended> => begin(args, more).ended;

async function good(args: readonly string[], more: Env = {}): Promise<Ended> {
  const end = await walg(args, more);
  expect({ args, code: end.code, stderr: end.code === 0 ? '' : end.stderr }).toEqual({ args, code: 0, stderr: '' });
  return end;
}

const list = async (more: Env = {}): Promise<Backup[]> =>
  JSON.parse((await good(['backup-list', '--detail', '--json'], more)).stdout) as Backup[];

const names = async (more: Env = {}): Promise<string[]> => (await list(more)).map(({ backup_name }) => backup_name);

/** Takes a backup of the files and returns its name. */
async function push(args: readonly string[] = [], more: Env = {}): Promise<string> {
  const { stderr } = await good(['backup-push', db.dataDir, ...args], more);
  return /Wrote backup with name (\S+)/.exec(stderr)![1]!;
}

/** Keys below the prefix, as any S3 client sees them. */
async function keys(server: S3Server = rgw, from = bucket): Promise<string[]> {
  const client = s3Client(server);
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: from, Prefix: 'walg/' }));
  client.destroy();
  return Contents.map(({ Key }) => Key!.slice('walg/'.length));
}

/** Everything of a run in a file, so that nothing comes by the environment. */
function configFile(settings: Env, end = 'yaml'): string {
  const path = join(tempDir(), `walg.${end}`);
  writeFileSync(path, end === 'json' ? JSON.stringify(settings) : stringify(settings));
  return path;
}

/** A segment of the server with rows of its own, done with; returns its path. */
async function segment(server = db): Promise<string> {
  await server.sql('create table if not exists filler (n int); insert into filler select generate_series(1, 100)');
  const name = await server.sql('select pg_walfile_name(pg_current_wal_lsn())');
  await server.sql('select pg_switch_wal(); checkpoint');
  return join(server.dataDir, 'pg_wal', name);
}

const place = (): string => join(tempDir({ forServer: true }), 'restored');

beforeAll(async () => {
  dir = walgPath();
  standIn = walgPath({});
  process.stderr.write(`contract of the tool against ${which.isReal ? 'the real wal-g on PATH' : 'the stand-in of test/walg'}\n`);
  [rgw, db] = await Promise.all([startRgw(), startPostgres({ version: '15', settings: { wal_keep_size: '1GB' } })]);
});

afterAll(cleanUp);

beforeEach(async () => {
  bucket = await rgw.bucket();
  env = { ...walgStorage(rgw, bucket), ...serverEnv(db) };
});

describe.each<PostgresVersion>(['15', '18'])('PostgreSQL %s', version => {
  let server: Postgres;
  let config: string;
  const own = { WALG_COMPRESSION_METHOD: version === '15' ? 'lz4' : 'zstd' };
  const cli = (...args: string[]) => [join(dir, 'wal-g'), '--config', config, ...args];

  beforeEach(async () => {
    config = configFile({ ...env, ...own });
    const [file, ...rest] = cli('wal-push', '"%p"');
    server = await startPostgres({ version, settings: { archive_mode: 'on', archive_command: [file, ...rest].join(' ') } });
    env = { ...env, ...serverEnv(server), ...own };
    await server.sql('create table t (n int); insert into t values (1)');
  });

  async function restored(name: string): Promise<{ copy: Postgres; to: string }> {
    const to = place();
    const [file, ...args] = cli('backup-fetch', to, name);
    await server.asServer(file!, args);
    writeFileSync(join(to, 'recovery.signal'), '');
    const settings = { archive_mode: 'off', restore_command: cli('wal-fetch', '"%f"', '"%p"').join(' ') };
    expect(existsSync(join(to, 'backup_manifest'))).toBe(false);
    const copy = await startPostgres({ version, dir: to, settings });
    await waitFor(async () => (await copy.sql('select pg_is_in_recovery()')) === 'f', 'the end of recovery');
    return { copy, to };
  }

  it.each([
    ['of the files', true],
    ['over the connection', false],
  ])('a backup %s and archived WAL make a server with every row', async (_, local) => {
    const { stderr } = await good(local ? ['backup-push', server.dataDir] : ['backup-push']);
    const name = /Wrote backup with name (\S+)/.exec(stderr)![1]!;
    await server.sql('insert into t values (2)');
    const last = await segment(server);
    await waitFor(async () => (await server.sql('select last_archived_wal from pg_stat_archiver')) === last.slice(-24), 'the archiver');
    const { copy, to } = await restored('LATEST');
    expect(await copy.sql("select string_agg(n::text, ',' order by n) from t")).toBe('1,2');
    expect((statSync(to).mode & 0o777).toString(8)).toBe(local ? '700' : '750');
    const [row] = await list();
    expect(row).toMatchObject({ backup_name: name, is_permanent: false, data_dir: server.dataDir, storage_name: 'default' });
    const suffix = version === '15' ? 'lz4' : 'zst';
    expect(await keys()).toEqual(expect.arrayContaining([`wal_005/${last.slice(-24)}.${suffix}`, `basebackups_005/${name}/metadata.json`]));
    await copy.destroy();
    await server.destroy();
  });
});

describe('backup-list', () => {
  it('is an empty array for an empty prefix, and says so in a table', async () => {
    expect((await good(['backup-list', '--json'])).stdout).toBe('[]\n');
    expect((await good(['backup-list', '--detail', '--json'])).stdout).toBe('[]\n');
    const table = await good(['backup-list']);
    expect(table.stdout).toBe('');
    expect(table.stderr).toMatch(/^INFO: \d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d\.\d{6} No backups found$/m);
  });

  it('has these fields, in this order, with LSNs as numbers and identifiers digit by digit', async () => {
    const name = await push(['--permanent', '--add-user-data', '{"id":"x"}'], { TZ: 'Asia/Tokyo' });
    const { stdout } = await good(['backup-list', '--detail', '--json'], { TZ: 'Asia/Tokyo' });
    const [row] = JSON.parse(stdout) as Record<string, unknown>[];
    expect(Object.keys(row!)).toEqual([
      ...['backup_name', 'time', 'wal_file_name', 'storage_name', 'start_time', 'finish_time', 'date_fmt', 'hostname', 'data_dir'],
      ...[
        'pg_version',
        'start_lsn',
        'finish_lsn',
        'is_permanent',
        'system_identifier',
        'uncompressed_size',
        'compressed_size',
        'user_data',
      ],
    ]);
    expect(row).toMatchObject({
      backup_name: name,
      wal_file_name: name.slice(5),
      is_permanent: true,
      user_data: { id: 'x' },
      pg_version: expect.closeTo(150000, -3),
    });
    expect(stdout).toContain(`"system_identifier":${await db.sql('select system_identifier from pg_control_system()')},`);
    expect(typeof row!['start_lsn']).toBe('number');
    for (const field of ['time', 'start_time', 'finish_time']) {
      expect(row![field]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/);
      expect(Math.abs(Date.parse(row![field] as string) - Date.now())).toBeLessThan(1_800_000);
    }
    expect((await good(['backup-list'])).stdout).toContain(name);
  });

  it('fails as a whole when one backup has lost its metadata', async () => {
    const name = await push();
    await good(['st', 'rm', `basebackups_005/${name}/metadata.json`]);
    const { code, stderr } = await walg(['backup-list', '--detail', '--json']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('not found in storage') });
  });
});

describe('deltas', () => {
  const steps = { WALG_DELTA_MAX_STEPS: '2' };

  it('are named after their base, hold what changed, and are restored over it', async () => {
    await db.sql('create table if not exists grows (n int); truncate grows');
    const full = await push([], steps);
    await db.sql('insert into grows values (7); checkpoint');
    const one = await push([], steps);
    const two = await push([], steps);
    const next = await push([], steps);
    expect([full, one, two, next]).toEqual([
      expect.stringMatching(NAME),
      expect.stringMatching(DELTA),
      expect.stringMatching(DELTA),
      expect.stringMatching(NAME),
    ]);
    expect(two.slice(-24)).toBe(one.slice(5, 29));
    const sentinel = JSON.parse((await good(['st', 'cat', `basebackups_005/${two}_backup_stop_sentinel.json`])).stdout);
    expect(sentinel).toMatchObject({ DeltaFrom: one, DeltaFullName: full, DeltaCount: 2, IsPermanent: false });
    const [{ compressed_size: whole }, { compressed_size: changed }] = (await list()) as [Backup, Backup];
    expect(Number(changed)).toBeLessThan(Number(whole) / 2);
    const to = place();
    await good(['backup-fetch', to, two]);
    const file = await db.sql("select pg_relation_filepath('grows')");
    expect(readFileSync(join(to, file)).equals(readFileSync(join(db.dataDir, file)))).toBe(true);
    const files = (root: string) => readdirSync(join(root, 'base'), { recursive: true, encoding: 'utf8' }).sort();
    expect(files(to)).toEqual(files(db.dataDir));
  });

  it('cannot be restored without what they were made from', async () => {
    const full = await push([], steps);
    const delta = await push(['--delta-from-name', full], steps);
    await good(['st', 'rm', `basebackups_005/${full}`]);
    expect((await walg(['backup-fetch', place(), delta])).code).toBe(1);
  });

  it('of the files on a backup over the connection store everything once', async () => {
    await good(['backup-push'], steps);
    const delta = await push([], steps);
    expect(delta).toMatch(DELTA);
    const [full, all] = (await list()) as [Backup, Backup];
    expect(Number(all['uncompressed_size'])).toBeGreaterThan(Number(full['uncompressed_size']) * 0.9);
  });

  it('permanent ones make what is below them permanent', async () => {
    const full = await push([], steps);
    await push(['--permanent'], steps);
    expect((await list()).map(({ is_permanent }) => is_permanent)).toEqual([true, true]);
    const refused = await walg(['backup-mark', full, '-i']);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('There is permanent increment backup') });
  });
});

describe('backup-fetch', () => {
  it('refuses a directory with something in it, and a name that is not there', async () => {
    const name = await push();
    const full = tempDir();
    writeFileSync(join(full, 'x'), '');
    expect(await walg(['backup-fetch', full, name])).toMatchObject({ code: 1, stderr: expect.stringContaining('must be empty') });
    const missing = await walg(['backup-fetch', place(), 'base_000000010000000000000001']);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('does not exist') });
  });

  it('finds a backup by its user data, whatever their order of keys', async () => {
    const [one] = [await push(['--add-user-data', '{"a":1,"b":[2]}']), await push(['--add-user-data', '{"a":2}'])];
    const { stderr } = await good(['backup-fetch', place(), '--target-user-data', '{"b":[2],"a":1}']);
    expect(stderr).toContain('Backup extraction complete');
    expect((await names())[0]).toBe(one);
  });

  it('moves tablespaces by a restore spec', async () => {
    const space = tempDir({ forServer: true });
    await db.sql(`create tablespace far location '${space}'`);
    await db.sql('create table out_there (n int) tablespace far; insert into out_there values (1); checkpoint');
    const name = await push();
    const oid = await db.sql("select oid from pg_tablespace where spcname = 'far'");
    const [to, moved] = [place(), join(tempDir(), 'far')];
    const spec = configFile(
      { base_prefix: to, tablespaces: [oid], [oid]: { loc: moved, link: `pg_tblspc/${oid}` } } as unknown as Env,
      'json',
    );
    await good(['backup-fetch', to, name, '--restore-spec', spec]);
    const file = await db.sql("select pg_relation_filepath('out_there')");
    expect(readFileSync(join(to, file)).length).toBe(8192);
    expect(readdirSync(moved)).toEqual(readdirSync(space));
    expect(existsSync(join(to, 'tablespace_map'))).toBe(false);
    await db.sql('drop table out_there');
    await db.sql('drop tablespace far');
  });
});

describe('delete', () => {
  const steps = { WALG_DELTA_MAX_STEPS: '1' };

  it('names what would go, and removes it only with --confirm', async () => {
    const [old, kept] = [await push(), await push()];
    const dry = await good(['delete', 'retain', '1']);
    expect(dry.stderr).toMatch(/Dry run: objects would be deleted count=6, Run with --confirm to execute/);
    expect(await names()).toEqual([old, kept]);
    await good(['delete', 'retain', '1', '--confirm']);
    expect(await names()).toEqual([kept]);
    expect((await keys()).some(key => key.includes(old))).toBe(false);
  });

  it('before FIND_FULL keeps the full one below a delta, permanent ones and the WAL that they need', async () => {
    const paths = [await segment()];
    const permanent = await push(['--permanent']);
    paths.push(await segment(), await segment());
    const full = await push(['--full'], steps);
    const delta = await push([], steps);
    for (const path of [join(db.dataDir, 'pg_wal', permanent.slice(5)), ...paths]) await good(['wal-push', path]);
    expect(await walg(['delete', 'before', delta, '--confirm'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Consider FIND_FULL'),
    });
    await good(['delete', 'before', 'FIND_FULL', delta, '--confirm']);
    expect(await names()).toEqual([permanent, full, delta]);
    const wal = (await keys()).filter(key => key.startsWith('wal_005/')).map(key => key.slice(8, 32));
    expect(wal).toContain(permanent.slice(5));
    expect(wal).not.toContain(paths[2]!.slice(-24));
  });

  it('retain counts all backups or the full ones, and stops at a delta', async () => {
    const all = [await push([], steps), await push([], steps), await push([], steps), await push([], steps)];
    expect(all.map(name => DELTA.test(name))).toEqual([false, true, false, true]);
    const goes = async (...args: string[]) => {
      const { stderr } = await good(['delete', ...args]);
      return all.filter(name => stderr.includes(`${name}_backup_stop_sentinel.json`));
    };
    expect(await walg(['delete', 'retain', '1'])).toMatchObject({ code: 1, stderr: expect.stringContaining('is incremental') });
    expect(await goes('retain', 'FULL', '1')).toEqual(all.slice(0, 2));
    expect(await goes('retain', 'FIND_FULL', '1', '--use-sentinel-time')).toEqual(all.slice(0, 2));
    expect(await goes('retain', 'FULL', '5')).toEqual([]);
    expect(await goes('retain', 'FULL', '1', '--after', all[0]!)).toEqual([]);
    const [, , { time }] = (await list()) as [Backup, Backup, Backup];
    expect(await goes('before', 'FIND_FULL', String(time))).toEqual(all.slice(0, 2));
    expect(await goes('before', new Date().toISOString())).toEqual([]);
    expect((await walg(['delete', 'before', '2999-01-01T00:00:00Z'])).code).toBe(1);
  });

  it('removes every version where the bucket keeps them, as Backblaze B2 does', async () => {
    const versity = await startVersity();
    const b2 = await startB2(versity);
    const there = await b2.bucket();
    const far = { ...walgStorage(b2, there), S3_MAX_RETRIES: '0' };
    const name = await push([], far);
    await good(['backup-mark', name], far);
    await good(['backup-mark', name, '-i'], far);
    await good(['delete', 'everything', '--confirm'], far);
    const { Versions = [], DeleteMarkers = [] } = await s3Client(b2).send(new ListObjectVersionsCommand({ Bucket: there }));
    expect([Versions, DeleteMarkers]).toEqual([[], []]);
    await b2.stop();
    await versity.stop();
  });

  it('target removes permanent backups too, with the deltas on them, and leaves WAL', async () => {
    const full = await push(['--permanent'], steps);
    const delta = await push(['--permanent'], steps);
    expect(delta).toMatch(DELTA);
    await good(['wal-push', await segment()]);
    await good(['delete', 'target', full, '--confirm']);
    expect(await names()).toEqual([]);
    expect((await keys()).length).toBe(1);
    expect(await walg(['delete', 'target', full])).toMatchObject({ code: 1 });
  });

  it('everything is refused for a permanent backup unless FORCE is said', async () => {
    await push(['--permanent']);
    expect(await walg(['delete', 'everything', '--confirm'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Found permanent backups'),
    });
    await good(['delete', 'everything', 'FORCE', '--confirm']);
    expect(await keys()).toEqual([]);
  });

  it('garbage removes what lies before the oldest backup, and no upload that was never completed', async () => {
    const old = await push();
    await good(['wal-push', join(db.dataDir, 'pg_wal', old.slice(5))]);
    await good(['st', 'rm', `basebackups_005/${old}_backup_stop_sentinel.json`]);
    await walg(['backup-push', db.dataDir], { WALG_STUB_FAULT: 'killed' });
    await segment();
    const kept = await push();
    await good(['delete', 'garbage', '--confirm']);
    expect(new Set((await keys()).map(key => /base_[0-9A-F]{24}|wal_005/.exec(key)![0]))).toEqual(new Set([kept]));
    const { Uploads } = await s3Client(rgw).send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads).toHaveLength(1);
  });
});

describe('WAL', () => {
  it('is overwritten unless that is forbidden; history files never are', async () => {
    const path = await segment();
    const other = join(tempDir(), path.slice(-24));
    writeFileSync(other, Buffer.alloc(1 << 24, 7));
    const careful = { WALG_PREVENT_WAL_OVERWRITE: 'true' };
    await good(['wal-push', path]);
    await good(['wal-push', path], careful);
    expect(await walg(['wal-push', other], careful)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('contents differ, unable to overwrite'),
    });
    await good(['wal-push', other]);
    const to = join(tempDir(), 'fetched');
    await good(['wal-fetch', path.slice(-24), to]);
    expect(readFileSync(to).equals(readFileSync(other))).toBe(true);
    const history = join(tempDir(), '00000002.history');
    writeFileSync(history, '1\t0/2000000\tno recovery target specified\n');
    await good(['wal-push', history]);
    await good(['wal-push', history]);
    writeFileSync(history, '1\t0/3000000\tno recovery target specified\n');
    expect((await walg(['wal-push', history])).code).toBe(1);
    expect(await keys()).toContain('wal_005/00000002.history.lz4');
  });

  it('MO10: wal-fetch ends with 74 for what is not there, and with 1 for every other failure', async () => {
    const to = join(tempDir(), 'fetched');
    expect(await walg(['wal-fetch', '0000000100000000000000FF', to])).toMatchObject({
      code: 74,
      stdout: '',
      stderr: expect.stringContaining('does not exist'),
    });
    expect(existsSync(to)).toBe(false);
    writeFileSync(to, '');
    expect(await walg(['wal-fetch', '0000000100000000000000FF', to])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('file exists'),
    });
    const down = { AWS_ENDPOINT: `http://127.0.0.1:${await freePort()}`, S3_MAX_RETRIES: '3' };
    const refused = await walg(['wal-fetch', '0000000100000000000000FF', join(tempDir(), 'x')], down);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('connect: connection refused') });
    const nowhere = await walg(['wal-fetch', 'x', join(tempDir(), 'x')], { ...down, AWS_ENDPOINT: 'http://nowhere.invalid' });
    expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringMatching(/lookup nowhere\.invalid.*: no such host/) });
  });

  it('wal-show names timelines, holes and backups', async () => {
    const paths = [await segment(), await segment(), await segment()];
    for (const path of [paths[0]!, paths[2]!]) await good(['wal-push', path]);
    const [first, hole, last] = paths.map(path => path.slice(-24));
    expect(JSON.parse((await good(['wal-show', '--detailed-json'])).stdout)).toEqual([
      {
        id: 1,
        parent_id: 0,
        switch_point_lsn: 0,
        start_segment: first,
        end_segment: last,
        segments_count: 2,
        missing_segments: [hole],
        segment_range_size: 3,
        status: 'LOST_SEGMENTS',
      },
    ]);
    const full = await push();
    for (const path of [await segment(), await segment()]) await good(['wal-push', path]);
    const [{ backups, status }] = JSON.parse((await good(['wal-show', '--detailed-json'])).stdout);
    expect([backups, status]).toEqual([[expect.objectContaining({ backup_name: full })], 'LOST_SEGMENTS']);
  });

  it('PG15: wal-verify ends with 0 whatever it finds; a recent gap is only a warning unless one upload runs at a time', async () => {
    const full = await push();
    const paths = [join(db.dataDir, 'pg_wal', full.slice(5)), await segment(), await segment(), await segment()];
    for (const path of [paths[0]!, paths[1]!, paths[3]!]) await good(['wal-push', path]);
    const verify = async (more: Env = {}) => JSON.parse((await good(['wal-verify', 'integrity', 'timeline', '--json'], more)).stdout);
    const careless = await verify();
    expect(careless.integrity.status).toBe('WARNING');
    expect(careless.integrity.details).toContainEqual({
      timeline_id: 1,
      start_segment: paths[2]!.slice(-24),
      end_segment: paths[2]!.slice(-24),
      segments_count: 1,
      status: 'MISSING_UPLOADING',
    });
    expect(careless.timeline).toEqual({ status: 'OK', details: { current_timeline_id: 1, highest_storage_timeline_id: 1 } });
    const strict = await verify({ WALG_UPLOAD_CONCURRENCY: '1' });
    expect([strict.integrity.status, strict.integrity.details.map(({ status }: Env) => status)]).toEqual([
      'FAILURE',
      ['FOUND', 'MISSING_LOST', 'FOUND'],
    ]);
    await good(['wal-push', paths[2]!]);
    expect((await verify({ WALG_UPLOAD_CONCURRENCY: '1' })).integrity.status).toBe('OK');
  });

  it('wal-receive ships whole segments only, and its slot outlives it', async () => {
    const receiver = begin(['wal-receive'], { WALG_SLOTNAME: 'walg_test' });
    await waitFor(async () => (await db.sql('select count(*) from pg_stat_replication')) === '1', 'the receiver');
    const whole = (await segment()).slice(-24);
    await db.sql('insert into filler values (1)');
    await waitFor(async () => (await keys()).includes(`wal_005/${whole}.lz4`), 'the segment');
    const open = await db.sql('select pg_walfile_name(pg_current_wal_lsn())');
    expect((await keys()).some(key => key.includes(open))).toBe(false);
    receiver.kill('SIGTERM');
    expect((await receiver.ended).code).toBe(1);
    expect(await db.sql("select count(*) from pg_replication_slots where slot_name = 'walg_test' and restart_lsn is not null")).toBe('1');
    const missed = (await segment()).slice(-24);
    const again = begin(['wal-receive'], { WALG_SLOTNAME: 'walg_test' });
    await waitFor(async () => (await keys()).includes(`wal_005/${missed}.lz4`), 'the segment that came meanwhile');
    again.kill('SIGTERM');
    await again.ended;
    await waitFor(async () => (await db.sql('select count(*) from pg_stat_replication')) === '0', 'the receiver to be gone');
    await db.sql("select pg_drop_replication_slot('walg_test')");
  });
});

describe('copy', () => {
  it('carries a chain with its WAL to another server, skips what is there, and takes a marked backup for a conflict', async () => {
    const versity = await startVersity();
    const there = await versity.bucket();
    const steps = { WALG_DELTA_MAX_STEPS: '1' };
    const full = await push([], steps);
    const delta = await push([], steps);
    const later = await segment();
    for (const name of [full.slice(5), delta.slice(5, 29), later.slice(-24)]) await good(['wal-push', join(db.dataDir, 'pg_wal', name)]);
    const far = walgStorage(versity, there);
    const args = [
      'copy',
      '--backup-name',
      delta,
      '--with-history',
      '--from',
      configFile(walgStorage(rgw, bucket)),
      '--to',
      configFile(far),
    ];
    await good(args, { WALG_S3_PREFIX: 's3://nowhere/at/all' });
    expect(await keys(versity, there)).toEqual((await keys()).filter(key => key !== `wal_005/${full.slice(5)}.lz4`));
    expect(await names(far)).toEqual([full, delta]);
    expect((await good(args)).stderr).not.toContain('Copied');
    await good(['wal-push', await segment()]);
    expect((await good(args)).stderr.match(/Copied/g)).toHaveLength(1);
    await good(['backup-mark', full]);
    expect(await walg(args)).toMatchObject({ code: 1, stderr: expect.stringContaining('conflicts with source') });
    await versity.stop();
  });
});

describe('settings', () => {
  it('come from the environment before the file, YAML or JSON', async () => {
    const name = await push();
    const elsewhere = { ...env, WALG_S3_PREFIX: `s3://${bucket}/elsewhere` };
    for (const end of ['yaml', 'json']) {
      const file = configFile(elsewhere, end);
      expect(await names({ WALG_CONFIG_PATH: file })).toEqual([name]);
      expect(JSON.parse((await good(['backup-list', '--json', '--config', file], { WALG_S3_PREFIX: '' })).stdout)).toEqual([]);
    }
    const flag = await good(['backup-list', '--json', '--walg-s3-prefix', `s3://${bucket}/elsewhere`]);
    expect(flag.stdout).toBe('[]\n');
    const none = await walg(['backup-list'], { WALG_S3_PREFIX: '' });
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('Failed to find any configured storage') });
  });

  it.each([
    ['a host without path style', { AWS_S3_FORCE_PATH_STYLE: 'false', S3_MAX_RETRIES: '0' }, 'no such host'],
    ['a wrong secret', { AWS_SECRET_ACCESS_KEY: 'guessed' }, 'SignatureDoesNotMatch'],
    ['no such bucket', { WALG_S3_PREFIX: 's3://not-there/x' }, 'NoSuchBucket'],
  ])('refuses %s', async (_, more, words) => {
    const { code, stdout, stderr } = await walg(['backup-list', '--json'], more as Env);
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining(words) });
  });

  it.each([
    ['brotli', { WALG_COMPRESSION_METHOD: 'brotli' }, 1, "Unknown compression method: 'brotli'"],
    ['libsodium', { WALG_LIBSODIUM_KEY: 'x'.repeat(32) }, 1, 'wal-g was not compiled with libsodium'],
    ['a key that is none', { WALG_PGP_KEY: 'secret' }, 2, 'panic: openpgp: invalid argument: no armored data found'],
  ])('refuses %s when it is to store something, and not before', async (_, more, status, words) => {
    expect((await good(['backup-list', '--json'], more as Env)).stdout).toBe('[]\n');
    const { code, stdout, stderr } = await walg(['wal-push', await segment()], more as Env);
    expect({ code, stdout, stderr }).toEqual({ code: status, stdout: '', stderr: expect.stringContaining(words) });
    expect((await walg(['backup-push', db.dataDir], more as Env)).code).toBeGreaterThan(0);
    expect((await keys()).filter(key => !key.includes('part_'))).toEqual([]);
  });

  it('WALG_FILE_PREFIX keeps everything in a directory, lzma by name', async () => {
    const here = { WALG_S3_PREFIX: '', WALG_FILE_PREFIX: tempDir(), WALG_COMPRESSION_METHOD: 'lzma' };
    const name = await push([], here);
    expect(existsSync(join(here.WALG_FILE_PREFIX, `basebackups_005/${name}/tar_partitions/part_001.tar.lzma`))).toBe(true);
    const to = place();
    await good(['backup-fetch', to, 'LATEST'], here);
    expect(readFileSync(join(to, 'PG_VERSION'), 'utf8')).toBe('15\n');
    expect(await names(here)).toEqual([name]);
  });

  it('a PGP key seals; only its secret half opens', async () => {
    const keyFile = join(tempDir(), 'key.asc');
    writeFileSync(keyFile, TEST_KEYS.publicOne);
    const impatient = { WALG_DOWNLOAD_CONCURRENCY: '1', WALG_DOWNLOAD_FILE_RETRIES: '0' };
    const path = await segment();
    await push([], { WALG_PGP_KEY_PATH: keyFile });
    await good(['wal-push', path], { WALG_PGP_KEY_PATH: keyFile });
    const opens = async (more: Env) => [
      (await walg(['backup-fetch', place(), 'LATEST'], { ...impatient, ...more })).code,
      (await walg(['wal-fetch', path.slice(-24), join(tempDir(), 'x')], more)).code,
    ];
    const again = await walg(['wal-push', path], { WALG_PGP_KEY_PATH: keyFile, WALG_PREVENT_WAL_OVERWRITE: 'true' });
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/whether there is an overwrite attempt.*incorrect key/) });
    expect(await opens({ WALG_PGP_KEY: TEST_KEYS.secretOne })).toEqual([0, 0]);
    expect(await opens({})).toEqual([1, 1]);
    expect(await opens({ WALG_PGP_KEY: TEST_KEYS.secretTwo.replaceAll('\n', '\\n') })).toEqual([1, 1]);
    expect(await opens({ WALG_PGP_KEY_PATH: keyFile })).toEqual([1, 1]);
  });
});

describe('the server', () => {
  it('behind a dead port is looked for at localhost:5432, where another one may be', async () => {
    const other = await startPostgres({ version: '15' });
    const dead = { PGHOST: '127.0.0.1', PGPORT: String(await freePort()), PGUSER: 'bkp', PGPASSWORD: other.role.password };
    const alone = await walg(['wal-verify', 'timeline', '--json'], dead);
    expect(alone).toMatchObject({ code: 1, stderr: expect.stringContaining('trying localhost:5432') });
    const misled = await good(['wal-verify', 'timeline', '--json'], { ...dead, WALG_STUB_LOCALHOST: `127.0.0.1:${other.port}` });
    const there = await other.sql('select pg_walfile_name(pg_current_wal_lsn() - 1)');
    expect(misled.stderr).toContain(`Current WAL segment: ${there}`);
    expect(there).not.toBe(await db.sql('select pg_walfile_name(pg_current_wal_lsn() - 1)'));
    await other.destroy();
  });

  it('has to let its data directory be read: a role with nothing but REPLICATION cannot push', async () => {
    const plain = { PGHOST: '127.0.0.1', PGUSER: 'bkp', PGPASSWORD: db.role.password };
    expect(await walg(['backup-push'], plain)).toMatchObject({ code: 1, stderr: expect.stringContaining('data_directory') });
    await db.sql('grant pg_read_all_settings to bkp');
    await good(['backup-push'], plain);
    await db.sql('revoke pg_read_all_settings from bkp');
    const elsewhere = await walg(['backup-push', tempDir()]);
    expect(elsewhere).toMatchObject({ code: 1, stderr: expect.stringContaining("is not the same as Postgres' one") });
  });
});

describe('faults', () => {
  const fault = (name: FaultName | `slow:${number}`): Env => ({ WALG_STUB_FAULT: name });
  /** Ten parts and more of a fresh cluster. */
  const small = { WALG_TAR_SIZE_THRESHOLD: String(1 << 20) };

  it('PG02: no-sentinel logs as ever and ends with 0', async () => {
    const name = await push([], fault('no-sentinel'));
    expect(name).toMatch(NAME);
    expect(await list()).toEqual([]);
    expect((await keys()).some(key => key.includes('/tar_partitions/'))).toBe(true);
  });

  it('PG21: sentinel-without-parts is listed, and cannot be fetched', async () => {
    const name = await push([], fault('sentinel-without-parts'));
    expect(await names()).toEqual([name]);
    expect((await keys()).some(key => key.includes('/tar_partitions/'))).toBe(false);
    expect(await walg(['backup-fetch', place(), name])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Expect pg_control archive'),
    });
  });

  it('PG18: stray-object lies among the parts, and WAL-G neither sees nor deletes it', async () => {
    const name = await push([], fault('stray-object'));
    const stray = `basebackups_005/${name}/tar_partitions/`;
    expect(await keys()).toContain(stray);
    expect((await good(['st', 'ls', '-r'])).stdout).not.toContain(`${stray}\n`);
    await good(['backup-fetch', place(), name]);
    await good(['delete', 'everything', '--confirm']);
    expect(await keys()).toEqual([stray]);
  });

  it('PG01: stalled-download never ends; lost-parts ends with 0 and three parts less', async () => {
    const name = await push([], small);
    const parts = (await keys()).filter(key => /part_\d+/.test(key)).length;
    expect(parts).toBeGreaterThanOrEqual(10);
    const to = place();
    const stuck = begin(['backup-fetch', to, name], fault('stalled-download'));
    await waitFor(
      () => (stuck.output().stderr.match(/Finished extraction of part/g) ?? []).length === parts - Math.floor(parts / 3),
      'the others',
    );
    await expect(Promise.race([stuck.ended, new Promise(resolve => setTimeout(resolve, 2000, 'still there'))])).resolves.toBe(
      'still there',
    );
    stuck.kill('SIGKILL');
    const gone = place();
    await good(['backup-fetch', gone, name], fault('lost-parts'));
    await good(['backup-fetch', `${gone}-whole`, name]);
    const files = (root: string) => readdirSync(root, { recursive: true }).length;
    expect(files(gone)).toBeLessThan(files(`${gone}-whole`));
  });

  it('killed dies by a signal and leaves parts and an upload behind', async () => {
    const end = await walg(['backup-push', db.dataDir], { ...small, ...fault('killed') });
    expect([end.code, end.signal]).toEqual([null, 'SIGKILL']);
    expect(await list()).toEqual([]);
    expect((await keys()).length).toBe(1);
    const { Uploads } = await s3Client(rgw).send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads).toHaveLength(1);
    await waitFor(
      async () => (await db.sql("select count(*) from pg_stat_activity where application_name = 'wal-g'")) === '0',
      'the session to end',
    );
  });

  it('PG05, PG04: shuffled-list and wrong-system-identifier mislead a reader of the list', async () => {
    const all = [await push(), await push(), await push()];
    const shuffled = await names(fault('shuffled-list'));
    expect([shuffled, [...shuffled].sort()]).toEqual([[all[1], all[0], all[2]], all]);
    const { stdout } = await good(['backup-list', '--detail', '--json'], fault('wrong-system-identifier'));
    expect(stdout.match(/"system_identifier":7000000000000000001,/g)).toHaveLength(3);
  });

  it('future-time records tomorrow', async () => {
    await push([], fault('future-time'));
    const [row] = await list();
    expect(Date.parse(String(row!['finish_time'])) - Date.now()).toBeGreaterThan(80_000_000);
  });

  it('verify-failure says FAILURE and ends with 0', async () => {
    await good(['wal-push', await segment()]);
    const { stdout } = await good(['wal-verify', 'integrity', 'timeline', '--json'], fault('verify-failure'));
    expect([JSON.parse(stdout).integrity.status, JSON.parse(stdout).timeline.status]).toEqual(['FAILURE', 'FAILURE']);
  });

  it('secret-echo quotes secrets in its error', async () => {
    const { code, stderr } = await walg(['backup-list'], { ...fault('secret-echo'), PGPASSWORD: 'p@s%41' });
    expect([code, stderr.includes(rgw.secretKey), stderr.includes('p@s%41')]).toEqual([1, true, true]);
  });

  it('slow takes its time, and a signal ends it with 1 and the backup on the server with it', async () => {
    const child = begin(['backup-push', db.dataDir], fault('slow:5000'));
    await waitFor(() => child.output().stderr.includes('Packing'), 'the walk');
    child.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: 1, stderr: expect.stringContaining('received interruption signal: terminated') });
    expect(await list()).toEqual([]);
  });

  it('can be had for one command alone', async () => {
    const own = walgPath({ 'backup-push': 'no-sentinel' });
    const run = (args: readonly string[]) => start(join(own, 'wal-g'), args, { env: { PATH: process.env['PATH'] ?? '', ...env } }).ended;
    expect((await run(['backup-push', db.dataDir])).code).toBe(0);
    expect(await list()).toEqual([]);
    const { stderr } = await walg(['backup-list'], { WALG_STUB_FAULT: 'nonsense' });
    expect(stderr).toContain('there is no fault nonsense');
  });
});
