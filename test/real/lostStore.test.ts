import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { cleanUp, runBkp, startPostgres, stopBkp, tempDir, waitFor } from './rig/index.ts';
import { aBackup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

it('a backup gives a new store the WAL of the lineage before a restore in place, too: the newest backups are nothing to roll forward without', async () => {
  const db = await startPostgres({ version: '15' });
  const at = await setUp(db);
  await db.sql('create table t (n int)');
  const child = await streamTo(at, db);
  await aBackup(at);
  await db.sql('insert into t values (1); select pg_switch_wal()');
  await db.sql('insert into t values (2)');
  const last = await db.sql('select pg_walfile_name(pg_switch_wal())');
  await waitFor(() => at.walNames('local').includes(last) && at.walNames('offsite').includes(last), `WAL ${last}`);
  const before = at.walNames('offsite');
  await stopBkp(child, 'SIGTERM');
  await stopBkp(await streamTo(at, db, ['--new-lineage']), 'SIGTERM');
  renameSync(at.stores['local']!, join(tempDir(), 'lost'));
  mkdirSync(at.stores['local']!);
  const second = await streamTo(at, db);
  await aBackup(at);
  expect(at.walNames('local')).toEqual(expect.arrayContaining(before));
  const alone = await runBkp(['list', 'postgres', 'app', '--window', '--from', 'local', '--json'], at.run);
  expect({ code: alone.code, stderr: alone.stderr }).toEqual({ code: 0, stderr: '' });
  await stopBkp(second, 'SIGTERM');
  await db.destroy();
});
