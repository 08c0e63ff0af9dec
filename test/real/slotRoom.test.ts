import { chmodSync, chownSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { lastJson, type Yaml } from './change.ts';
import { serverAccount } from './rig/account.ts';
import { selfSigned, signedBy } from './rig/certificate.ts';
import { cleanUp, type PostgresVersion, runBkp, startPostgres, stopBkp } from './rig/index.ts';
import { aBackup, type Setup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

async function doctor({ run }: Setup) {
  const { code, stdout } = await runBkp(['doctor', 'postgres', '--json'], run);
  const checks: Yaml[] = lastJson(stdout)['checks'];
  const check = (name: string): Yaml => checks.find(each => each['name'] === name) ?? {};
  return { code, check, failed: checks.filter(each => each['state'] === 'fail').map(each => each['name']) };
}

const pasteable = (check: Yaml): string => check['mend'].replaceAll(/--.*$/gm, '');

describe.each<PostgresVersion>(['15', '18'])('a PostgreSQL %s without room', version => {
  it('for one more slot: doctor is red before a backup fails, what it tells to paste works, and a slot that was left behind is named', async () => {
    const db = await startPostgres({
      version,
      settings: { max_replication_slots: '1', min_wal_size: '2MB', max_wal_size: '2MB' },
      initdb: ['--wal-segsize=1'],
    });
    await db.sql("select pg_create_physical_replication_slot('abandoned', true)");
    for (let n = 0; n < 4; n += 1) await db.sql('select pg_logical_emit_message(true, $$x$$, $$y$$); select pg_switch_wal()');
    const at = await setUp(db);
    const { code, stderr } = await runBkp(['backup', 'postgres'], at.run);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/WAL could not be held for the backup/) });
    const full = await doctor(at);
    expect({ code: full.code, failed: full.failed }).toEqual({ code: 10, failed: ['replication slots'] });
    expect(full.check('replication slots')).toMatchObject({ text: expect.stringMatching(/^1 of 1 are in use \(abandoned\)/) });
    expect(full.check('slot abandoned')).toMatchObject({ state: 'warn', text: expect.stringMatching(/holds back \d+ kB of WAL/) });
    await db.sql(pasteable(full.check('slot abandoned')));
    expect((await doctor(at)).check('replication slots')).toMatchObject({ state: 'ok', text: '0 of 1 are in use' });
    await stopBkp(await streamTo(at, db), 'SIGTERM');
    const ours = await doctor(at);
    expect(ours.check('replication slots')).toMatchObject({ state: 'ok', text: '1 of 1 are in use' });
    expect(ours.check('slot bkp_app')).toEqual({});
    await aBackup(at);
    await db.destroy();
  });

  it('for one more connection of replication: doctor and backup name the setting, not the role', async () => {
    const db = await startPostgres({ version, settings: { max_wal_senders: '0' } });
    const at = await setUp(db);
    const { code, stderr } = await runBkp(['backup', 'postgres'], at.run);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/→ ALTER SYSTEM SET max_wal_senders = 10;/) });
    const { check, failed } = await doctor(at);
    expect(failed).toEqual(['replication role']);
    expect(check('replication role')['mend']).not.toContain('CREATE ROLE');
    for (const statement of pasteable(check('replication role')).trim().split('\n')) await db.sql(statement);
    await db.restart();
    expect((await doctor(at)).failed).toEqual([]);
    await aBackup(at);
    await db.destroy();
  });
});

/** That of version 18 here is built without TLS. */
it('a server that answers with the certificate of another host: doctor tells of the certificate, not of a role', async () => {
  const db = await startPostgres({ version: '15' });
  const authority = await selfSigned('authority');
  const { files } = await signedBy(authority, 'db', { extensions: 'subjectAltName=DNS:db.internal\n' });
  const account = serverAccount();
  for (const [name, from] of Object.entries({ 'server.crt': files.cert, 'server.key': files.key })) {
    const to = join(db.dataDir, name);
    copyFileSync(from, to);
    chmodSync(to, 0o600);
    if (account) chownSync(to, account.uid, account.gid);
  }
  db.configure({ ssl: 'on' });
  await db.restart();
  const at = await setUp(db, { entry: { sslmode: 'verify-full', sslrootcert: authority.files.cert } });
  const { code, stderr } = await runBkp(['backup', 'postgres'], at.run);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/does not match host name "127\.0\.0\.1"/) });
  const { check } = await doctor(at);
  expect(check('server')).toMatchObject({
    state: 'fail',
    text: expect.stringMatching(/does not match host name/),
    mend: expect.stringMatching(/^sslmode, sslrootcert/),
  });
  await db.destroy();
});
