import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { changed } from './change.ts';
import {
  bkpCommand,
  cleanUp,
  isAlive,
  type Postgres,
  type Running,
  runBkp,
  start,
  startBkp,
  startPostgres,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';
import { deadPacker, filesIn, pathWith, slowPacker, stuckPacker } from './stub.ts';

afterAll(cleanUp);

const ENDED = [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const;

describe('ended midway', () => {
  let db: Postgres;
  let at: Setup;
  let before: Record<string, string[]>;
  let temp: string;

  const roots = () => Object.values(at.stores);
  const environment = (packer: string) => ({ ...at.run, env: { ...at.run.env, TMPDIR: temp, PATH: pathWith(packer) } });
  const list = async () => (await runBkp(['list', '--json'], at.run)).stdout;
  /** Both stores have the first block of an upload on their disk. */
  const uploading = () =>
    waitFor(
      () => roots().every(root => filesIn(root).some(file => file.includes('.tmp-') && statSync(join(root, file)).size >= 16 << 20)),
      'both stores to be written',
    );
  /** What a scratch directory may still hold: Node's own compile cache is no file of a run. */
  const scratch = () => readdirSync(temp).filter(name => name.startsWith('bkp-'));
  const quiet = async () => {
    const connected = "select count(*) from pg_stat_activity where usename = 'bkp'";
    await waitFor(async () => (await db.sql(connected)) === '0', 'every session of bkp to end');
    expect(await db.sql('select slot_name from pg_replication_slots')).toBe('');
  };

  beforeAll(async () => {
    db = await startPostgres({ version: '18' });
    at = await setUp(db);
    await db.sql('create table t as select n, repeat(md5(n::text), 30) as text from generate_series(1, 20000) n');
    await aBackup(at);
  });

  beforeEach(async () => {
    temp = tempDir();
    before = Object.fromEntries(roots().map(root => [root, filesIn(root)]));
  });

  const nothingLeft = async (child: Running) => {
    // That a run failed is written down; nothing else of it stays.
    const left = (files: readonly string[] | undefined) => files?.filter(file => !file.includes('/runs/'));
    for (const root of roots()) expect(left(filesIn(root))).toEqual(left(before[root]));
    expect(scratch()).toEqual([]);
    await quiet();
    expect(isAlive(child.pid)).toBe(false);
  };

  it('a full disk under its output cuts no backup short, and is not the end of one that is done', async () => {
    expect(statSync('/dev/full').isCharacterDevice()).toBe(true);
    const [file, args] = bkpCommand(['backup', 'postgres']);
    const env = { PATH: process.env['PATH'] ?? '', HOME: temp, BKP_CONFIG: at.run.config, ...at.run.env };
    const { code, stderr } = await start('sh', ['-c', 'exec "$@" >/dev/full', 'sh', file, ...args], { env }).ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/done {4}backup[\s\S]*could not be written: ENOSPC/) });
    expect((await list()).match(/"id":/g)).toHaveLength(2);
    await quiet();
  });

  it.each(ENDED)('CF12: a backup by %s ends with %d, and leaves nothing anywhere', async (signal, code) => {
    const listed = await list();
    const child = startBkp(['backup', 'postgres', '--json'], environment(stuckPacker()));
    await uploading();
    expect(await db.sql('select count(*) from pg_replication_slots where temporary')).toBe('1');
    child.kill(signal);
    const end = await child.ended;
    expect(end.code).toBe(code);
    expect(end.stderr).toMatch(new RegExp(`^bkp: .*${signal}`, 'm'));
    expect(JSON.parse(end.stdout.trim().split('\n').at(-1)!)).toMatchObject({ type: 'error', exit: code });
    await nothingLeft(child);
    expect(await list()).toBe(listed);
  });

  it('a server that ends the connection midway fails the backup, with its words, and leaves nothing', async () => {
    const child = startBkp(['backup', 'postgres'], environment(slowPacker()));
    await uploading();
    await db.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'bkp' and backend_type = 'walsender'");
    const end = await child.ended;
    expect(end.code).toBe(1);
    expect(end.stderr).toMatch(/pg_basebackup .*(terminat|connection|closed)/s);
    await nothingLeft(child);
  });

  it.each(ENDED)('CF12: a restore by %s while it unpacks ends with %d, its target marked', async (signal, code) => {
    const to = aPlace();
    const packer = deadPacker();
    const child = startBkp(['restore', 'postgres', '--latest', '--to', to, '--yes'], environment(packer));
    await waitFor(() => existsSync(join(packer, 'zstd.started')), 'the unpacking to begin');
    child.kill(signal);
    const end = await child.ended;
    expect(end.code).toBe(code);
    await nothingLeft(child);
    expect(readdirSync(to)).toEqual(['BKP_RESTORE_INCOMPLETE']);
    const again = await runBkp(['restore', 'postgres', '--latest', '--to', to, '--yes'], at.run);
    expect(again.code).toBe(4);
    expect(again.stderr).toContain('incomplete restore');
  });

  it.each([
    ['nobody is told', {}],
    ['somebody is told', { notify: { ops: { type: 'healthchecks', url: 'http://127.0.0.1:1/nobody' } } }],
  ])('the last words of a restore that was ended name the directory that it leaves incomplete; %s', async (_, notify) => {
    const to = aPlace();
    const packer = deadPacker();
    const { config } = changed(at, all => void Object.assign(all['environments'].production, notify));
    const child = startBkp(['restore', 'postgres', '--latest', '--to', to, '--yes'], { ...environment(packer), config });
    await waitFor(() => existsSync(join(packer, 'zstd.started')), 'the unpacking to begin');
    child.kill('SIGTERM');
    const words = (await child.ended).stderr.split(/^bkp: /m).at(-1);
    expect(words).toContain('SIGTERM');
    expect(words).toContain(to);
  });

  it('CF12: a restore by SIGTERM while it replays leaves no server behind, and its target marked', async () => {
    const to = aPlace();
    const child = startBkp(['restore', 'postgres', '--latest', '--to', to, '--yes'], { ...at.run, env: { ...at.run.env, TMPDIR: temp } });
    const pidFile = join(to, 'postmaster.pid');
    const pid = await waitFor(() => existsSync(pidFile) && Number(readFileSync(pidFile, 'utf8').split('\n')[0]), 'the private server');
    child.kill('SIGTERM');
    const end = await child.ended;
    expect(end.code).toBe(143);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(join(to, 'BKP_RESTORE_INCOMPLETE'))).toBe(true);
    await nothingLeft(child);
  });
});
