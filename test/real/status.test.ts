import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { App } from '../../src/app.ts';
import { type RunRecord, recordRun } from '../../src/ops/records/run.ts';
import { openDirectory } from '../../src/providers/stores/directory.ts';
import { agedCopy, signerOf } from './aged.ts';
import { changed, entryOf, lastJson, type Yaml } from './change.ts';
import { later } from './later.ts';
import {
  cleanUp,
  freePort,
  type Postgres,
  pause,
  runBkp,
  type S3Server,
  startPostgres,
  startRgw,
  stopBkp,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { daemon, killAll, stoppable, untilAnswers } from './rig/s3.ts';
import { aBackup, aPlace, type Setup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

const BASE = 'bkp/production/postgres/app';
const DAY = 86_400_000;
const SECRET = 'not/a+secret=0123456789';

describe('bkp status of a PostgreSQL in a directory and in an S3 store', () => {
  let db: Postgres;
  let rgw: S3Server;
  let at: Setup;

  /** `local` is a directory, `offsite` a versioned bucket. */
  async function withBucket(setup: Setup): Promise<Setup> {
    const path = join(tempDir(), 'bkp.yaml');
    const config = parse(readFileSync(setup.run.config, 'utf8'));
    const account = { accessKey: rgw.accessKey, secretKey: '${S3_SECRET}', retries: 1, idleTimeout: '2s' };
    const bucket = await rgw.bucket({ versions: true });
    config.environments.production.stores.offsite = { type: 'hetzner', region: 'fsn1', endpoint: rgw.endpoint, bucket, ...account };
    writeFileSync(path, stringify(config, { lineWidth: 0 }));
    return { ...setup, run: { config: path, env: { ...setup.run.env, S3_SECRET: SECRET } } };
  }

  async function status(run: Setup['run'] = at.run, ...args: string[]) {
    const { code, stdout, stderr } = await runBkp(['status', 'postgres', 'app', '--json', ...args], run);
    const last = lastJson(stdout);
    const [target] = (last['targets'] ?? []) as Yaml[];
    const rows: Yaml = Object.fromEntries((target?.['stores'] ?? []).map((row: Yaml) => [row['store'], row]));
    const red = [...Object.values<Yaml>(rows), target?.['source'] ?? { why: [] }]
      .flatMap(({ why }: any) => why)
      .filter(({ state }: any) => state === 'late' || state === 'failing')
      .map(({ text }: any) => text as string);
    return { code, stderr, source: target?.['source'] as Yaml, local: rows['local'], offsite: rows['offsite'], red };
  }

  /** A run as it would have been recorded in every store. */
  async function recorded(verb: RunRecord['verb'], days: number, exit: RunRecord['exit']): Promise<void> {
    Object.assign(process.env, at.run.env);
    const app = await App.open({ config: at.run.config }, { emit: () => {} }, new AbortController().signal);
    const { ctx } = app.target(undefined, 'postgres', 'app');
    const when = new Date(Date.now() - days * DAY).toISOString();
    const record = { version: 1, verb, startedAt: when, finishedAt: when, exit, message: `${verb} ended so` } as const;
    await recordRun(ctx, ctx.stores, record, randomBytes(3)).finally(() => app.close());
  }

  const archive = async (command: string): Promise<void> => {
    await db.sql(`alter system set archive_command = '${command}'`);
    await db.sql('select pg_reload_conf()');
    await waitFor(async () => (await db.sql('show archive_command')) === command, 'the new archive_command');
  };

  const backupsDir = (): string => join(at.stores['local']!, BASE, 'backups');

  beforeAll(async () => {
    const archiving = { archive_mode: 'on', archive_command: 'true # bkp wal push app', wal_keep_size: '1GB' };
    [rgw, db] = await Promise.all([startRgw(), startPostgres({ version: '18', settings: archiving })]);
    at = await withBucket(await setUp(db));
  });

  it('PG15: zero backups are red in every store', async () => {
    const { code, red } = await status();
    expect({ code, red }).toEqual({ code: 10, red: ['there is no backup in it at all', 'there is no backup in it at all'] });
  });

  it('fresh: exit 0, with what each store holds and how far its log is', async () => {
    const id = await aBackup(at);
    const name = await db.sql('create table t as select 1 as n; select pg_walfile_name(pg_current_wal_lsn())');
    await db.sql('select pg_switch_wal()');
    expect((await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run, cwd: db.dataDir })).code).toBe(0);
    const { code, red, source, local, offsite } = await status();
    expect({ code, red, source: source['state'] }).toEqual({ code: 0, red: [], source: 'ok' });
    for (const row of [local, offsite]) {
      expect(row).toMatchObject({ state: 'ok', up: true, newest: { id }, backups: 1, damaged: 0, log: { lagBytes: expect.any(Number) } });
      expect(row['bytes']).toBeGreaterThan(row['newest'].bytes);
      expect(row['log'].lagSeconds).toBeLessThan(1800);
      expect(Date.parse(row['nextDue'])).toBeGreaterThan(Date.now());
    }
    expect(local).not.toHaveProperty('hidden');
    expect((await status(at.run, '--hidden')).offsite).toMatchObject({ hidden: { objects: expect.any(Number) } });
  });

  it('as text: a line per store and source, no colour without a terminal', async () => {
    const { code, stdout } = await runBkp(['status'], at.run);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok +postgres\/app +local +\d+ \w+ ago \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\)/m);
    expect(stdout).toMatch(/^ok +postgres\/app +\(source\)$/m);
    expect(stdout).toContain('nothing is late and nothing fails in production');
    expect(stdout).not.toContain('\u001b[');
  });

  it('the figures in a file pass promtool and say the same', async () => {
    const path = join(tempDir(), 'bkp.prom');
    expect((await status(at.run, '--textfile', path)).code).toBe(0);
    const text = readFileSync(path, 'utf8');
    const { status: code, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    expect({ code, words: stdout + stderr }).toEqual({ code: 0, words: '' });
    expect(statSync(path).mode & 0o777).toBe(0o644);
    const labels = 'env="production",kind="postgres",name="app"';
    expect(text).toContain(`bkp_backups{${labels},store="offsite"} 1\n`);
    expect(text).toContain(`bkp_late{${labels},store="local"} 0\n`);
    expect(text).toContain(`bkp_source_check_ok{${labels},check="archiver"} 1\n`);
  });

  it('MO01: a pushgateway that does not take the figures is a failure, and one that does shows them', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const refused = await runBkp(['status', '--pushgateway', `http://${address}`], at.run);
    expect({ code: refused.code, out: refused.stdout }).toMatchObject({ code: 1, out: expect.stringContaining('nothing is late') });
    expect(refused.stderr).toMatch(/were not taken by the pushgateway at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    const gateway = daemon('prometheus-pushgateway', [`--web.listen-address=${address}`], {});
    const stop = stoppable(() => killAll([gateway]));
    await untilAnswers(`http://${address}/-/ready`, [gateway]);
    const sent = await runBkp(['status'], { ...at.run, env: { ...at.run.env, BKP_PUSHGATEWAY: `http://${address}` } });
    const shown = await (await fetch(`http://${address}/metrics`)).text();
    await stop();
    expect({ code: sent.code, stderr: sent.stderr }).toEqual({ code: 0, stderr: '' });
    expect(shown).toContain('bkp_store_up{env="production",instance="",job="bkp",kind="postgres",name="app",store="offsite"} 1\n');
  });

  it('a source that is stopped: rows from the stores alone; archiver and slot unknown, not red', async () => {
    await db.stop();
    const { code, red, source, local } = await status();
    expect({ code, red }).toEqual({ code: 0, red: [] });
    expect(source).toMatchObject({ state: 'unknown', checks: [], why: [{ state: 'unknown', text: expect.stringMatching(/refused/) }] });
    expect(local).toMatchObject({ state: 'ok', backups: 1, log: { lagSeconds: expect.any(Number) } });
    expect(local['log']).not.toHaveProperty('lagBytes');
  });

  it('MO02 MO03 MO04: a backup that fails is red until one succeeds, also to a host that knows nothing but the stores', async () => {
    const failed = await runBkp(['backup', 'postgres'], at.run);
    expect(failed.code).not.toBe(0);
    await db.start();
    const elsewhere = { ...at.run, env: { ...at.run.env, XDG_CACHE_HOME: tempDir() } };
    const { code, red, offsite } = await status(elsewhere);
    expect({ code, red }).toEqual({ code: 10, red: Array(2).fill(expect.stringMatching(/the last backup run failed.*refused/)) });
    expect(offsite).toMatchObject({ state: 'failing', backups: 1, runs: { backup: { failureAt: expect.any(String) } } });
    await aBackup(at);
    expect(await status(elsewhere)).toMatchObject({ code: 0, red: [] });
  });

  it('MO07: archiving alone is broken: red, while every store is fresh', async () => {
    await archive('false');
    await db.sql('create table more as select 1 as n; select pg_switch_wal()');
    await waitFor(async () => (await db.sql('select failed_count > 0 from pg_stat_archiver')) === 't', 'the archiver to fail');
    const { code, red, source, local, offsite } = await status();
    expect({ code, local: local['state'], offsite: offsite['state'], source: source['state'] }).toEqual({
      code: 10,
      local: 'ok',
      offsite: 'ok',
      source: 'failing',
    });
    expect(red).toEqual([expect.stringMatching(/^archiver: archive_command fails at \w{24}.*bkp wal push app/)]);
    await archive('true # bkp wal push app');
    await waitFor(async () => (await status()).code === 0, 'the archiver to be well again');
  });

  it('an RPO that is exceeded is late, by the log of each store', async () => {
    const run = changed(at, config => {
      entryOf(config)['rpo'] = '1s';
    });
    await db.sql('create table still_more as select 1 as n');
    const { code, red, local } = await status(run);
    expect({ code, state: local['state'] }).toEqual({ code: 10, state: 'late' });
    expect(red[0]).toMatch(/^the newest log in it is of .* ago and \d+ bytes behind the source .* the RPO is 1 s$/);
  });

  it('MO06: nothing ran for two days: late by the schedule alone', async () => {
    const store = openDirectory('local', { type: 'directory', path: at.stores['local']! });
    const ids = readdirSync(backupsDir());
    await agedCopy(store, BASE, ids.at(-1)!, 2, signerOf(at.keysDir));
    const away = tempDir();
    for (const id of ids) renameSync(join(backupsDir(), id), join(away, id));
    const { code, local, offsite } = await status();
    for (const id of ids) renameSync(join(away, id), join(backupsDir(), id));
    expect({ code, offsite: offsite['state'] }).toEqual({ code: 10, offsite: 'ok' });
    expect(local['why']).toContainEqual({ state: 'late', text: expect.stringMatching(/^the run that was due .* left no good backup/) });
  });

  it('the newest copy is damaged: red in that store alone', async () => {
    const dir = join(backupsDir(), readdirSync(backupsDir()).sort().at(-1)!);
    const file = join(dir, readdirSync(dir).find(name => name.startsWith('base.tar'))!);
    const whole = readFileSync(file);
    truncateSync(file, 100);
    const { code, local, offsite } = await status();
    writeFileSync(file, whole);
    expect({ code, offsite: offsite['state'] }).toEqual({ code: 10, offsite: 'ok' });
    expect(local).toMatchObject({ state: 'failing', damaged: 1 });
    expect(local['why']).toContainEqual({ state: 'failing', text: expect.stringContaining('is damaged') });
  });

  it('MO04: prune that has failed for a week is red; with a good one within the week it is a note', async () => {
    await aBackup(at);
    await recorded('prune', 8, 'done');
    await recorded('prune', 0, 'failed');
    const week = await status();
    expect(week).toMatchObject({ code: 10, red: Array(2).fill(expect.stringMatching(/^prune fails: .*prune ended so.*8 d ago$/)) });
    await recorded('prune', 6, 'done');
    expect(await status()).toMatchObject({ code: 0, red: [] });
  });

  it('a store that is not there is red with its reason and the other one is shown; with none at all it is exit 8', async () => {
    renameSync(at.stores['local']!, `${at.stores['local']}.gone`);
    const one = await status();
    await rgw.stop();
    const none = await status();
    const text = await runBkp(['status'], at.run);
    renameSync(`${at.stores['local']}.gone`, at.stores['local']!);
    expect({ code: one.code, red: one.red }).toEqual({ code: 10, red: [expect.stringMatching(/is not there \(is the disk mounted\?\)/)] });
    expect(one.offsite).toMatchObject({ state: 'ok', up: true });
    expect(none).toMatchObject({ code: 8, local: { up: false }, offsite: { up: false } });
    expect(text.stdout).toMatch(/^failing {2}postgres\/app in offsite: .*127\.0\.0\.1/m);
  });

  it('what the config does not have is told by its exit code, and so is a file that cannot be written', async () => {
    expect((await runBkp(['status', 'mysql'], at.run)).code).toBe(2);
    expect((await runBkp(['status', 'postgres', 'nothing'], at.run)).code).toBe(6);
    const file = join(tempDir(), 'none', 'bkp.prom');
    const { code, stderr } = await runBkp(['status', '--textfile', file], at.run);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('the metrics could not be written to') });
    mkdirSync(join(file, '..'));
    expect((await runBkp(['status', '--textfile', file], at.run)).code).toBe(10);
  });
});

