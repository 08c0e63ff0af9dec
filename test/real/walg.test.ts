import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { openDirectory } from '../../src/providers/stores/directory.ts';
import { TEST_KEYS } from '../walg/testKeys.ts';
import { agedCopy, signerOf } from './aged.ts';
import { lastJson, type Yaml } from './change.ts';
import {
  type BkpOptions,
  cleanUp,
  freePort,
  makeConfig,
  type Postgres,
  type PostgresVersion,
  runBkp,
  type S3Server,
  s3Client,
  start,
  startBkp,
  startPostgres,
  startRgw,
  stopBkp,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { type WalgFaults, walg, walgPath } from './rig/walg.ts';
import { aPlace } from './setup.ts';
import { pathWith } from './stub.ts';
import { backup, base, GRANTS, good, heldId, makeWorld, manifest, restored, type World, type WorldOptions } from './walgWorld.ts';

let rgw: S3Server;

const world = (version: PostgresVersion, settings?: Yaml, options?: WorldOptions) => makeWorld(rgw, version, settings, options);

beforeAll(async () => {
  process.stderr.write(`contract of engine wal-g against ${walg.isReal ? 'the real wal-g on PATH' : 'the stand-in of test/walg'}\n`);
  rgw = await startRgw();
});

afterAll(cleanUp);

describe.each<PostgresVersion>(['15', '18'])('engine wal-g on PostgreSQL %s, in a bucket and a directory', version => {
  let at: World;
  let first: string;
  // Backups and what comes back are shown on both; the rest asks nothing of the server that differs.
  const only = (on: PostgresVersion) => (on === version ? it : () => {});

  beforeAll(async () => {
    at = await world(version, { deltaMaxSteps: 2 });
    await at.db.sql('create table t (n int); insert into t values (1)');
    first = await backup(at);
  });

  afterAll(() => at.stop());

  it('a backup is a signed manifest in every store, of what both of them show', async () => {
    const made = manifest(at, first);
    expect(made).toMatchObject({ engine: 'wal-g', line: [], recipients: [], lineage: expect.stringMatching(/^\d+-1$/) });
    expect(made.versions).toMatchObject({ compression: 'lz4', encryption: 'pgp' });
    expect(made.contentBytes).toBeGreaterThan(10_000_000);
    expect(made.pieces[0]).toMatchObject({
      name: 'base',
      held: { by: 'wal-g', id: expect.stringMatching(/^base_[0-9A-F]{24}$/), detail: { prefix: `${base}/walg/${made.lineage}` } },
    });
    const { stdout } = await good(['list', 'postgres'], at.run());
    expect(lastJson(stdout)['backups']).toEqual([expect.objectContaining({ id: first, copies: { objects: 'whole', local: 'whole' } })]);
  });

  it('a later one is a delta on the files, needs its parent, and pins it meanwhile', async () => {
    await at.db.sql('insert into t values (2); checkpoint');
    const pins = join(at.directory, 'bkp/production/pins');
    const seen = join(tempDir(), 'seen');
    const { config, env = {} } = at.run();
    const own = tempDir();
    const looks = `[ "$1" = backup-push ] && find ${pins} -type f > ${seen}`;
    writeFileSync(join(own, 'wal-g'), `#!/bin/sh\n${looks}\nexec ${join(walgPath(), 'wal-g')} "$@"\n`, { mode: 0o755 });
    const taken = await good(['backup', 'postgres', 'app'], { config: config!, env: { ...env, PATH: pathWith(own) } });
    const second = lastJson(taken.stdout)['backups'][0].id;
    expect(readFileSync(seen, 'utf8')).toContain(`/${first}/`);
    expect(existsSync(join(pins, first))).toBe(false);
    const made = manifest(at, second);
    expect(heldId(made)).toMatch(/^base_[0-9A-F]{24}_D_[0-9A-F]{24}$/);
    expect(made.needs).toContainEqual({ backup: first });
    expect(await restored(at, ['--from-backup', second])).toBe('1,2');
  });

  it('comes back to its own end, to the end of the WAL, to a time, out of either store', async () => {
    await at.db.sql('insert into t values (3)');
    const time = await at.db.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')");
    await at.db.sql('insert into t values (4)');
    await at.db.sql('select pg_switch_wal()');
    await at.db.sql('create table later (n int); select pg_switch_wal()');
    await backup(at);
    expect(await restored(at, ['--from-backup', first, '--from', 'local'])).toBe('1');
    expect(await restored(at, ['--latest', '--from', 'objects'])).toBe('1,2,3,4');
    expect(await restored(at, ['--target-time', `${time}Z`])).toBe('1,2,3');
  });

  only('15')('verify --deep restores and proves it out of each store alone', async () => {
    const { code, stdout, stderr } = await runBkp(['verify', 'postgres', 'app', '--deep', '--json'], at.run());
    const stores = (lastJson(stdout)['stores'] ?? []) as Yaml[];
    const trials = stores.map(({ store, proof, findings }) => ({
      store,
      bad: (proof?.checks ?? [{ state: 'none' }]).filter((check: Yaml) => check['state'] !== 'ok' && check['state'] !== 'note'),
      findings: (findings as Yaml[]).filter(finding => finding['state'] !== 'note' && finding['state'] !== 'stray'),
    }));
    expect({ code, trials, stderr: code === 0 ? '' : stderr }).toEqual({
      code: 0,
      trials: ['objects', 'local'].map(store => ({ store, bad: [], findings: [] })),
      stderr: '',
    });
    const proven = (stores[0]!['proof'].checks as Yaml[]).map(({ name }) => name);
    expect(proven).toEqual(expect.arrayContaining(['unpack', 'recovery', 'baseline', 'pg_amcheck', 'write', 'pg_checksums']));
    expect(existsSync(join(at.directory, 'bkp/production/proofs/postgres/app', `${stores[1]!['proof'].backup}.json`))).toBe(true);
  });

  only('18')('a drill replays what was archived on top of a backup, out of each store alone', async () => {
    const { code, stdout, stderr } = await runBkp(
      ['drill', 'postgres', 'app', '--from-backup', first, '--store', 'each', '--json'],
      at.run(),
    );
    const { targets } = lastJson(stdout)['drill'];
    const told = targets.map(({ store, backup, result, recoveryPointAt }: Yaml) => ({
      ...{ store, backup, result },
      further: recoveryPointAt > manifest(at, first).recoveryPointAt,
    }));
    expect({ code, told, stderr: code === 0 ? '' : stderr }).toEqual({
      code: 0,
      told: ['objects', 'local'].map(store => ({ store, backup: first, result: 'passed', further: true })),
      stderr: '',
    });
  });

  only('18')('wal fetch brings a segment byte for byte, 74 at the proven end, 255 at a hole', async () => {
    const name = at.archiver.pushed.find(({ name: each, ended }) => /^[0-9A-F]{24}$/.test(each) && ended.code === 0)!.name;
    const fetch = (file: string, to = join(tempDir(), 'seg')) =>
      runBkp(['wal', 'fetch', 'app', file, to], { ...at.run(), cwd: at.db.dataDir });
    const to = join(tempDir(), 'seg');
    expect((await fetch(name, to)).code).toBe(0);
    expect(readFileSync(to).equals(readFileSync(join(at.db.dataDir, 'pg_wal', name)))).toBe(true);
    expect((await fetch(`${name.slice(0, 8)}FFFFFF00000000FF`)).code).toBe(74);
    const hole = await fetch(`${name.slice(0, 16)}00000000`);
    expect({ code: hole.code, stderr: hole.stderr }).toEqual({ code: 255, stderr: expect.stringMatching(/there is a hole/) });
  });

  only('15')('wal push never overwrites', async () => {
    const name = at.archiver.pushed.find(({ name: each }) => /^[0-9A-F]{24}$/.test(each))!.name;
    const forged = join(tempDir(), 'other');
    writeFileSync(forged, Buffer.alloc(16 * 1024 * 1024, 7));
    const { code, stderr } = await runBkp(['wal', 'push', 'app', name, forged], { ...at.run(), cwd: at.db.dataDir });
    expect({ code, stderr }).toEqual({ code: 7, stderr: expect.stringMatching(/already with another content/) });
  });

  only('18')(
    'with the public half of the key a segment that is there cannot be compared: it is said, and nothing is overwritten',
    async () => {
      const name = at.archiver.pushed.find(({ name: each, ended }) => /^[0-9A-F]{24}$/.test(each) && ended.code === 0)!.name;
      const { config, env = {} } = at.run();
      const half = { config: config!, env: { ...env, PGP_KEY: TEST_KEYS.publicOne }, cwd: at.db.dataDir };
      const { code, stderr } = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], half);
      expect({ code, stderr }).toEqual({ code: 8, stderr: expect.stringMatching(/cannot be compared with what is to be stored/) });
      expect((await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run(), cwd: at.db.dataDir })).code).toBe(0);
    },
  );

  only('15')('a store that is gone leaves a partial backup, and the next run heals it', async () => {
    const gone = { ...at.run() };
    rmSync(join(at.directory, base, 'backups'), { recursive: true });
    const { stdout } = await good(['backup', 'postgres', 'app'], gone);
    expect(lastJson(stdout)['backups'][0].healed).toContainEqual(expect.objectContaining({ store: 'local' }));
    const { stdout: shown } = await runBkp(['list', 'postgres', '--json'], at.run());
    expect(lastJson(shown)['backups'].at(-1).copies).toEqual({ objects: 'whole', local: 'whole' });
  });
});

