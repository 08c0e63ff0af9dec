import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { App } from '../../src/app.ts';
import type { Check, LiveState } from '../../src/core/contracts.ts';
import {
  cleanUp,
  type Postgres,
  type PostgresVersion,
  runBkp,
  start,
  startBkp,
  startPostgres,
  stopBkp,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { aBackup, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

/** What the target says of its running server, asked as the plain role `bkp`. */
async function live(at: Setup): Promise<LiveState & { check(name: string): Check | undefined }> {
  Object.assign(process.env, at.run.env);
  const app = await App.open({ config: at.run.config }, { emit: () => {} }, new AbortController().signal);
  const { target, ctx } = app.target(undefined, 'postgres', 'app');
  const state = await target.live!(ctx).finally(() => app.close());
  return { ...state, check: name => state.checks.find(each => each.name === name) };
}

const failed = ({ checks }: LiveState): string[] => checks.filter(({ state }) => state === 'fail').map(({ name }) => name);

describe.each<PostgresVersion>(['15', '18'])('a running PostgreSQL %s', version => {
  let db: Postgres;
  let at: Setup;

  const serve = async (settings: Record<string, string> = {}, initdb: readonly string[] = []): Promise<void> => {
    db = await startPostgres({ version, settings, initdb });
    at = await setUp(db);
  };
  afterEach(() => db.destroy());

  const configure = async (settings: Record<string, string>): Promise<void> => {
    db.configure(settings);
    await db.sql('select pg_reload_conf()');
    for (const [name, value] of Object.entries(settings))
      await waitFor(async () => (await db.sql(`show ${name}`)) === value, `the new ${name}`);
  };
  const segment = (): Promise<string> =>
    db.sql('create table if not exists t (n int); insert into t values (1); select pg_walfile_name(pg_switch_wal())');

  it('without a slot: its position, what to type, and nothing is written anywhere', async () => {
    await serve();
    const before = await db.sql('select pg_current_wal_lsn()');
    const state = await live(at);
    const after = await db.sql('select pg_current_wal_lsn()');
    expect(await db.sql(`select '${state.position}'::pg_lsn between '${before}' and '${after}'`)).toBe('t');
    expect(state.lineage).toBeUndefined();
    expect(failed(state)).toEqual([]);
    expect(state.check('slot')).toEqual({
      name: 'slot',
      state: 'warn',
      text: 'bkp_app does not exist: WAL is not streamed',
      mend: 'bkp stream postgres app',
    });
    expect(state.check('archiver')).toMatchObject({ state: 'warn', text: expect.stringContaining('nothing streams') });
    expect(state.check('stream')).toBeUndefined();
    expect(at.walNames('local')).toEqual([]);
    expect(await db.sql('select count(*) from pg_replication_slots')).toBe('0');
  });

  it('PG16: with a stream all is well with archive_mode off; once it is gone, that is told with what waits on the server', async () => {
    await serve();
    const child = startBkp(['stream', 'postgres'], at.run);
    await waitFor(
      async () => (await db.sql("select state from pg_stat_replication where application_name = 'bkp'")) === 'streaming',
      'the receiver',
    );
    const state = await live(at);
    expect(state.checks.map(({ name, state }) => `${name} ${state}`)).toEqual(['identity ok', 'slot ok', 'stream ok', 'archiver ok']);
    expect(state.lineage).toBe(`${await db.sql('select system_identifier from pg_control_system()')}-1`);
    await stopBkp(child, 'SIGTERM');
    await waitFor(async () => (await db.sql('select count(*) from pg_stat_replication')) === '0', 'the receiver to be gone');
    await segment();
    const later = await live(at);
    expect(later.check('stream')).toMatchObject({ state: 'warn', mend: expect.stringContaining('bkp stream postgres app') });
    expect(later.check('archiver')).toMatchObject({ state: 'warn', text: expect.stringContaining('nobody streams') });
    expect(later.check('slot')).toMatchObject({ state: 'ok', text: expect.stringMatching(/^bkp_app reserved, \d+ [kM]B not yet stored$/) });
  });

  it('a base backup that runs is no receiver', async () => {
    await serve();
    await db.sql("select pg_create_physical_replication_slot('bkp_app', true)");
    const { user, password } = db.role;
    const env = { PGHOST: db.host, PGPORT: String(db.port), PGUSER: user, PGPASSWORD: password, PGAPPNAME: 'bkp' };
    const child = start(db.tool('pg_basebackup'), ['-D', '-', '-Ft', '-X', 'fetch', '-c', 'fast', '--max-rate=64k'], { env });
    try {
      await waitFor(async () => (await db.sql('select state from pg_stat_replication')) === 'backup', 'the base backup');
      expect((await live(at)).check('stream')).toMatchObject({ state: 'warn' });
    } finally {
      child.kill('SIGKILL');
      await child.ended;
    }
  });

  it('MO07: archiving alone is broken: told with the segment and the time, and good again once it is mended', async () => {
    await serve({ archive_mode: 'on', archive_command: 'true # bkp wal push app' });
    await aBackup(at);
    const archived = await segment();
    await waitFor(async () => (await db.sql('select last_archived_wal from pg_stat_archiver')) === archived, 'the archiver');
    const well = await live(at);
    expect(failed(well)).toEqual([]);
    expect(well.check('archiver')).toMatchObject({ state: 'ok', text: expect.stringContaining(archived) });
    expect(well.check('slot')).toMatchObject({ state: 'ok', text: expect.stringContaining('by archive_command') });
    await configure({ archive_command: 'false' });
    const broken = await segment();
    await waitFor(async () => (await db.sql('select last_failed_wal from pg_stat_archiver')) === broken, 'the archiver to fail');
    const ill = await live(at);
    expect(failed(ill)).toEqual(['archiver']);
    expect(ill.lineage).toBe(well.lineage);
    const since = Date.parse(/last at (\S+Z)/.exec(ill.check('archiver')!.text)![1]!);
    expect(Math.abs(Date.now() - since)).toBeLessThan(1_800_000);
    expect(ill.check('archiver')).toMatchObject({
      text: expect.stringMatching(new RegExp(`fails at ${broken}.*the last file archived is ${archived}`)),
      mend: expect.stringContaining('bkp wal push app'),
    });
    expect((await runBkp(['backup', 'postgres'], at.run)).code).toBe(0);
    await configure({ archive_command: 'true' });
    await waitFor(async () => failed(await live(at)).length === 0, 'the archiver to be well again');
  });

  it('PG16: archiving to nowhere', async () => {
    await serve({ archive_mode: 'on', archive_command: '' });
    const state = await live(at);
    expect(failed(state)).toEqual(['archiver']);
    expect(state.check('archiver')?.mend).toContain('bkp wal push app');
  });

  it('a slot that holds no WAL back, and one that was given up', async () => {
    await serve({ max_slot_wal_keep_size: '1MB' }, ['--wal-segsize=1']);
    await db.sql("select pg_create_physical_replication_slot('bkp_app')");
    expect((await live(at)).check('slot')).toMatchObject({ state: 'fail', mend: expect.stringContaining('pg_drop_replication_slot') });
    await db.sql("select pg_drop_replication_slot('bkp_app')");
    await db.sql("select pg_create_physical_replication_slot('bkp_app', true)");
    const status = (): Promise<string> => db.sql('select wal_status from pg_replication_slots');
    for (let n = 0; n < 20 && (await status()) !== 'unreserved'; n += 1) await segment();
    expect((await live(at)).check('slot')).toMatchObject({
      state: 'fail',
      text: expect.stringMatching(/about to be lost: \d+ .B not yet stored/),
    });
    await db.sql('checkpoint');
    await waitFor(async () => (await status()) === 'lost', 'the slot to be lost');
    expect((await live(at)).check('slot')).toMatchObject({ state: 'fail', mend: expect.stringContaining('--new-lineage') });
  });

  it('another cluster than the one in the stores has no lineage there', async () => {
    await serve();
    await aBackup(at);
    const other = await startPostgres({ version });
    const state = await live(await setUp(other, { like: at }));
    await other.destroy();
    expect(failed(state)).toEqual(['identity']);
    expect(state.lineage).toBeUndefined();
    expect(state.position).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
  });

  it('the server answers though no store does', async () => {
    await serve();
    await aBackup(at);
    for (const path of Object.values(at.stores)) renameSync(path, `${path}.gone`);
    const state = await live(at);
    for (const path of Object.values(at.stores)) renameSync(`${path}.gone`, path);
    expect(failed(state)).toEqual(['identity']);
    expect(state.position).toBeDefined();
  });

  it('MO02: a server that is down is a sentence', async () => {
    await serve();
    await db.stop();
    await expect(live(at)).rejects.toMatchObject({ name: 'BkpError', exit: 'failed', message: expect.stringMatching(/refused/) });
  });
});

describe('a standby', () => {
  let standby: Postgres;

  beforeEach(async () => {
    const primary = await startPostgres({ version: '18' });
    const dir = join(tempDir({ forServer: true }), 'data');
    const from = ['-h', primary.socketDir, '-p', String(primary.port), '-U', primary.superuser];
    await primary.asServer(primary.tool('pg_basebackup'), ['-D', dir, '-R', '--checkpoint=fast', ...from]);
    standby = await startPostgres({ version: '18', dir });
  });

  it('is refused: its position is not that of the data', async () => {
    const at = await setUp(standby);
    mkdirSync(at.spool);
    await expect(live(at)).rejects.toMatchObject({ exit: 'refused', message: expect.stringContaining('is a standby') });
  });
});
