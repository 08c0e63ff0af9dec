import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TEST_KEYS } from '../walg/testKeys.ts';
import { lastJson, type Yaml } from './change.ts';
import { type BkpOptions, cleanUp, type PostgresVersion, runBkp, start, startPostgres, tempDir, waitFor } from './rig/index.ts';
import { walg, walgPath } from './rig/walg.ts';
import { aPlace } from './setup.ts';
import { backup, good, heldId, makeWorld, manifest, type World } from './walgWorld.ts';

beforeAll(() => void process.stderr.write(`tablespaces against ${walg.isReal ? 'the real wal-g on PATH' : 'the stand-in of test/walg'}\n`));

afterAll(cleanUp);

/** Makes a tablespace with a table of some rows in it; `through` is a path by which the server is to know the place. */
async function aSpace({ db }: World, name: string, location = join(tempDir({ forServer: true }), `the ${name} one`)): Promise<string> {
  await db.sql(
    `copy (select 1) to program 'cat > /dev/null; mkdir -p -m 700 "${location}"'; create tablespace ${name} location '${location}'`,
  );
  await db.sql(`create table in_${name} tablespace ${name} as select n, md5(n::text) as m from generate_series(1, 3000) n; checkpoint`);
  return location;
}

const listing = (dir: string): string[] => readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort();

/** With a directory of the server that is not here: WAL-G reads over the connection. */
function overConnection({ run }: World): BkpOptions {
  const options = run();
  const path = join(tempDir(), 'bkp.yaml');
  writeFileSync(path, readFileSync(options.config!, 'utf8').replace(/dataDir: .*/, 'dataDir: /nowhere'));
  return { ...options, config: path };
}

const restore = (at: World, to: string, args: readonly string[]) =>
  runBkp(['restore', 'postgres', 'app', '--to', to, '--yes', '--json', ...args], at.run());

/** Restores into new places and counts the rows of the copy. Each is `name` or location of the original. */
async function counted(at: World, id: string, spaces: readonly string[], tables: readonly string[]) {
  const to = aPlace();
  const places = spaces.map(() => aPlace());
  const args = spaces.flatMap((space, n) => ['--tablespace', `${space}=${places[n]}`]);
  const { code, stderr } = await restore(at, to, ['--from-backup', id, ...args]);
  expect({ code, said: code === 0 ? '' : stderr }).toEqual({ code: 0, said: '' });
  for (const place of places) expect(existsSync(join(place, 'BKP_RESTORE_INCOMPLETE'))).toBe(false);
  const links = readdirSync(join(to, 'pg_tblspc')).map(oid => readlinkSync(join(to, 'pg_tblspc', oid)));
  expect(links.sort()).toEqual([...places].sort());
  const copy = await startPostgres({ version: at.db.version, dir: to, settings: { archive_mode: 'off' } });
  const rows = await copy.sql(`select ${tables.map(name => `(select count(*) from ${name})`).join(', ')}`);
  await copy.sql(`insert into ${tables[0]} values (0, 'only in the copy')`);
  await copy.destroy();
  return rows;
}

