import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { cleanUp, runBkp, startBkp, startPostgres, stopBkp, waitFor } from './rig/index.ts';
import { aBackup, aPlace, setUp } from './setup.ts';

afterAll(cleanUp);

it('a restore in place with the spool kept: the stream goes on in the new lineage, and both histories restore', async () => {
  const db = await startPostgres({ version: '15' });
  const at = await setUp(db);
  const lineages = (): string[] => readdirSync(join(at.stores['local']!, 'bkp/production/postgres/app/wal')).sort();
  const streamed = async (name: string) => waitFor(() => at.walNames('local').includes(name), `${name} in the store`);
  const nextSegment = async (sql: string) => {
    const name = await db.sql(`${sql}; select pg_walfile_name(pg_current_wal_lsn())`);
    await db.sql('select pg_switch_wal()');
    return name;
  };

  let stream = startBkp(['stream', 'postgres'], at.run);
  await waitFor(async () => (await db.sql('select count(*) from pg_replication_slots')) === '1', 'the slot');
  await db.sql('create table t (n int)');
  await aBackup(at);
  await streamed(await nextSegment('insert into t values (1)'));
  const lsn = await db.sql('select pg_current_wal_lsn()');
  await streamed(await nextSegment('insert into t values (2)'));
  await stopBkp(stream, 'SIGTERM');
  await db.stop('fast');

  const restore = await runBkp(['restore', 'postgres', 'app', '--target-lsn', lsn, '--force', '--yes'], at.run);
  expect({ code: restore.code, stderr: restore.code === 0 ? '' : restore.stderr }).toEqual({ code: 0, stderr: '' });
  await db.start();
  expect(await db.sql('select string_agg(n::text, $$,$$ order by n) from t')).toBe('1');

  stream = startBkp(['stream', 'postgres'], at.run);
  await waitFor(async () => (await db.sql('select count(*) from pg_replication_slots')) === '1', 'the slot again');
  await streamed(await nextSegment('insert into t values (9)'));
  const latest = async (): Promise<string> =>
    (await runBkp(['restore', 'postgres', 'app', '--latest', '--to', aPlace(), '--dry-run'], at.run)).stderr;
  expect(await latest()).toMatch(/^warning lineage \d+-2, restored from \d+-1 at LSN \S+, was begun \S+ and has no backup: nothing/m);
  await aBackup(at);
  expect(await latest()).not.toContain('has no backup');
  await streamed(await nextSegment('insert into t values (3)'));
  await stopBkp(stream, 'SIGTERM');
  expect(lineages().map(name => name.replace(/^\d+-/, ''))).toEqual(['1', '2']);
  const verified = await runBkp(['verify', '--deep'], at.run);
  expect({ code: verified.code, stdout: verified.code === 0 ? '' : verified.stdout }).toEqual({ code: 0, stdout: '' });
});
