import { appendFileSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { changed, entryOf, lastJson, type Yaml } from './change.ts';
import { cleanUp, makeKeys, type Postgres, type PostgresVersion, runBkp, startPostgres, tempDir, waitFor } from './rig/index.ts';
import { type Setup, setUp } from './setup.ts';
import { filesIn } from './stub.ts';

afterAll(cleanUp);

/** A server, and what doctor says of it; made before the tests of the `describe` in which this is called. */
function clinic(version: PostgresVersion) {
  let db: Postgres;
  let at: Setup;
  beforeAll(async () => {
    db = await startPostgres({ version, settings: { archive_mode: 'on', archive_command: 'true', max_slot_wal_keep_size: '1GB' } });
    at = await setUp(db);
    mkdirSync(at.spool);
  });
  return {
    db: () => db,
    at: () => at,
    async doctor(run: Setup['run'] = at.run) {
      const { code, stdout } = await runBkp(['doctor', 'postgres', '--json'], run);
      const checks: Yaml[] = lastJson(stdout)['checks'];
      const check = (name: string): Yaml => checks.find(each => each['name'] === name) ?? {};
      return { code, checks, check, failed: checks.filter(each => each['state'] === 'fail').map(each => each['name']) };
    },
    async archive(command: string) {
      await db.sql(`alter system set archive_command = '${command}'`);
      await db.sql('select pg_reload_conf()');
      await waitFor(async () => (await db.sql('show archive_command')) === command, 'the new archive_command');
    },
  };
}

describe.each<PostgresVersion>(['15', '18'])('doctor of PostgreSQL %s', version => {
  const { db, at, doctor } = clinic(version);

  it('where all is well: every check by name, exit 0, and nothing left in a store or on the server', async () => {
    const before = Object.values(at().stores).map(filesIn);
    const { code, checks, failed } = await doctor();
    expect({ code, failed }).toEqual({ code: 0, failed: [] });
    expect(checks.map(check => check['name'])).toEqual(
      expect.arrayContaining([
        ...['zstd', 'age', 'signing key', 'identity'],
        expect.stringMatching(/^store local/),
        expect.stringMatching(/^store offsite/),
        ...['server', 'client programs', 'replication role', 'wal_level', 'max_slot_wal_keep_size', 'slot', 'archiver', 'spool'],
      ]),
    );
    for (const check of checks)
      expect(check).toMatchObject({ target: 'postgres/app', state: expect.stringMatching(/^(ok|warn)$/), text: expect.any(String) });
    expect(Object.values(at().stores).map(filesIn)).toEqual(before);
    expect(await db().sql('select count(*) from pg_replication_slots')).toBe('0');
  });

  it('two stores on one file system are a warning: a disk that fails takes both copies', async () => {
    const { check } = await doctor();
    expect(check('stores local, offsite')).toMatchObject({ state: 'warn', text: expect.stringContaining('one file system') });
  });

  it('as text: the same checks, one line each, and below a line what mends it', async () => {
    const { checks } = await doctor();
    const { code, stdout } = await runBkp(['doctor', 'postgres'], at().run);
    expect(code).toBe(0);
    for (const { name, state } of checks as { name: string; state: string }[])
      expect(stdout).toMatch(new RegExp(`^${state.toUpperCase()} +${name.replace(/[()]/g, '.')}: `, 'm'));
    expect(stdout).toMatch(/^ {8}bkp stream postgres app$/m);
  });

  it('a role that is not there: the SQL and the pg_hba.conf lines to paste, exit 10', async () => {
    const run = changed(at(), config => {
      entryOf(config)['user'] = 'backup_role';
    });
    const { code, stdout } = await runBkp(['doctor', 'postgres'], run);
    expect(code).toBe(10);
    expect(stdout).toMatch(/^FAIL +server: /m);
    expect(stdout).toMatch(/CREATE ROLE backup_role WITH LOGIN REPLICATION PASSWORD/);
    expect(stdout).toMatch(/host +replication +backup_role .*scram-sha-256/);
    expect(stdout).toMatch(/host +postgres +backup_role .*scram-sha-256/);
  });

  it('what is pasted works: the role made by these lines is found good', async () => {
    const run = changed(at(), config => {
      entryOf(config)['user'] = 'pasted';
    });
    const { stdout } = await runBkp(['doctor', 'postgres'], run);
    const sql = [...stdout.matchAll(/^ *SQL: +(.*)$/gm)].map(match =>
      match[1]!.replace("'…'", `'${db().role.password.replaceAll("'", "''")}'`),
    );
    const hba = [...stdout.matchAll(/^ *pg_hba.conf: +(.*)$/gm)].map(match => match[1]!.replace('<address of this host>', '127.0.0.1'));
    appendFileSync(join(db().dataDir, 'pg_hba.conf'), `${hba.join('\n')}\n`);
    for (const statement of sql) await db().sql(statement);
    await waitFor(async () => (await doctor(run)).code === 0, 'the pasted lines to count');
  });

  it('a role without REPLICATION, a role that pg_hba.conf does not let in, and a wrong password are told apart', async () => {
    await db().sql("create role plain login password 'plain-secret'; create role outside login replication password 'plain-secret'");
    appendFileSync(join(db().dataDir, 'pg_hba.conf'), 'host postgres plain 127.0.0.1/32 scram-sha-256\n');
    await db().sql('select pg_reload_conf()');
    const as = (user: string, password: string) =>
      doctor(
        changed(
          at(),
          config => {
            entryOf(config)['user'] = user;
          },
          { APP_PGPASSWORD: password },
        ),
      );
    const plain = await as('plain', 'plain-secret');
    expect(plain.code).toBe(10);
    expect(plain.failed).toEqual(['replication role']);
    expect(plain.check('replication role')['mend']).toBe('ALTER ROLE plain REPLICATION;');
    const outside = await as('outside', 'plain-secret');
    expect(outside.check('server')).toMatchObject({ state: 'fail', text: expect.stringContaining('pg_hba.conf') });
    const wrong = await as('plain', 'not-the-secret');
    expect(wrong.check('server')).toMatchObject({ state: 'fail', text: expect.stringContaining('password authentication failed') });
    expect(JSON.stringify([plain.checks, outside.checks, wrong.checks])).not.toMatch(/plain-secret|not-the-secret/);
  });
});

describe('doctor', () => {
  const { db, at, doctor, archive } = clinic('18');

  it('MO02 MO10: a server that is not there', async () => {
    const run = changed(at(), config => {
      entryOf(config)['port'] = 1;
    });
    const { code, check } = await doctor(run);
    expect(code).toBe(10);
    // Rights mend what a server refuses; they do not mend one that is not there.
    const mend = expect.stringMatching(/^does it run and listen there\? pg_isready -h 127\.0\.0\.1 -p \d+; /);
    expect(check('server')).toMatchObject({ state: 'fail', text: expect.stringMatching(/refused/), mend });
    const { code: failed, stderr } = await runBkp(['backup', 'postgres'], run);
    expect({ failed, stderr }).toEqual({
      failed: 1,
      stderr: expect.stringMatching(/refused\n.*\n {2}→ does it run and listen there\? pg_isready/),
    });
  });

  it('a store that is not there, with what to type; the other one is still tried', async () => {
    renameSync(at().stores['offsite']!, `${at().stores['offsite']}.gone`);
    const { code, checks, failed } = await doctor();
    renameSync(`${at().stores['offsite']}.gone`, at().stores['offsite']!);
    expect(code).toBe(10);
    expect(failed.filter(name => !/^store offsite/.test(name))).toEqual([]);
    expect(failed).not.toEqual([]);
    expect(checks.find(check => /^store offsite/.test(check['name']))!['mend']).toContain(`mkdir -p ${at().stores['offsite']}`);
  });

  it('a spool that is not there yet is made by the stream, which is good', async () => {
    const spool = join(tempDir(), 'not/yet');
    const { check } = await doctor(
      changed(at(), config => {
        entryOf(config)['spool'] = spool;
      }),
    );
    expect(check('spool')).toMatchObject({ state: 'ok' });
    expect(existsSync(spool)).toBe(false);
  });

  it('a spool that is a file, or behind one, is not good', async () => {
    const file = join(tempDir(), 'file');
    writeFileSync(file, '');
    for (const spool of [file, join(file, 'below')]) {
      const { check } = await doctor(
        changed(at(), config => {
          entryOf(config)['spool'] = spool;
        }),
      );
      expect({ spool, state: check('spool')['state'] }).toEqual({ spool, state: 'fail' });
    }
  });

  it('without archive_timeout, the stores that get whole segments only are named, for a quiet server leaves them late', async () => {
    const told = async (change: (entry: Yaml) => void = () => {}) =>
      (await doctor(changed(at(), config => change(entryOf(config))))).check('archive_timeout');
    const late = (stores: string) => ({
      state: 'warn',
      text: expect.stringContaining(`whole segments only go to ${stores}, and`),
      mend: "ALTER SYSTEM SET archive_timeout = '60s'; SELECT pg_reload_conf();",
    });
    expect(await told()).toMatchObject(late('offsite'));
    const off = (entry: Yaml) => {
      entry['wal'] = { flush: 'off' };
    };
    expect(await told(off)).toMatchObject(late('local and offsite'));
    const byCommand = (entry: Yaml) => {
      delete entry['spool'];
    };
    expect(await told(byCommand)).toMatchObject(late('local and offsite'));
    const one = (entry: Yaml) => {
      entry['wal'] = { stores: ['local'] };
    };
    expect(await told(one)).toMatchObject({ state: 'ok' });
    for (const statement of (await told())['mend'].split(/(?<=;) /)) await db().sql(statement);
    await waitFor(async () => (await db().sql('show archive_timeout')) === '1min', 'what was pasted to count');
    expect(await told()).toMatchObject({ state: 'ok', text: '60 s' });
  });

  it('a signing key that nobody trusts, and an identity that is not on this host', async () => {
    const other = (await makeKeys(join(tempDir(), 'other'))) as { signing: string };
    const { check } = await doctor(
      changed(at(), config => {
        config['keys'].signing = other.signing;
        delete config['keys'].identity;
      }),
    );
    expect(check('signing key')).toMatchObject({
      state: expect.stringMatching(/fail|warn/),
      text: expect.stringContaining('keys.trusted'),
    });
    expect(check('identity')).toMatchObject({ state: 'warn', text: expect.stringContaining('keys.identity') });
  });

  it('PG16: an archive_command that is empty is told, and the backup is still bounded and good', async () => {
    await archive('');
    const { check } = await doctor();
    expect(check('archiver')).toMatchObject({
      state: expect.stringMatching(/fail|warn/),
      text: expect.stringContaining('archive_command'),
    });
    expect((await runBkp(['backup', 'postgres'], at().run)).code).toBe(0);
  });

  it('PG16 MO07: an archive_command that fails is told with the segment, and the backup is still bounded and good', async () => {
    await archive('false');
    await db().sql('select pg_switch_wal()');
    await waitFor(async () => (await db().sql('select failed_count > 0 from pg_stat_archiver')) === 't', 'the archiver to fail');
    const segment = await db().sql('select last_failed_wal from pg_stat_archiver');
    const { code, check } = await doctor();
    expect(code).toBe(10);
    expect(check('archiver')).toMatchObject({
      state: 'fail',
      text: expect.stringContaining(segment),
      mend: expect.stringContaining('bkp wal push app'),
    });
    expect((await runBkp(['backup', 'postgres'], at().run)).code).toBe(0);
  });

  it('a tablespace outside the data directory is told, with what it takes', async () => {
    const place = tempDir({ forServer: true });
    await db().sql(`create tablespace elsewhere location '${place}'`);
    const { checks } = await doctor();
    await db().sql('drop tablespace elsewhere');
    expect(checks.find(check => check['name'] === 'tablespaces')).toMatchObject({
      state: 'warn',
      text: expect.stringMatching(/elsewhere .*--tablespace OLD=NEW/),
    });
  });
});