describe.each<PostgresVersion>(['15', '18'])('tablespaces of engine wal-g on PostgreSQL %s', version => {
  let at: World;
  let first: string;
  let fast: string;
  let cold: string;

  beforeAll(async () => {
    at = await makeWorld(undefined, version, { deltaMaxSteps: 3 });
    fast = await aSpace(at, 'fast');
    cold = await aSpace(at, 'cold');
    first = await backup(at);
  });

  afterAll(() => at.stop());

  it('are backed up with the files and come back to new places; the originals are not touched', async () => {
    expect(manifest(at, first).tablespaces).toMatchObject([
      { name: 'fast', location: fast },
      { name: 'cold', location: cold },
    ]);
    const before = [fast, cold].map(listing);
    expect(await counted(at, first, [fast, 'cold'], ['in_fast', 'in_cold'])).toBe('3000|3000');
    expect(await at.db.sql('select (select count(*) from in_fast), (select count(*) from in_cold)')).toBe('3000|3000');
    expect([fast, cold].map(listing)).toEqual(before);
  });

  it('a delta brings what changed in them, and one that was dropped since is no more', async () => {
    await aSpace(at, 'short');
    await backup(at);
    await at.db.sql("drop table in_short; drop tablespace short; insert into in_fast values (3001, 'late'); checkpoint");
    const delta = await backup(at);
    expect(heldId(manifest(at, delta))).toMatch(/_D_/);
    expect(manifest(at, delta).tablespaces).toHaveLength(2);
    expect(await counted(at, delta, ['fast', 'cold'], ['in_fast', 'in_cold'])).toBe('3001|3000');
  });

  it('over the connection they are backed up too', async () => {
    const { stdout } = await good(['backup', 'postgres', 'app'], overConnection(at));
    const { id } = lastJson(stdout)['backups'][0];
    expect(heldId(manifest(at, id))).toMatch(/^base_[0-9A-F]{24}$/);
    expect(await counted(at, id, ['fast', 'cold'], ['in_fast', 'in_cold'])).toBe('3001|3000');
  });

  it('without a place for each a restore is refused before anything changes, and says what to type', async () => {
    const to = aPlace();
    const none = await restore(at, to, ['--from-backup', first]);
    expect({ code: none.code, stderr: none.stderr }).toEqual({
      code: 4,
      stderr: expect.stringContaining(`--tablespace '${fast}=NEW' --tablespace '${cold}=NEW'`),
    });
    const own = await restore(at, to, ['--from-backup', first, '--tablespace', `fast=${fast}`, '--tablespace', `cold=${aPlace()}`]);
    expect({ code: own.code, stderr: own.stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/never writes to/) });
    expect(existsSync(to)).toBe(false);
  });

  it('verify --deep restores and proves them too', async () => {
    const { code, stdout } = await runBkp(['verify', 'postgres', 'app', '--deep', '--json'], at.run());
    const [store] = lastJson(stdout)['stores'] as Yaml[];
    const failing = (store!['proof'].checks as Yaml[]).filter(({ state }) => state !== 'ok' && state !== 'note');
    expect({ code, failing }).toEqual({ code: 0, failing: [] });
  });

  it('one behind a symbolic link, or in another one, is read over the connection: WAL-G would leave it out of the files', async () => {
    const place = join(tempDir({ forServer: true }), 'real');
    await at.db.sql(`copy (select 1) to program 'cat > /dev/null; mkdir -m 700 ${place}; ln -s ${place} ${place}.link'`);
    await at.db.sql(`create tablespace linked location '${place}.link'`);
    await at.db.sql("create table in_linked tablespace linked as select n, '' as m from generate_series(1, 30) n; checkpoint");
    const { stdout, stderr } = await good(['backup', 'postgres', 'app'], at.run());
    expect(stdout + stderr).toMatch(/over the connection, without deltas: tablespace linked is behind a symbolic link/);
    const { id } = lastJson(stdout)['backups'][0];
    expect(await counted(at, id, ['linked', 'fast', 'cold'], ['in_linked', 'in_fast'])).toBe('30|3001');
    await at.db.sql('drop table in_linked; checkpoint');
    await at.db.sql('drop tablespace linked');
    await aSpace(at, 'nested', join(fast, 'nested'));
    const nested = await good(['backup', 'postgres', 'app'], at.run());
    expect(nested.stdout + nested.stderr).toMatch(/tablespace nested .* lies in /);
    expect(await counted(at, lastJson(nested.stdout)['backups'][0].id, ['nested', 'fast', 'cold'], ['in_nested', 'in_fast'])).toBe(
      '3000|3001',
    );
    await at.db.sql('drop table in_nested; checkpoint');
    await at.db.sql('drop tablespace nested');
  });
});

it('an adopted backup names its tablespaces, is never written over the originals, and one without its tablespace is not adopted', async () => {
  const at = await makeWorld(undefined, '15', { prefix: 'old/archive' });
  const fast = await aSpace(at, 'fast');
  await at.db.sql('select pg_switch_wal()');
  await waitFor(() => at.archiver.pushed.some(({ ended }) => ended.code === 0), 'the first file in the archive');
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: '/nonexistent',
    WALG_FILE_PREFIX: join(at.directory, 'old/archive'),
    WALG_PGP_KEY: TEST_KEYS.secretOne,
    PGHOST: at.db.socketDir,
    PGPORT: String(at.db.port),
    PGUSER: at.db.superuser,
    PGDATABASE: 'postgres',
  };
  const alone = () => start(join(walgPath(), 'wal-g'), ['backup-push', at.db.dataDir], { env }).ended;
  expect((await alone()).code).toBe(0);
  const place = join(tempDir({ forServer: true }), 'real');
  await at.db.sql(`copy (select 1) to program 'cat > /dev/null; mkdir -m 700 ${place}; ln -s ${place} ${place}.link'`);
  await at.db.sql(`create tablespace linked location '${place}.link'`);
  await at.db.sql('create table in_linked tablespace linked as select 1 as n; checkpoint');
  expect((await alone()).code).toBe(0);
  const { stdout, stderr } = await good(['backup', 'postgres', 'app', '--adopt'], at.run());
  const { adopted } = lastJson(stdout);
  expect(adopted).toHaveLength(1);
  expect(stdout + stderr).toMatch(/is left out: it lacks pg_tblspc\/\d+/);
  await at.db.sql('drop table in_linked; checkpoint');
  await at.db.sql('drop tablespace linked');
  const before = listing(fast);
  const bare = await restore(at, aPlace(), ['--from-backup', adopted[0].id]);
  expect({ code: bare.code, stderr: bare.stderr }).toEqual({ code: 4, stderr: expect.stringContaining(`--tablespace '${fast}=NEW'`) });
  expect(await counted(at, adopted[0].id, [fast], ['in_fast'])).toBe('3000');
  expect(listing(fast)).toEqual(before);
  await at.stop();
});
