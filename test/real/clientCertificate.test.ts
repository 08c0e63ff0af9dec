import { chmodSync, chownSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { serverAccount } from './rig/account.ts';
import { type Certificate, selfSigned, signedBy } from './rig/certificate.ts';
import { cleanUp, type Postgres, runBkp, startPostgres, stopBkp } from './rig/index.ts';
import { aBackup, setUp, streamTo } from './setup.ts';

afterAll(cleanUp);

/** The role of backups comes in by a certificate of this authority and by nothing else. */
async function onlyByCertificate(db: Postgres, authority: Certificate): Promise<void> {
  const own = await signedBy(authority, '127.0.0.1', { extensions: 'subjectAltName=IP:127.0.0.1\n' });
  const account = serverAccount();
  for (const [name, from] of Object.entries({
    'server.crt': own.files.cert,
    'server.key': own.files.key,
    'root.crt': authority.files.cert,
  })) {
    const to = join(db.dataDir, name);
    copyFileSync(from, to);
    chmodSync(to, 0o600);
    if (account) chownSync(to, account.uid, account.gid);
  }
  const lines = ['local all all trust', 'hostssl all bkp 127.0.0.1/32 cert', 'hostssl replication bkp 127.0.0.1/32 cert', ''];
  writeFileSync(join(db.dataDir, 'pg_hba.conf'), lines.join('\n'));
  db.configure({ ssl: 'on', ssl_ca_file: 'root.crt' });
  await db.restart();
}

/** That of version 18 here is built without TLS. */
it('PostgreSQL that wants a client certificate is backed up and streamed', async () => {
  const db = await startPostgres({ version: '15' });
  const authority = await selfSigned('authority');
  await onlyByCertificate(db, authority);
  const { files } = await signedBy(authority, 'bkp');
  const tls = { sslmode: 'verify-full', sslrootcert: authority.files.cert };
  const without = await setUp(db, { entry: tls });
  const { code, stderr } = await runBkp(['backup', 'postgres'], without.run);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/requires a valid client certificate/) });
  const at = await setUp(db, { entry: { ...tls, sslcert: files.cert, sslkey: files.key } });
  await aBackup(at);
  await stopBkp(await streamTo(at, db), 'SIGTERM');
  expect((await runBkp(['doctor', 'postgres'], at.run)).stdout).toMatch(/^OK +replication role: bkp may replicate/m);
});

it('PostgreSQL 18 whose event trigger on login lets the role of backups not in: doctor says so', async () => {
  const db = await startPostgres({ version: '18' });
  const at = await setUp(db);
  await db.sql(`create function shut() returns event_trigger language plpgsql as $$ begin
  if session_user = 'bkp' then raise exception 'not now'; end if; end $$;
create event trigger shut on login execute function shut(); alter event trigger shut enable always;`);
  const { code, stdout } = await runBkp(['doctor', 'postgres'], at.run);
  expect({ code, stdout }).toEqual({
    code: 10,
    stdout: expect.stringMatching(/an event trigger on login of database "postgres" does not let bkp in/),
  });
  expect(stdout).not.toContain('CREATE ROLE');
});
