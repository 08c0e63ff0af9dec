import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { cleanUp, type PostgresVersion, startBkp, startPostgres, stopBkp, tempDir, waitFor } from './rig/index.ts';
import { undoing } from './rig/undo.ts';
import { receiving, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

/** A spool on a disk of its own, mounted with these options, until it is undone. */
function smallDisk(options: string): { spool: string; unmount: () => void } {
  const spool = join(tempDir(), 'spool');
  mkdirSync(spool);
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', spool]);
  return { spool, unmount: undoing(() => execFileSync('umount', ['-l', spool])) };
}

/** Whatever else is written there meanwhile: until there is no room. */
function fillDisk(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(64 * 1024));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}

it.each<PostgresVersion>(['15', '18'])(
  'PostgreSQL %s: a full disk of the spool is told as such, with its place and what to do; no store is blamed, and the stream goes on once there is room',
  async version => {
    const db = await startPostgres({ version, initdb: ['--wal-segsize=1'] });
    const { spool, unmount } = smallDisk('size=8m');
    const at = await setUp(db, { entry: { spool } });
    const child = await streamTo(at, db);
    await db.sql('create table t (n int)');
    const filler = join(spool, 'filler');
    fillDisk(filler);
    const last = await db.sql('insert into t values (1); select pg_walfile_name(pg_switch_wal())');
    await db.sql('insert into t values (2)');
    const said = (): string => child.output().stderr;
    await waitFor(() => said().includes('No space left on device'), 'the stream to say so');
    const [lineage] = readdirSync(spool).filter(name => /^\d+-\d+$/.test(name));
    expect(said()).toMatch(
      new RegExp(`the spool ${join(spool, lineage!)} on this host fails: .*No space left on device; make room there, or let`),
    );
    expect(said()).not.toMatch(/store \w+ does not take/);
    rmSync(filler);
    await waitFor(() => at.walNames('local').includes(last) && at.walNames('offsite').includes(last), `WAL ${last} in both stores`);
    await stopBkp(child, 'SIGTERM');
    await db.destroy();
    unmount();
  },
);

it('a stream that begins on a full disk of the spool waits for room, and does not end', async () => {
  const db = await startPostgres({ version: '18' });
  const { spool, unmount } = smallDisk('size=80m,nr_inodes=1');
  const at = await setUp(db, { entry: { spool } });
  const child = startBkp(['stream', 'postgres'], at.run);
  const said = (): string => child.output().stderr;
  await waitFor(() => /the spool \S+ on this host fails: .*no space left on device.*; trying again/.test(said()), 'the stream to say so');
  execFileSync('mount', ['-o', 'remount,nr_inodes=1000', spool]);
  await receiving(child, db);
  await db.sql('create table t (n int)');
  const last = await db.sql('select pg_walfile_name(pg_switch_wal())');
  await waitFor(() => at.walNames('local').includes(last), `WAL ${last}`);
  await stopBkp(child, 'SIGTERM');
  await db.destroy();
  unmount();
});