/** What WAL-G does wrong, at the level of the whole program. Only the stand-in does, and what it seals nobody else opens. */
describe('when WAL-G does not do what it says', () => {
  let at: World;
  let first: string;

  const failing = (faults: WalgFaults) => runBkp(['backup', 'postgres', 'app'], at.run(faults));
  const listedIds = async (): Promise<string[]> =>
    lastJson((await good(['list', 'postgres'], at.run())).stdout)['backups'].map((row: Yaml) => row['id']);

  beforeAll(async () => {
    at = await world('15', { settings: { WALG_TAR_SIZE_THRESHOLD: 2 ** 20 } }, { standIn: true });
    await at.db.sql('create table t (n int); insert into t values (1)');
    first = await backup(at);
  });

  afterAll(() => at.stop());

  it('PG02: exit code 0 and no sentinel is no backup', async () => {
    const { code, stderr } = await failing({ 'backup-push': 'no-sentinel' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/ended with exit code 0, and store objects shows no new sentinel of it/);
    expect(await listedIds()).toEqual([first]);
  });

  it('PG21: a sentinel without its parts is no backup, and does not stay', async () => {
    const { code, stderr } = await failing({ 'backup-push': 'sentinel-without-parts' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/wrote the sentinel of base_\w+ into store objects without \d+ of its parts \(part_001\.tar\.lz4/);
    expect(await listedIds()).toEqual([first]);
  });

  it('PG18: an object whose key ends in a slash is ignored', async () => {
    const { code, stderr } = await failing({ 'backup-push': 'stray-object' });
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const ids = await listedIds();
    expect(ids).toHaveLength(2);
    expect(manifest(at, ids[1]!).pieces).toMatchObject([
      { held: { objects: expect.not.arrayContaining([{ key: expect.stringMatching(/\/$/), bytes: 0 }]) } },
    ]);
  });

  it('a run that is killed fails, and the next one goes well', async () => {
    const { code, stderr } = await failing({ 'backup-push': 'killed' });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/wal-g backup-push to store objects was ended by signal SIGKILL/),
    });
    await backup(at);
  });

  it('a wrong clock of WAL-G is told, and the recovery point is by the server', async () => {
    const { code, stderr, stdout } = await runBkp(['backup', 'postgres', 'app', '--json'], at.run({ 'backup-push': 'future-time' }));
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const { recoveryPointAt, warnings } = lastJson(stdout)['backups'][0];
    expect(Date.parse(recoveryPointAt)).toBeLessThan(Date.now() + 5000);
    expect(warnings).toEqual([expect.stringMatching(/WAL-G says that the backup ends at/)]);
  });

  it('CF04: what it says of its secrets is taken out, and in no argument are there any', async () => {
    const { code, stderr, stdout } = await failing({ 'backup-push': 'secret-echo' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/signed with secret "\[redacted\]"/);
    for (const secret of [rgw.secretKey, at.db.bkpEnv['APP_PGPASSWORD']!, TEST_KEYS.secretOne.split('\n')[2]!])
      expect(stderr + stdout).not.toContain(secret);
  });

  it('PG01: a download that stands still is given up, and the place is marked', async () => {
    const to = aPlace();
    const { config, env } = at.run({ 'backup-fetch': 'stalled-download' });
    const short = join(tempDir(), 'bkp.yaml');
    writeFileSync(short, readFileSync(config!, 'utf8').replace('idleTimeout: 2m', 'idleTimeout: 4s'));
    const { code, stderr } = await runBkp(['restore', 'postgres', 'app', '--from-backup', first, '--to', to, '--yes'], {
      config: short,
      env: env!,
    });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/wal-g backup-fetch stood still for 4s and was ended/) });
    expect(stderr).toMatch(/is incomplete \(BKP_RESTORE_INCOMPLETE\)/);
    expect(existsSync(join(to, 'BKP_RESTORE_INCOMPLETE'))).toBe(true);
  });

  it('PG01: parts that are left out with exit code 0 are noticed', async () => {
    const to = aPlace();
    const { code, stderr } = await runBkp(
      ['restore', 'postgres', 'app', '--from-backup', first, '--to', to, '--yes'],
      at.run({ 'backup-fetch': 'lost-parts' }),
    );
    expect({ code, stderr }).toEqual({
      code: 9,
      stderr: expect.stringMatching(/left out \d+ of the files of base_\w+, the first \S+ \(part_00\d\.tar\.lz4/),
    });
    expect(existsSync(join(to, 'BKP_RESTORE_INCOMPLETE'))).toBe(true);
  });

  it.each<[string, WalgFaults]>([
    ['PG05: a list in another order', { 'backup-list': 'shuffled-list' }],
    ['PG04: a list that names another cluster', { 'backup-list': 'wrong-system-identifier' }],
  ])('%s misleads nobody: bkp reads what lies in the store', async (_, faults) => {
    const { code, stdout } = await runBkp(
      ['restore', 'postgres', 'app', '--latest', '--to', aPlace(), '--dry-run', '--json'],
      at.run(faults),
    );
    expect({ code, stdout: code === 0 ? '' : stdout }).toEqual({ code: 0, stdout: '' });
  });

  it('MO10: a server that falls silent has WAL-G turn to localhost: what it backed up there does not count, and does not stay', async () => {
    const other = await startPostgres({ version: '15', settings: { archive_mode: 'off' } });
    await other.sql(GRANTS);
    // Fresh clusters have backups of the same name, which WAL-G writes over one another.
    for (let n = 0; n < 40; n += 1) await other.sql('select pg_logical_emit_message(true, $$x$$, $$y$$); select pg_switch_wal()');
    const wrong = tempDir();
    const turned = `PGPORT=1 WALG_STUB_LOCALHOST=127.0.0.1:${other.port} exec ${join(walgPath({}), 'wal-g')} "$@"`;
    writeFileSync(join(wrong, 'wal-g'), `#!/bin/sh\n[ "$1" = backup-push ] && set -- "$@" ${other.dataDir}\n${turned}\n`, { mode: 0o755 });
    const { config = '', env = {} } = at.run();
    const remote = join(tempDir(), 'bkp.yaml');
    writeFileSync(remote, readFileSync(config, 'utf8').replace(/dataDir: .*/, 'dataDir: /nowhere'));
    const before = await listedIds();
    const { code, stderr } = await runBkp(['backup', 'postgres', 'app'], { config: remote, env: { ...env, PATH: pathWith(wrong) } });
    const identifier = await other.sql('select system_identifier from pg_control_system()');
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(new RegExp(`backed up cluster ${identifier}`)) });
    expect(await listedIds()).toEqual(before);
    const { stdout } = await good(['verify', 'postgres', 'app'], at.run());
    expect(stdout).not.toMatch(/is not signed/);
    await other.destroy();
  });

  it('a part with a bit that flipped in one store is taken from the other, without an hour of tries before; where that is the only one, it is no restore', async () => {
    const part = `${base}/walg/${manifest(at, first).lineage}/basebackups_005/${heldId(manifest(at, first))}/tar_partitions/part_001.tar.lz4`;
    const client = s3Client(rgw);
    const whole = Buffer.from(
      await (await client.send(new GetObjectCommand({ Bucket: at.bucket, Key: part }))).Body!.transformToByteArray(),
    );
    const flipped = Buffer.from(whole);
    flipped[Math.floor(flipped.length / 2)]! ^= 1;
    await client.send(new PutObjectCommand({ Bucket: at.bucket, Key: part, Body: flipped }));
    const [watched, log] = [tempDir(), join(tempDir(), 'retries')];
    const told = `[ "$1" = backup-fetch ] && echo "\${WALG_DOWNLOAD_FILE_RETRIES-as ever}" >> ${log}`;
    writeFileSync(join(watched, 'wal-g'), `#!/bin/sh\n${told}\nexec ${join(walgPath({}), 'wal-g')} "$@"\n`, { mode: 0o755 });
    const { config = '', env = {} } = at.run();
    const restore = (...args: string[]) =>
      runBkp(['restore', 'postgres', 'app', '--from-backup', first, '--to', aPlace(), '--yes', ...args], {
        config,
        env: { ...env, PATH: pathWith(watched) },
      });
    const either = await restore();
    expect(readFileSync(log, 'utf8')).toBe('0\nas ever\n');
    expect({ code: either.code, stderr: either.stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/wal-g backup-fetch base_\w+ from store objects .*; taking it from another store/),
    });
    const alone = await restore('--from', 'objects');
    expect({ code: alone.code, stderr: alone.stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/from store objects ended with exit code/),
    });
    expect(readFileSync(log, 'utf8')).toBe('0\nas ever\nas ever\n');
    await client.send(new PutObjectCommand({ Bucket: at.bucket, Key: part, Body: whole }));
  });

  it('a part that is gone is a damaged copy, and another store is restored from', async () => {
    const made = manifest(at, first);
    const lost = made.pieces
      .flatMap(piece => ('held' in piece ? (piece.held.objects ?? []) : []))
      .find(({ key }) => key.includes('part_001'));
    rmSync(join(at.directory, lost!.key));
    const { stdout } = await good(['list', 'postgres'], at.run());
    expect(lastJson(stdout)['backups'][0].copies).toEqual({ objects: 'whole', local: 'damaged' });
    const alone = await runBkp(
      ['restore', 'postgres', 'app', '--from-backup', first, '--from', 'local', '--to', aPlace(), '--yes'],
      at.run(),
    );
    expect({ code: alone.code, stderr: alone.stderr }).toEqual({
      code: 9,
      stderr: expect.stringMatching(/store local lacks part_001\.tar\.lz4 of base_/),
    });
    expect(await restored(at, ['--from-backup', first])).toBe('1');
  });
});

