import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { lastJson, type Yaml } from './change.ts';
import { cleanUp, type Postgres, runBkp, startPostgres, tempDir, waitFor } from './rig/index.ts';
import { type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

describe('a standby that lags', () => {
  let standby: Postgres;
  let at: Setup;

  beforeAll(async () => {
    const primary = await startPostgres({ version: '18' });
    await primary.sql('create table t (n int); insert into t values (1)');
    const dir = join(tempDir({ forServer: true }), 'data');
    const from = ['-h', primary.socketDir, '-p', String(primary.port), '-U', primary.superuser];
    await primary.asServer(primary.tool('pg_basebackup'), ['-D', dir, '-R', '--checkpoint=fast', ...from]);
    standby = await startPostgres({ version: '18', dir, settings: { recovery_min_apply_delay: '1h' } });
    at = await setUp(standby);
    mkdirSync(at.spool);
    await primary.sql('insert into t values (2)');
    const end = await primary.sql('select pg_current_wal_flush_lsn()');
    await waitFor(async () => (await standby.sql(`select pg_last_wal_receive_lsn() >= '${end}'`)) === 't', 'the WAL at the standby');
    expect(await standby.sql('select count(*) from t')).toBe('1');
  });

  it('is refused: its backup could claim a newer state than it holds', async () => {
    const { code, stdout } = await runBkp(['backup', 'postgres', '--json'], at.run);
    expect(code).toBe(4);
    expect(lastJson(stdout)['message']).toMatch(/is a standby/);
  });

  it('is told by doctor, with every other check, also where it has our slot', async () => {
    await standby.sql("select pg_create_physical_replication_slot('bkp_app', true)");
    const { code, stdout } = await runBkp(['doctor', 'postgres', '--json'], at.run);
    await standby.sql("select pg_drop_replication_slot('bkp_app')");
    const checks: Yaml[] = lastJson(stdout)['checks'] ?? [];
    expect(checks.map(check => check['name'])).toEqual(expect.arrayContaining(['server', 'slot', 'archiver', 'spool']));
    expect(checks.map(check => check['text']).join('\n')).toMatch(/standby|recovery/);
    expect([0, 10]).toContain(code);
  });
});
