import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { lastJson, type Yaml } from './change.ts';
import { cleanUp, type Postgres, type PostgresVersion, pause, type Running, runBkp, startPostgres, stopBkp, waitFor } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

const NO_BEATS =
  "do $$ declare f regprocedure; begin for f in select oid::regprocedure from pg_proc where proname = 'pg_logical_emit_message' loop execute format('revoke execute on function %s from public', f); end loop; end $$";
const ARRIVED = "select write_lsn >= pg_current_wal_lsn() from pg_stat_replication where application_name = 'bkp'";

interface Beat {
  lineage: string;
  at: string;
  lsn: string;
}

const recordPath = (at: Setup, store: string): string | undefined =>
  readdirSync(at.stores[store]!, { recursive: true, encoding: 'utf8' }).find(path => path.endsWith('/heartbeat.json'));

const record = (at: Setup): Beat | undefined => {
  const path = recordPath(at, 'local');
  return path ? JSON.parse(readFileSync(join(at.stores['local']!, path), 'utf8').split('\n')[0]!) : undefined;
};

describe.each<PostgresVersion>(['15', '18'])('an idle PostgreSQL %s', version => {
  let db: Postgres;
  let at: Setup;
  afterEach(() => db.destroy());

  const begin = async (wal: Record<string, unknown>): Promise<Running> => {
    db = await startPostgres({ version, initdb: ['--wal-segsize=1'] });
    at = await setUp(db, { entry: { wal: { flush: '250ms', ...wal } } });
    await db.sql('create table t (n int); insert into t values (1)');
    return streamTo(at, db);
  };

  const logIn = async (store: string): Promise<Yaml> => {
    const { stdout } = await runBkp(['status', 'postgres', 'app', '--json'], at.run);
    return lastJson(stdout)['targets'][0].stores.find((each: Yaml) => each['store'] === store).log;
  };

  it('is reached at each beat, by the least role, and the last beat that was emitted is on record in the store of the chunks', async () => {
    const child = await begin({ heartbeat: '1s' });
    await aBackup(at);
    const first = await waitFor(() => record(at), 'the first beat');
    const next = await waitFor(() => record(at)!.at > first.at && record(at), 'another beat');
    expect(recordPath(at, 'offsite')).toBeUndefined();
    const from = Date.parse(first.at);
    expect(Math.abs(Date.now() - from)).toBeLessThan(1_800_000);
    const time = next.at.replace('T', ' ').replace('Z', '');
    await waitFor(() => record(at)!.at > next.at, 'one more');
    // No beat comes after it, and it has arrived.
    await db.sql(NO_BEATS);
    await waitFor(async () => (await db.sql(ARRIVED)) === 't', 'the last beat to arrive');
    await db.kill9();
    await stopBkp(child, 'SIGTERM');
    expect(await logIn('local')).not.toHaveProperty('missedAt');
    const to = aPlace();
    const run = await runBkp(['restore', 'postgres', '--target-time', time, '--to', to, '--yes'], at.run);
    expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
    const latest = await runBkp(['restore', 'postgres', '--latest', '--to', aPlace(), '--yes', '--json'], at.run);
    expect(lastJson(latest.stdout)['facts'].heartbeat).toMatchObject({ at: record(at)!.at, lostSeconds: 0 });
  });

  it('that stalls is told from one that is idle: what was emitted and did not come is counted as lost', async () => {
    const child = await begin({ heartbeat: '1s' });
    await aBackup(at);
    await waitFor(() => record(at), 'the first beat');
    // A commit after the base backup that is stored: from it the loss is counted.
    await db.sql('insert into t values (2)');
    await waitFor(async () => (await db.sql(ARRIVED)) === 't', 'the commit to arrive');
    await pause(600);
    const sender = Number(await db.sql('select pid from pg_stat_replication'));
    process.kill(sender, 'SIGSTOP');
    const before = record(at)!.at;
    await waitFor(() => Date.parse(record(at)!.at) - Date.parse(before) > 3000, 'beats that are not shipped');
    const told = await waitFor(async () => {
      const log = await logIn('local');
      return log['missedAt'] !== undefined && log;
    }, 'the status to tell of the stall');
    expect(told['missedAt'] > before).toBe(true);
    expect(told['lagBytes']).toBeGreaterThan(0);
    child.kill('SIGKILL');
    await child.ended;
    process.kill(sender, 'SIGCONT');
    await db.kill9();
    const latest = await runBkp(['restore', 'postgres', '--latest', '--to', aPlace(), '--yes', '--json'], at.run);
    expect(latest.code).toBe(0);
    expect(lastJson(latest.stdout)['facts'].heartbeat.lostSeconds).toBeGreaterThan(1);
    expect(latest.stdout).toMatch(/heartbeat of .* is not in what was restored/);
  });
});

describe('the heartbeat', () => {
  let db: Postgres;
  afterEach(() => db.destroy());

  const streaming = async (wal: Record<string, unknown>): Promise<{ at: Setup; child: Running }> => {
    const at = await setUp(db, { entry: { wal: { flush: '250ms', ...wal } } });
    return { at, child: await streamTo(at, db) };
  };

  it('can be turned off: then nothing is written', async () => {
    db = await startPostgres({ version: '18' });
    const { at, child } = await streaming({ heartbeat: 'off' });
    await pause(1000);
    const before = await db.sql('select pg_current_wal_lsn()');
    await pause(1500);
    expect(await db.sql('select pg_current_wal_lsn()')).toBe(before);
    expect(record(at)).toBeUndefined();
    await stopBkp(child, 'SIGTERM');
  });

  it('that a role may not send is told once, and the WAL is shipped all the same', async () => {
    db = await startPostgres({ version: '18' });
    await db.sql(NO_BEATS);
    const { at, child } = await streaming({ heartbeat: '1s' });
    await waitFor(() => /heartbeat failed.*permission denied/s.test(child.output().stderr), 'the warning');
    await db.sql('create table t (n int)');
    const chunk = (): boolean =>
      readdirSync(at.stores['local']!, { recursive: true, encoding: 'utf8' }).some(path =>
        /[0-9A-F]{8}-[0-9A-F]{8}-[0-9a-f]{32}/.test(path),
      );
    await waitFor(chunk, 'a chunk');
    await pause(2200);
    expect(child.output().stderr.match(/heartbeat failed/g)).toHaveLength(1);
    await stopBkp(child, 'SIGTERM');
    expect(statSync(at.stores['local']!).isDirectory()).toBe(true);
  });
});