describe('what is refused before anything is stored', () => {
  let db: Postgres;
  const begin = async (walgEntry: Yaml, entry: Yaml = {}) => {
    const config = await makeConfig({
      stores: { local: tempDir() },
      postgres: { app: { ...db.entry(), engine: 'wal-g', walg: walgEntry, ...entry } },
    });
    return { config: config.path, env: { ...db.bkpEnv, PATH: pathWith(walgPath()) } };
  };

  beforeAll(async () => {
    db = await startPostgres({ version: '18', settings: { archive_mode: 'off' } });
    await db.sql(GRANTS);
  });

  it('MO10: no key and no word that nothing is encrypted: both ways are told', async () => {
    const { code, stderr } = await runBkp(['backup', 'postgres'], await begin({}));
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/engine wal-g has no key[\s\S]*pgpKeyPath[\s\S]*unencrypted: true/),
    });
  });

  it('PG16: nothing archives WAL', async () => {
    const { code, stderr } = await runBkp(['backup', 'postgres'], await begin({ pgpKey: TEST_KEYS.secretOne }));
    expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringMatching(/nothing archives its WAL[\s\S]*bkp wal push app/) });
  });

  it('doctor tells what engine wal-g lacks', async () => {
    const state = async (options: BkpOptions, name: string): Promise<Yaml> => {
      const { stdout } = await runBkp(['doctor', 'postgres', 'app', '--json'], options);
      return (lastJson(stdout)['checks'] as Yaml[]).find(each => each['name'] === name)!;
    };
    const fit = await begin({ pgpKey: TEST_KEYS.secretOne, deltaMaxSteps: 2 });
    expect(await state(fit, 'wal-g')).toMatchObject({ state: 'ok', text: expect.stringMatching(/wal-g, version \d/) });
    expect(await state(fit, 'rights for wal-g')).toMatchObject({ state: 'ok' });
    expect(await state(fit, 'wal-g reads')).toMatchObject({ state: 'ok', text: expect.stringContaining(db.dataDir) });
    expect(await state(fit, 'spool')).toBeUndefined();
    expect(await state(await begin({}), 'encryption of wal-g')).toMatchObject({ state: 'fail', mend: expect.stringMatching(/pgpKeyPath/) });
    await db.sql('revoke pg_read_all_settings from bkp');
    expect(await state(fit, 'rights for wal-g')).toMatchObject({
      state: 'fail',
      mend: expect.stringMatching(/GRANT pg_read_all_settings/),
    });
    await db.sql('grant pg_read_all_settings to bkp');
  });

  it('no program of that name', async () => {
    const options = await begin({ pgpKey: TEST_KEYS.secretOne, program: 'wal-g-of-nobody' });
    await db.sql("select pg_create_physical_replication_slot('bkp_app', true)");
    const { code, stderr } = await runBkp(['backup', 'postgres'], options);
    await db.sql("select pg_drop_replication_slot('bkp_app')");
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/wal-g-of-nobody is not there, neither in `bin:` nor on PATH/),
    });
  });

  it('MO10: a server that does not answer, though another one would on localhost', async () => {
    const { code, stderr } = await runBkp(['backup', 'postgres'], await begin({ pgpKey: TEST_KEYS.secretOne }, { port: 1 }));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/Connection refused|could not connect/) });
  });
});

