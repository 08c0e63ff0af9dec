import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  cleanUp,
  type Postgres,
  type PostgresVersion,
  pause,
  type Running,
  runBkp,
  startBkp,
  startPostgres,
  stopBkp,
  waitFor,
} from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

describe.each<PostgresVersion>(['15', '18'])('streaming WAL of PostgreSQL %s', version => {
  let db: Postgres;
  let at: Setup;

  beforeEach(async () => {
    db = await startPostgres({ version });
    at = await setUp(db);
    await db.sql('create table t (n int)');
  });
  afterEach(() => db.destroy());

  const streaming = (): Promise<Running> => streamTo(at, db);
  const kill = async (child: Running): Promise<void> => {
    child.kill('SIGKILL');
    await child.ended;
    await db.sql('select pg_terminate_backend(pid) from pg_stat_replication');
    await waitFor(async () => (await db.sql('select count(*) from pg_stat_replication')) === '0', 'the receiver to be gone');
  };
  const segment = async (n: number): Promise<string> => {
    await db.sql(`insert into t values (${n})`);
    const name = await db.sql('select pg_walfile_name(pg_current_wal_lsn())');
    await db.sql('select pg_switch_wal(); checkpoint');
    return name;
  };
  const stored = (name: string, store = 'local') => waitFor(() => at.walNames(store).includes(name), `WAL ${name} in ${store}`);
  const latest = async (): Promise<string> => {
    const to = aPlace();
    const run = await runBkp(['restore', 'postgres', '--latest', '--to', to, '--yes'], at.run);
    expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
    const copy = await startPostgres({ version, dir: to });
    const rows = await copy.sql("select string_agg(n::text, ',' order by n) from t");
    await copy.destroy();
    return rows;
  };

  it('puts every segment into both stores, and moves its slot only behind what they hold; a hole in it never promotes', async () => {
    const child = await streaming();
    await aBackup(at);
    const names = [await segment(1), await segment(2), await segment(3)];
    for (const name of names) for (const store of ['local', 'offsite']) await stored(name, store);
    const behind = await db.sql(`select '0/${(Number.parseInt(names[2]!.slice(16), 16) + 1).toString(16)}000000'::pg_lsn`);
    const moved = `select restart_lsn = '${behind}' from pg_replication_slots where slot_name = 'bkp_app'`;
    await waitFor(async () => (await db.sql(moved)) === 't', 'the slot to move');
    expect((await stopBkp(child, 'SIGTERM')).code).toBe(143);
    for (const root of Object.values(at.stores)) {
      for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) if (path.includes(names[1]!)) rmSync(join(root, path));
    }
    const run = await runBkp(['restore', 'postgres', '--latest', '--to', aPlace(), '--yes'], at.run);
    expect(run.code).toBe(4);
    expect(run.stderr).toContain(names[1]);
  });

  it('loses no WAL when the spool is lost before anything was stored, nor after', async () => {
    await kill(await streaming());
    await aBackup(at);
    const places = Object.values(at.stores);
    for (const path of places) renameSync(path, `${path}.gone`);
    const names: string[] = [];
    const child = startBkp(['stream', 'postgres'], at.run);
    for (const n of [1, 2, 3, 4]) names.push(await segment(n));
    await pause(2000);
    child.kill('SIGKILL');
    await child.ended;
    await db.sql('select pg_terminate_backend(pid) from pg_stat_replication');
    rmSync(at.spool, { recursive: true, force: true });
    for (const path of places) renameSync(`${path}.gone`, path);
    const second = await streaming();
    for (const name of names) {
      await stored(name).catch(error => {
        second.kill('SIGTERM');
        return second.ended.then(({ stderr }) => Promise.reject(new Error(`${error.message}: ${stderr}`)));
      });
    }
    await kill(second);
    await segment(5);
    rmSync(at.spool, { recursive: true });
    const third = await streaming();
    const last = await segment(6);
    await stored(last);
    await stored(last, 'offsite');
    await stopBkp(third, 'SIGTERM');
    expect(await latest()).toBe('1,2,3,4,5,6');
  });

  it('ends the receiver that a killed bkp left behind, before it can rename what the next one writes', async () => {
    const receivers = () => db.sql('select count(*) from pg_stat_replication');
    const first = await streaming();
    await aBackup(at);
    await stored(await segment(1));
    first.kill('SIGKILL');
    await first.ended;
    expect(await receivers()).toBe('1');
    const second = await streaming();
    const ended = /pg_receivewal \(process \d+\), which a bkp that was killed left behind, is ended[\s\S]*start +stream/;
    await waitFor(() => ended.test(second.output().stderr), 'the one that was left to be ended');
    await waitFor(async () => (await receivers()) === '1', 'the server to see one receiver only');
    await stored(await segment(2));
    expect((await stopBkp(second, 'SIGTERM')).code).toBe(143);
    expect(await latest()).toBe('1,2');
  });

  it('refuses a second stream into the same spool, which leaves the first one alone', async () => {
    const child = await streaming();
    expect(await runBkp(['stream', 'postgres'], at.run)).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/another bkp stream receives into the spool .*\n {2}→ one stream is enough/),
    });
    await stored(await segment(1));
    expect((await stopBkp(child, 'SIGTERM')).code).toBe(143);
  });

  it('survives a restart of the server and an outage of one store', async () => {
    const child = await streaming();
    await aBackup(at);
    await stored(await segment(1));
    renameSync(at.stores['offsite']!, `${at.stores['offsite']}.gone`);
    await stored(await segment(2));
    await db.restart();
    const name = await segment(3);
    await stored(name);
    renameSync(`${at.stores['offsite']}.gone`, at.stores['offsite']!);
    await waitFor(() => JSON.stringify(at.walNames('offsite')) === JSON.stringify(at.walNames('local')), 'both stores to hold the same');
    await stopBkp(child, 'SIGTERM');
    expect(await latest()).toBe('1,2,3');
  });
});