it('a backup of a host whose clock was a year ahead hides nothing: neither that backups fail, nor that none comes', async () => {
  const db = await startPostgres({ version: '18' });
  const at = await setUp(db);
  const good = await aBackup(at);
  const ahead = await aBackup({ ...at, run: { ...at.run, env: { ...at.run.env, ...later(365) } } });
  const status = async (env: Record<string, string> = {}) => {
    const { code, stdout } = await runBkp(['status', 'postgres', 'app', '--json'], { ...at.run, env: { ...at.run.env, ...env } });
    const stores = (lastJson(stdout)['targets'] as Yaml[])[0]!['stores'] as Yaml[];
    return { code, newest: stores.map(({ newest }) => newest?.id), why: stores.flatMap(({ why }) => why.map(({ text }: Yaml) => text)) };
  };
  const told = expect.stringMatching(`^backup ${ahead} began in the future of this host's clock`);
  expect(await status()).toEqual({ code: 0, newest: [good, good], why: [told, told] });
  expect(await status(later(3))).toMatchObject({ code: 10, why: expect.arrayContaining([expect.stringMatching(/left no good backup/)]) });
  await db.stop();
  expect((await runBkp(['backup', 'postgres'], at.run)).code).not.toBe(0);
  expect(await status()).toMatchObject({ code: 10, why: expect.arrayContaining([expect.stringMatching(/the last backup run failed/)]) });
});