it('an S3 that is down fails a push of WAL and a backup in seconds, not minutes', async () => {
  const at = await world('15', {}, { alone: true, archiving: false });
  const port = await freePort();
  const { config, env } = at.run();
  const down = join(tempDir(), 'bkp.yaml');
  const store = {
    type: 's3',
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    bucket: 'none',
    accessKey: 'x',
    secretKey: '${S3_SECRET}',
  };
  const parsed = parse(readFileSync(config!, 'utf8')) as Yaml;
  parsed['environments'].production.stores = { objects: { ...store, retries: 1 } };
  writeFileSync(down, stringify(parsed));
  const name = await at.db.sql('select pg_walfile_name(pg_switch_wal())');
  const push = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { config: down, env: env!, cwd: at.db.dataDir });
  expect(push.code).toBeGreaterThan(0);
  expect(push.code).toBeLessThan(126);
  const taken = await runBkp(['backup', 'postgres', 'app'], { config: down, env: env! });
  expect(taken.code).toBe(8);
  await at.stop();
});

describe('bkp verify over what WAL-G stored', () => {
  let at: World;
  let id: string;

  const verify = async (faults?: WalgFaults) => {
    const { code, stdout, stderr } = await runBkp(['verify', 'postgres', 'app', '--json'], at.run(faults));
    const found = (lastJson(stdout)['stores'] ?? []).flatMap((row: Yaml) => row['findings']) as Yaml[];
    return { code, found, stderr };
  };

  beforeAll(async () => {
    at = await world('18', {}, { settings: { archive_mode: 'off' } });
    await at.db.sql('create table t (n int); insert into t values (1)');
    id = await backup(at);
  });

  afterAll(() => at.stop());

  it('what is whole is whole, and WAL-G agrees', async () => {
    const { code, found } = await verify();
    expect({ code, bad: found.filter(({ state }) => state !== 'note') }).toEqual({ code: 0, bad: [] });
  });

  it("WAL-G's own FAILURE counts though it ends with 0: what our listing does not show is unproven", async () => {
    const { code, found } = await verify({ 'wal-verify': 'verify-failure' });
    expect(code).toBe(3);
    expect(found).toContainEqual(
      expect.objectContaining({
        state: 'unproven',
        text: expect.stringMatching(/wal-verify says FAILURE of integrity.*nothing of that is missing/),
      }),
    );
  });

  it('PG18: strays are told, and harm nothing', async () => {
    const client = s3Client(rgw);
    const prefix = `${base}/walg/${manifest(at, id).lineage}/basebackups_005/`;
    await client.send(
      new PutObjectCommand({ Bucket: at.bucket, Key: `${prefix}${heldId(manifest(at, id))}/tar_partitions/`, Body: Buffer.alloc(0) }),
    );
    client.destroy();
    const { code, found } = await verify();
    expect(code).toBe(0);
    expect(found).toContainEqual(
      expect.objectContaining({ store: 'objects', state: 'stray', key: expect.stringMatching(/tar_partitions\/$/) }),
    );
  });

  it('PG14, PG20: WAL of the time of a backup that is missing breaks it, in that store', async () => {
    const { wal, lineage } = manifest(at, id);
    const first = `${heldId(manifest(at, id)).slice(5)}.lz4`;
    expect(wal).toBeDefined();
    rmSync(join(at.directory, base, 'walg', lineage!, 'wal_005', first));
    const { code, found } = await verify();
    expect(code).toBe(9);
    expect(found).toContainEqual(
      expect.objectContaining({
        store: 'local',
        state: 'missing',
        text: expect.stringContaining(`of the time in which backup ${id} was taken`),
        breaks: [`backup ${id}`],
      }),
    );
    const alone = await runBkp(['restore', 'postgres', 'app', '--from-backup', id, '--from', 'local', '--to', aPlace(), '--yes'], at.run());
    expect({ code: alone.code, stderr: alone.stderr }).toEqual({
      code: 9,
      stderr: expect.stringMatching(/WAL \w+, of the time in which it was taken, is in no store/),
    });
  });
});

