import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { lastJson, type Yaml } from './change.ts';
import { restored, take, ZONE } from './incrementWorld.ts';
import {
  cleanUp,
  type Postgres,
  type PostgresVersion,
  type Running,
  runBkp,
  startPostgres,
  stopBkp,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { aBackup, type Setup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

/** Of 18 with increments: what the original changed is not what changed since the copy's backup. */
const VARIANTS: readonly [PostgresVersion, Record<string, unknown>, Record<string, string>][] = [
  ['15', {}, {}],
  ['18', { full: 'monthly', incremental: 'daily' }, { summarize_wal: 'on' }],
];

describe.each(VARIANTS)('a copy of the disk of PostgreSQL %s, started beside it with the same config', (version, entry, settings) => {
  let db: Postgres;
  let clone: Postgres;
  let at: Setup;
  let own: Setup;
  let stream: Running;
  let strange: string;

  /** A row in a segment of its own. */
  const segments = async (server: Postgres, who: string, count: number): Promise<string> => {
    let name = '';
    for (let n = 0; n < count; n += 1) {
      name = await server.sql(`insert into t values ('${who}'); select pg_walfile_name(pg_current_wal_lsn())`);
      await server.sql('select pg_switch_wal()');
    }
    return name;
  };
  const stored = (name: string) => waitFor(() => at.walNames('offsite').includes(name), `WAL ${name}`);
  const writers = (server: Postgres) => server.sql("select string_agg(distinct who, ',' order by who) from t");
  const ids = async (): Promise<string[]> =>
    (lastJson((await runBkp(['list', '--json'], at.run)).stdout)['backups'] as Yaml[]).map(({ id }) => id as string);

  beforeAll(async () => {
    db = await startPostgres({ version, settings });
    at = await setUp(db, { entry, top: ZONE });
    await db.sql("create table t (who text); insert into t values ('both')");
    const before = await streamTo(at, db);
    await aBackup(at);
    await stopBkp(before, 'SIGTERM');
    await db.stop();
    const dir = join(tempDir({ forServer: true }), 'data');
    execFileSync('cp', ['-a', db.dataDir, dir]);
    await db.start();
    clone = await startPostgres({ version, dir });
    own = await setUp(clone, { like: at, entry, top: ZONE });
    stream = await streamTo(at, db);
  });
  afterAll(() => stopBkp(stream, 'SIGTERM'));

  it('gives no backup where the original has archived that WAL, and is told as a copy', async () => {
    await stored(await segments(db, 'original', 4));
    await clone.sql("insert into t values ('clone')");
    const before = await ids();
    const { code, stderr } = await runBkp(['backup', 'postgres', 'app', '--full'], own.run);
    expect(code).toBe(7);
    expect(stderr).toMatch(/has WAL 0{7}1\w{16} with another content than lineage \d+-1 in the stores: it is a copy of the server/);
    expect(stderr).toContain('needs an entry with a name of its own');
    expect(await ids()).toEqual(before);
  });

  it('ahead of it, its backup is found out as soon as the original has written as much', async () => {
    await segments(clone, 'clone', 8);
    strange = await aBackup(own, ['--full']);
    await stored(await segments(db, 'original', 10));

    const verified = await runBkp(['verify', 'postgres', 'app'], at.run);
    expect({ code: verified.code, said: verified.stdout + verified.stderr }).toMatchObject({
      code: 9,
      said: expect.stringContaining(`backup ${strange} is of another history than the WAL`),
    });
    const plan = await runBkp(['prune', 'postgres', 'app', '--confirm'], at.run);
    expect(plan.code).toBe(4);
    expect(plan.stdout + plan.stderr).toContain(`${strange} is an anomaly`);
    const seen = lastJson((await runBkp(['list', 'postgres', 'app', '--window', '--json'], at.run)).stdout);
    expect((seen['windows'] as Yaml[]).filter(({ backups }) => backups.includes(strange))).toEqual([]);
    expect((seen['windows'] as Yaml[]).map(({ gaps, live }) => ({ gaps, live }))).toEqual(Array(2).fill({ gaps: [], live: true }));
    expect((seen['notes'] as Yaml[]).map(({ text }) => text)).toContainEqual(expect.stringContaining(strange));
  });

  it('a restore to the latest time goes on from a backup of the original, and says so', async () => {
    const copy = await restored(at, version, '--latest');
    expect(await writers(copy)).toBe('both,original');
    const rolled = await runBkp(
      ['restore', 'postgres', 'app', '--from-backup', strange, '--latest', '--dry-run', '--to', '/nowhere'],
      at.run,
    );
    expect(rolled.stdout + rolled.stderr).toContain(`backup ${strange} is of another history than the WAL`);
  });

  it('its backup still comes back by its name, to its own end', async () => {
    expect(await writers(await restored(at, version, '--from-backup', strange))).toBe('both,clone');
  });

  it('the next one of the original builds nothing on it, and all is good again', async () => {
    const made = await take(at);
    expect(made).toMatchObject({ base: 'full' });
    if (version === '18') expect(String(made['warnings'])).toContain(`${strange} is of another history than the WAL`);
    const { code, stdout, stderr } = await runBkp(['verify', 'postgres', 'app'], at.run);
    expect({ code, said: stdout + stderr }).toMatchObject({ code: 0, said: expect.stringContaining('a newer backup is of that history') });
    expect(await writers(await restored(at, version, '--latest'))).toBe('both,original');
  });
});