it('a store that lacks WAL behind its newest backup is late by what is before that, though it has all that came later', async () => {
  const db = await startPostgres({ version: '18' });
  const at = await setUp(db, { entry: { rpo: '5s', stores: ['local'] } });
  const run = async () => {
    const { code, stdout } = await runBkp(['status', 'postgres', 'app', '--json'], at.run);
    const [row] = (lastJson(stdout)['targets'] as Yaml[])[0]!['stores'] as Yaml[];
    return { code, state: row!['state'], why: (row!['why'] as Yaml[]).map(({ text }) => text as string) };
  };
  await db.sql('create table t (n int)');
  const stream = await streamTo(at, db);
  await aBackup(at);
  const names: string[] = [];
  for (const n of [1, 2, 3]) {
    names.push(await db.sql(`insert into t values (${n}); select pg_walfile_name(pg_current_wal_lsn())`));
    await db.sql('select pg_switch_wal()');
  }
  await waitFor(() => at.walNames('local').includes(names[2]!), 'the WAL');
  await pause(5000);
  await waitFor(async () => (await run()).code === 0, 'all to be well');
  const files = readdirSync(at.stores['local']!, { recursive: true, encoding: 'utf8' });
  rmSync(join(at.stores['local']!, files.find(path => path.includes(`${names[1]}-`))!));
  expect(await run()).toEqual({
    code: 10,
    state: 'late',
    why: [expect.stringMatching(`^it lacks ${names[1]}, behind which only a new backup goes on; the newest log in it before that is of`)],
  });
  expect((await runBkp(['restore', 'postgres', '--latest', '--to', aPlace(), '--yes'], at.run)).code).toBe(4);
  const front = files.filter(path => /\/wal\/.*\/[0-9A-F]{24}-[^/]+$/.test(`/${path}`) && path.split('/').at(-1)! < names[1]!);
  expect(front.length).toBeGreaterThan(0);
  for (const path of front) rmSync(join(at.stores['local']!, path));
  expect(await run()).toEqual({
    code: 10,
    state: 'late',
    why: [
      expect.stringMatching(
        /^it lacks the log from \S+ to \S+, behind which only a new backup goes on; the newest log in it before that is of/,
      ),
    ],
  });
  await aBackup(at);
  expect(await run()).toMatchObject({ code: 0, why: [] });
  await stopBkp(stream, 'SIGTERM');
});