describe('bkp prune over what WAL-G stored', () => {
  const DAY = 86_400_000;
  let at: World;
  let old: string;
  let kept: string;

  const dir = (): string => join(at.directory, base);
  const backups = (): string => join(dir(), 'walg', manifest(at, kept).lineage!, 'basebackups_005');
  const shown = (name: string): string[] =>
    readdirSync(backups()).filter(each => each === name || each === `${name}_backup_stop_sentinel.json`);

  /** Gives a backup the age that it would have after so many days; what WAL-G stored stays as it is. */
  async function aged(days: number): Promise<string> {
    const id = await backup(at);
    const store = openDirectory('local', { type: 'directory', path: at.directory });
    const copy = await agedCopy(store, base, id, days, signerOf(at.keysDir));
    rmSync(join(dir(), 'backups', id), { recursive: true });
    return copy;
  }

  async function prune(...args: string[]) {
    const { code, stdout, stderr } = await runBkp(['prune', 'postgres', 'app', '--json', ...args], at.run());
    const [row] = (lastJson(stdout)['stores'] ?? []) as Yaml[];
    return { code, stderr, row: row as Yaml };
  }

  beforeAll(async () => {
    const retention = { daily: 1, weekly: 0, monthly: 0, wal: '30d' };
    at = await world('18', {}, { alone: true, entry: { retention, pruneShare: 100 } });
    await at.db.sql('create table t (n int); insert into t values (1)');
    old = await aged(40);
    kept = await aged(35);
    await backup(at);
    const when = new Date(Date.now() - 38 * DAY);
    const wal = join(dir(), 'walg', manifest(at, kept).lineage!, 'wal_005');
    for (const name of readdirSync(wal)) utimesSync(join(wal, name), when, when);
  });

  afterAll(() => at.stop());

  it('the plan names what goes with its bytes, and changes nothing', async () => {
    const { code, row } = await prune();
    expect(code).toBe(0);
    const line = row['plan'].lines.find((each: Yaml) => each['id'] === old);
    expect(line).toMatchObject({ keep: false });
    expect(line.bytes).toBeGreaterThan(1_000_000);
    expect(shown(heldId(manifest(at, old)))).toHaveLength(2);
  });

  it('what WAL-G has marked as permanent stays', async () => {
    const path = join(backups(), heldId(manifest(at, old)), 'metadata.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"is_permanent":false', '"is_permanent":true'));
    const { row } = await prune('--confirm');
    expect(row['removal'].spared).toEqual([{ id: old, reason: expect.stringMatching(/marked as permanent/) }]);
    writeFileSync(path, text);
    expect(shown(heldId(manifest(at, old)))).toHaveLength(2);
  });

  it('what a delta builds on stays, though nobody signed the delta; and so does WAL from its start on', async () => {
    const name = heldId(manifest(at, old));
    const delta = join(backups(), `base_0000000100000000000000FF_D_${name.slice(5)}_backup_stop_sentinel.json`);
    writeFileSync(delta, JSON.stringify({ DeltaFrom: name, DeltaFullName: name }));
    const { row } = await prune('--confirm');
    expect(row['removal'].spared).toEqual([{ id: old, reason: expect.stringMatching(/needed by base_0000000100000000000000FF_D_/) }]);
    rmSync(delta);
  });

  it('PG03: goes whole, sentinel and parts and old WAL, and what is kept still comes back', async () => {
    const name = heldId(manifest(at, old));
    const dead = join(backups(), 'base_000000010000000000000001/tar_partitions');
    mkdirSync(dead, { recursive: true });
    writeFileSync(join(dead, 'part_001.tar.lz4'), 'x');
    const when = new Date(Date.now() - 8 * DAY);
    utimesSync(join(dead, 'part_001.tar.lz4'), when, when);
    const wal = join(dir(), 'walg', manifest(at, kept).lineage!, 'wal_005');
    const before = readdirSync(wal).length;
    const { code, row } = await prune('--confirm');
    expect(code).toBe(0);
    expect(row['removal']).toMatchObject({ gone: [old], spared: [], failed: [] });
    expect(shown(name)).toEqual([]);
    expect(existsSync(dead)).toBe(false);
    expect(readdirSync(wal).length).toBeLessThan(before);
    expect(await restored(at, ['--from-backup', kept])).toBe('1');
    expect(await restored(at, ['--latest'])).toBe('1');
  });
});

