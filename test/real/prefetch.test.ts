import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import {
  cleanUp,
  isAlive,
  type Postgres,
  type PostgresVersion,
  pause,
  runBkp,
  startPostgres,
  stopBkp,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { aBackup, type Setup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

const DEPTH = 4;
/** Besides what is ahead: those behind, the present one, one that is being written, and the small files. */
const MOST = DEPTH + 3 + 1;

/** A server's restore_command, answered where the tests run: the server's account may read neither keys nor program. */
const COMMAND = (dir: string): string =>
  `echo "%p" > ${dir}/%f.asked; while [ ! -e ${dir}/%f.answered ]; do sleep 0.02; done; code=$(cat ${dir}/%f.answered); rm -f ${dir}/%f.asked ${dir}/%f.answered; exit $code`;

interface Asked {
  name: string;
  code: number | null;
  /** How many segments lay ready at that time. */
  ready: number;
}

/** What is asked for; '' where it is not written yet, or was answered and taken away since it was listed. */
function question(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return '';
  }
}

/** For whatever account the server runs as. It may have taken the file already: asked again, it has an answer before ours. */
function open(path: string): void {
  try {
    chmodSync(path, 0o666);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Answers each question by `bkp wal fetch`; `before` may do something first. */
function answer(dir: string, dataDir: string, at: Setup, before: (name: string) => Promise<void>) {
  const asked: Asked[] = [];
  let running = true;
  const ahead = join(dataDir, 'pg_wal/.bkp-ahead-app');
  const loop = (async () => {
    while (running) {
      for (const file of readdirSync(dir).filter(each => each.endsWith('.asked'))) {
        const name = file.slice(0, -'.asked'.length);
        if (existsSync(join(dir, `${name}.answered`))) continue;
        const path = question(join(dir, file));
        if (path === '') continue;
        await before(name);
        const { code } = await runBkp(['wal', 'fetch', 'app', name, path], { ...at.run, cwd: dataDir });
        open(join(dataDir, path));
        asked.push({ name, code, ready: existsSync(ahead) ? readdirSync(ahead).filter(each => /^[0-9A-F]{24}$/.test(each)).length : 0 });
        // It is read and taken away as soon as it is there.
        const answer = join(dir, `${name}.written`);
        writeFileSync(answer, `${code ?? 255}\n`);
        chmodSync(answer, 0o666);
        renameSync(answer, join(dir, `${name}.answered`));
      }
      await pause(10);
    }
  })();
  const stop = async (): Promise<void> => {
    running = false;
    await loop;
  };
  return { asked, stop, ahead };
}

describe.each<PostgresVersion>(['15', '18'])('reading ahead for PostgreSQL %s', version => {
  const fill = async (db: Postgres, from: number, count: number): Promise<void> => {
    for (let n = from; n < from + count; n += 1) await db.sql(`insert into t values (${n}); select pg_switch_wal()`);
  };

  it('hands out what it has though no store answers, across timelines, within bounds, and is gone when recovery is over', async () => {
    const db = await startPostgres({ version, initdb: ['--wal-segsize=1'] });
    const at = await setUp(db, { entry: { wal: { prefetch: DEPTH, flush: '250ms', heartbeat: 'off' } } });
    await db.sql('create table t (n int)');
    const first = await streamTo(at, db);
    await aBackup(at);
    const copyDir = join(tempDir({ forServer: true }), 'copy');
    const from = ['-h', db.socketDir, '-p', String(db.port), '-U', db.superuser];
    await db.asServer(db.tool('pg_basebackup'), ['-D', copyDir, '-X', 'none', '--checkpoint=fast', ...from]);
    await fill(db, 1, 8);
    await db.stop();
    await stopBkp(first, 'SIGTERM');
    writeFileSync(join(db.dataDir, 'recovery.signal'), '');
    db.configure({ restore_command: '/bin/false' });
    await db.start();
    await waitFor(async () => (await db.sql('select pg_is_in_recovery()')) === 'f', 'the second timeline');
    const second = await streamTo(at, db);
    await fill(db, 9, 8);
    await db.sql('insert into t values (17)');
    const arrived = "select write_lsn >= pg_current_wal_lsn() from pg_stat_replication where application_name = 'bkp'";
    await waitFor(async () => (await db.sql(arrived)) === 't', 'the last row to arrive');
    await stopBkp(second, 'SIGTERM');
    await db.stop();

    const dir = join(tempDir({ forServer: true }), 'asked');
    mkdirSync(dir);
    chmodSync(dir, 0o777);
    writeFileSync(join(copyDir, 'recovery.signal'), '');
    const away: string[] = [];
    const seen: string[] = [];
    const desk = answer(dir, copyDir, at, async name => {
      seen.push(name);
      for (const path of away.splice(0)) renameSync(`${path}.gone`, path);
      // Once it is far enough ahead, the stores vanish for one question.
      const ready = (): string[] => (existsSync(desk.ahead) ? readdirSync(desk.ahead).filter(each => /^[0-9A-F]{24}$/.test(each)) : []);
      if (seen.length !== 6) return;
      await waitFor(() => ready().includes(name), `${name} to be read ahead`);
      away.push(...Object.values(at.stores));
      for (const path of away) renameSync(path, `${path}.gone`);
    });
    const settings = { restore_command: COMMAND(dir), archive_mode: 'off' };
    const copy = await startPostgres({ version, dir: copyDir, settings });
    await waitFor(async () => (await copy.sql('select pg_is_in_recovery()')) === 'f', 'the end of recovery');
    expect(await copy.sql("select string_agg(n::text, ',' order by n) from t")).toBe(Array.from({ length: 17 }, (_, n) => n + 1).join(','));
    expect(desk.asked.find(({ code }) => code !== 0 && code !== 74)).toBeUndefined();
    expect(desk.asked.filter(({ name, code }) => code === 0 && name.startsWith('00000001')).length).toBeGreaterThan(3);
    expect(desk.asked.filter(({ name, code }) => code === 0 && name.startsWith('00000002')).length).toBeGreaterThan(3);
    expect(Math.max(...desk.asked.map(({ ready }) => ready))).toBeGreaterThan(1);
    expect(Math.max(...desk.asked.map(({ ready }) => ready))).toBeLessThanOrEqual(MOST);
    await waitFor(() => !existsSync(desk.ahead), 'what was read ahead to be gone');
    await desk.stop();
    await copy.destroy();
    await db.destroy();
  });
});

describe('reading ahead', () => {
  it('ends with its server, and one that was killed is replaced', async () => {
    const db = await startPostgres({ version: '18', initdb: ['--wal-segsize=1'] });
    const at = await setUp(db, { entry: { wal: { prefetch: DEPTH } } });
    await db.sql('create table t (n int)');
    await aBackup(at);
    const names: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      names.push(await db.sql(`insert into t values (${n}); select pg_walfile_name(pg_current_wal_lsn())`));
      await db.sql('select pg_switch_wal()');
    }
    for (const name of names)
      expect((await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run, cwd: db.dataDir })).code).toBe(0);
    const ahead = join(db.dataDir, 'pg_wal/.bkp-ahead-app');
    const to = join(tempDir(), 'segment');
    const fetch = async (name: string): Promise<void> => {
      expect((await runBkp(['wal', 'fetch', 'app', name, to], { ...at.run, cwd: db.dataDir })).code).toBe(0);
      expect(readFileSync(to).equals(readFileSync(join(db.dataDir, 'pg_wal', name)))).toBe(true);
    };
    const reader = (old = 0): Promise<number> =>
      waitFor(() => {
        const pid = Number(readFileSync(join(ahead, 'pid'), 'utf8'));
        return pid !== old && existsSync(join(ahead, names.at(-1)!)) && pid;
      }, 'the reader');
    await fetch(names[0]!);
    await pause(300);
    expect(existsSync(ahead)).toBe(false);
    writeFileSync(join(db.dataDir, 'standby.signal'), '');
    await fetch(names[0]!);
    const first = await reader();
    process.kill(first, 'SIGKILL');
    await waitFor(() => !isAlive(first), 'the reader to be dead');
    // What a reader left counts as one that is just beginning, for two seconds.
    await pause(2100);
    await fetch(names[1]!);
    const second = await reader(first);
    await fetch(names[2]!);
    await db.stop();
    await waitFor(() => !existsSync(ahead) && !isAlive(second), 'the reader to be gone');
    await db.destroy();
  });
});