it('a store that is to get the log and has none is late, whatever another one has; one that wal.stores leaves out is not', async () => {
  const db = await startPostgres({ version: '18' });
  const at = await setUp(db, { entry: { rpo: '5s' } });
  const leaving = await setUp(db, { like: at, entry: { rpo: '5s', wal: { stores: ['local'] } } });
  const verdicts = async ({ run }: Setup) => {
    const { stdout } = await runBkp(['status', 'postgres', 'app', '--json'], run);
    const stores = (lastJson(stdout)['targets'] as Yaml[])[0]!['stores'] as Yaml[];
    return Object.fromEntries(stores.map(({ store, state, why }) => [store, [state, ...why.map(({ text }: Yaml) => text)]]));
  };
  const stream = await streamTo(at, db);
  await aBackup(at);
  const name = await db.sql('create table t (n int); select pg_walfile_name(pg_current_wal_lsn())');
  await db.sql('select pg_switch_wal()');
  await waitFor(() => ['local', 'offsite'].every(store => at.walNames(store).includes(name)), 'the WAL');
  await stopBkp(stream, 'SIGTERM');
  await pause(5000);
  expect(await verdicts(at)).toEqual({ local: ['ok'], offsite: ['ok'] });
  rmSync(join(at.stores['offsite']!, `${BASE}/wal`), { recursive: true });
  expect(await verdicts(at)).toEqual({
    local: ['ok'],
    offsite: ['late', expect.stringMatching(/^there is no log of it, and the recovery point is of/)],
  });
  expect(await verdicts(leaving)).toEqual({ local: ['ok'], offsite: ['ok', expect.stringContaining('it gets no log')] });
});