describe('bkp stream by wal-g wal-receive', () => {
  it('ships segments into every store, goes on when the receiver ends, and says what can be lost', async () => {
    const at = await world('18', {}, { archiving: false, settings: { archive_mode: 'off' } });
    const stream = startBkp(['stream', 'postgres', 'app'], at.run());
    const said = (): string => stream.output().stderr;
    const segments = (): string[] => {
      const wal = join(at.directory, base, 'walg');
      return existsSync(wal)
        ? readdirSync(wal, { recursive: true, encoding: 'utf8' }).flatMap(path => /wal_005\/([0-9A-F]{24})\./.exec(path)?.[1] ?? [])
        : [];
    };
    const ship = async (): Promise<void> => {
      const name = await at.db.sql('insert into t values (1); select pg_walfile_name(pg_current_wal_lsn())');
      await at.db.sql('select pg_switch_wal()');
      await waitFor(
        () => segments().includes(name),
        () => `${name} in the second store; the stream says: ${said()}`,
      );
    };
    await waitFor(
      async () => (await at.db.sql("select count(*) from pg_replication_slots where slot_name = 'bkp_app'")) === '1',
      'the slot',
    );
    await at.db.sql('create table t (n int)');
    await ship();
    expect(said()).toMatch(/whole segments only.*archive_timeout/);
    await at.db.sql('select pg_terminate_backend(pid) from pg_stat_replication');
    await waitFor(() => /wal-receive ended: .*; beginning again/.test(said()), 'the end of the receiver');
    await ship();
    const id = await backup(at);
    expect(await restored(at, ['--from-backup', id, '--from', 'local'])).toBe('1,1');
    expect((await stopBkp(stream, 'SIGTERM')).code).toBe(143);
    await at.db.destroy();
  });
});

describe('an archive of WAL-G that was there before bkp', () => {
  let at: World;
  const folder = (): string => join(at.directory, 'old/archive/basebackups_005');

  /** WAL-G alone, as it ran before. */
  async function alone(args: readonly string[]): Promise<void> {
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      WALG_FILE_PREFIX: join(at.directory, 'old/archive'),
      WALG_PGP_KEY: TEST_KEYS.secretOne,
      WALG_DELTA_MAX_STEPS: '5',
      PGHOST: at.db.socketDir,
      PGPORT: String(at.db.port),
      PGUSER: at.db.superuser,
      PGDATABASE: 'postgres',
    };
    const { code, stderr } = await start(join(walgPath(), 'wal-g'), args, { env }).ended;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  }

  const ids = async (): Promise<string[]> =>
    lastJson((await good(['list', 'postgres'], at.run())).stdout)['backups'].map((row: Yaml) => row['id']);

  beforeAll(async () => {
    at = await world('15', { prefix: 'old/archive' }, { alone: true });
    await at.db.sql('create table t (n int); insert into t values (1); select pg_switch_wal()');
    await waitFor(() => at.archiver.pushed.some(({ ended }) => ended.code === 0), 'the first file in the archive');
    await alone(['backup-push', at.db.dataDir]);
    await at.db.sql('insert into t values (2); checkpoint');
    await alone(['backup-push', at.db.dataDir]);
  });

  afterAll(() => at.stop());

  it('counts for nothing before somebody signs it', async () => {
    expect(await ids()).toEqual([]);
    const { code } = await runBkp(['restore', 'postgres', 'app', '--latest', '--to', aPlace(), '--yes'], at.run());
    expect(code).toBe(6);
  });

  it('PG04: is adopted without what is of another cluster, and then comes back, delta and all', async () => {
    const stranger = 'base_0000000900000000000000F0';
    const [full] = readdirSync(folder()).filter(name => /^base_[0-9A-F]{24}$/.test(name));
    cpSync(join(folder(), full!), join(folder(), stranger), { recursive: true });
    const sentinel = readFileSync(join(folder(), `${full}_backup_stop_sentinel.json`), 'utf8');
    writeFileSync(
      join(folder(), `${stranger}_backup_stop_sentinel.json`),
      sentinel.replace(/"SystemIdentifier":\d+/, '"SystemIdentifier":7000000000000000001'),
    );
    const { stdout, stderr } = await good(['backup', 'postgres', 'app', '--adopt'], at.run());
    const { adopted } = lastJson(stdout);
    expect(adopted.map(({ name }: Yaml) => name)).toEqual([full, expect.stringMatching(new RegExp(`_D_${full!.slice(5)}$`))]);
    expect(stdout + stderr).toMatch(/base_0000000900000000000000F0 is not adopted.*7000000000000000001/);
    expect(await ids()).toEqual(adopted.map(({ id }: Yaml) => id));
    expect(await restored(at, ['--from-backup', adopted[0].id])).toBe('1');
    expect(await restored(at, ['--from-backup', adopted[1].id])).toBe('1,2');
    const name = await at.db.sql('insert into t values (3); select pg_walfile_name(pg_current_wal_lsn())');
    await at.db.sql('select pg_switch_wal()');
    await waitFor(() => at.archiver.pushed.some(pushed => pushed.name === name), `${name} in the archive`);
    expect(await restored(at, ['--latest'])).toBe('1,2,3');
  });

  it('goes on as it is: the next backup lies beside the old ones, and windows and verify see its WAL', async () => {
    const id = await backup(at);
    expect(manifest(at, id).pieces[0]).toMatchObject({ held: { detail: { prefix: 'old/archive' } } });
    const again = await runBkp(['backup', 'postgres', 'app', '--adopt'], at.run());
    expect({ code: again.code, stderr: again.stderr }).toEqual({
      code: 6,
      stderr: expect.stringMatching(/there is no backup that could be adopted/),
    });
    const { stdout } = await good(['list', 'postgres', 'app', '--window'], at.run());
    expect(JSON.stringify(lastJson(stdout))).toMatch(/"segments":[1-9]/);
    const verified = await runBkp(['verify', 'postgres', 'app', '--json'], at.run());
    const found = lastJson(verified.stdout)['stores'].flatMap((row: Yaml) => row['findings']) as Yaml[];
    expect({ code: verified.code, bad: found.filter(({ state }) => state !== 'note') }).toEqual({ code: 0, bad: [] });
    expect(found).toContainEqual(
      expect.objectContaining({ state: 'note', text: expect.stringMatching(/base_0000000900000000000000F0 of WAL-G is not signed/) }),
    );
    const plan = await good(['prune', 'postgres', 'app'], at.run());
    expect(lastJson(plan.stdout)['stores'][0].plan.lines).toHaveLength(3);
  });
});

describe('bkp config walg', () => {
  it('prints what bkp gives to WAL-G, and no secret is in it, whatever the format', async () => {
    const at = await world('18', { pgpPassphrase: '${file:/nowhere/pass}' }, { alone: true, archiving: false });
    const { code, stdout } = await runBkp(['config', 'walg', 'app', '--lineage', '77-1'], { ...at.run(), env: {} });
    expect(code).toBe(0);
    expect(stdout).toContain(`WALG_FILE_PREFIX='${at.directory}/${base}/walg/77-1'`);
    expect(stdout).toContain('PGPASSWORD="${APP_PGPASSWORD}"');
    expect(stdout).toContain('WALG_PGP_KEY="${PGP_KEY}"');
    expect(stdout).toContain('WALG_PGP_KEY_PASSPHRASE="${file:/nowhere/pass}"');
    const map = await runBkp(['config', 'walg', 'app', '--lineage', '77-1', '--format', 'configmap'], at.run());
    expect(parse(map.stdout).data).not.toHaveProperty('PGPASSWORD');
    expect(map.stdout).not.toContain(at.db.bkpEnv['APP_PGPASSWORD']);
    const wrong = await runBkp(['config', 'walg', 'app', '--lineage', 'x'], at.run());
    expect({ code: wrong.code, stderr: wrong.stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/is no lineage/) });
    await at.db.destroy();
  });
});
