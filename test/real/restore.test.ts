import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { changed, entryOf, lastJson, type Yaml } from './change.ts';
import { cleanUp, type Postgres, pause, run, runBkp, startPostgres, tempDir } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

// A zone without summer time, so that no run of this test meets an hour that exists twice.
const ZONE = 'Asia/Kolkata';

describe('what a restore is told', () => {
  let db: Postgres;
  let at: Setup;
  let between: Date;

  const restore = (args: readonly string[], run: Setup['run'] = at.run) => runBkp(['restore', 'postgres', 'app', ...args], run);
  const rowsOf = async (dir: string): Promise<string> => {
    const copy = await startPostgres({ version: '18', dir });
    const rows = await copy.sql("select string_agg(n::text, ',' order by n) from t");
    await copy.destroy();
    return rows;
  };
  const untouched = (to: string) => expect(readdirSync(join(to, '..'))).toEqual([]);
  const push = async (name: string) => {
    const { code, stderr } = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run, cwd: db.dataDir });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  };
  /** The change, then its segment in the stores. */
  const archived = async (sql: string) => {
    await db.sql(sql);
    const name = await db.sql('select pg_walfile_name(pg_current_wal_lsn())');
    await db.sql('select pg_switch_wal()');
    await push(name);
  };

  /** Types the line that a restore printed, word by word as it stands. */
  const inShell = async (printed: string, word: string, more = ''): Promise<string> => {
    const line = printed.split('\n').find(each => each.includes(word))!;
    return (await run('sh', ['-c', line.replace(/^ *→ */, '') + more], { cwd: '/' })).stdout.trim();
  };
  const stopServed = async (printed: string) => {
    await inShell(printed, ' stop ');
    await run('sh', ['-c', /then: (rm -r .*)/.exec(printed)![1]!]);
  };

  beforeAll(async () => {
    db = await startPostgres({ version: '18', settings: { wal_keep_size: '1GB' } });
    at = await setUp(db);
    await db.sql('create table t (n int)');
    await aBackup(at);
    await db.sql('insert into t values (1)');
    await pause(1100);
    between = new Date(Math.ceil(Date.now() / 1000) * 1000);
    await pause(2100);
    await archived('insert into t values (2)');
  });

  describe('a protected environment', () => {
    const guarded = () =>
      changed(at, config => {
        config['environments'].production.protected = true;
      });

    it.each([
      ['--yes alone', ['--yes']],
      ['another name', ['--yes', '--confirm-env', 'staging']],
      ['the name without --yes', ['--confirm-env', 'production']],
      ['nothing at all', []],
      ['--force', ['--yes', '--force']],
    ])('refuses %s with 4, says what to type, and touches nothing', async (_, flags) => {
      const to = aPlace();
      const { code, stderr } = await restore(['--latest', '--to', to, ...flags], guarded());
      expect(code).toBe(4);
      expect(stderr).toContain('--yes --confirm-env production');
      untouched(to);
    });

    it('passes --yes with its name, and asks nothing for a dry run, a backup or a list', async () => {
      const to = aPlace();
      expect((await restore(['--latest', '--to', to, '--yes', '--confirm-env', 'production'], guarded())).code).toBe(0);
      expect(await rowsOf(to)).toBe('1,2');
      for (const args of [['restore', 'postgres', 'app', '--latest', '--dry-run', '--to', aPlace()], ['list']])
        expect((await runBkp(args, guarded())).code).toBe(0);
    });
  });

  describe('a target time', () => {
    const zoned = (zone: string) =>
      changed(at, config => {
        config['timezone'] = zone;
      });

    it('without an offset is read in the zone of the config, and the reading is shown first', async () => {
      const local = between.toLocaleString('sv-SE', { timeZone: ZONE });
      const to = aPlace();
      const { code, stderr, stdout } = await restore(['--target-time', local, '--to', to, '--yes'], zoned(ZONE));
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      expect(stderr).toContain(`${local} read in ${ZONE} is ${between.toISOString()}`);
      expect(stderr).toMatch(/\d+ (s|min) ago/);
      expect(stderr.indexOf('read in')).toBeLessThan(stderr.indexOf('unpack'));
      expect(stdout).toContain(to);
      expect(await rowsOf(to)).toBe('1');
    });

    it('with --json the reading is a note', async () => {
      const local = between.toLocaleString('sv-SE', { timeZone: ZONE });
      const { stdout } = await restore(['--target-time', local, '--to', aPlace(), '--dry-run', '--json'], zoned(ZONE));
      const lines: Yaml[] = stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line));
      expect(lines[0]).toEqual({ type: 'note', text: expect.stringContaining(between.toISOString()) });
      expect(lines.at(-1)).toEqual({ type: 'result', dryRun: true });
    });

    it.each([
      ['2026-03-29 02:30:00', /clocks in Europe\/Berlin skipped it/],
      ['2025-10-26 02:30:00', /twice, as 2025-10-26T0[01]:30:00.000Z and 2025-10-26T0[01]:30:00.000Z/],
      ['tomorrow', /no time to restore to/],
      ['2999-01-01 00:00:00', /in the future/],
      ['', /no time to restore to/],
    ])('%j in Berlin is refused with 2 before anything else is looked at', async (text, why) => {
      const to = aPlace();
      const { code, stderr } = await restore(['--target-time', text, '--to', to, '--yes'], zoned('Europe/Berlin'));
      expect(code).toBe(2);
      expect(stderr).toMatch(why);
      untouched(to);
    });

    it('PG08: the last commit within reach, given as it was printed, brings that commit back', async () => {
      const late = await restore(['--target-time', new Date(Date.now() - 100).toISOString(), '--to', aPlace(), '--yes']);
      expect(late.code).toBe(4);
      const printed = /last commit within reach is of (\S+)/.exec(late.stderr)?.[1] ?? '';
      const to = aPlace();
      const { code, stderr } = await restore(['--target-time', printed, '--to', to, '--yes']);
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      expect(await rowsOf(to)).toBe('1,2');
    });
  });

  describe('a target that is empty or is none', () => {
    it.each([
      ['--target-xid', ''],
      ['--target-lsn', ''],
      ['--target-name', ''],
      ['--from-backup', ''],
      ['--target-xid', 'abc'],
      ['--target-xid', '-1'],
      ['--target-lsn', '0'],
      ['--target-name', 'x'.repeat(64)],
    ])('%s %j is refused with 2, and is never taken for "the latest"', async (flag, value) => {
      const to = aPlace();
      const { code, stderr } = await restore([flag, value, '--to', to, '--yes']);
      expect(code).toBe(2);
      expect(stderr).toMatch(/bkp: \S/);
      untouched(to);
    });

    it('an empty --to, --from or --owner is refused too', async () => {
      for (const flag of ['--to', '--from', '--owner']) {
        const to = aPlace();
        const args = ['--latest', '--yes', ...(flag === '--to' ? [] : ['--to', to]), flag, ''];
        expect({ flag, code: (await restore(args)).code }).toEqual({ flag, code: 2 });
        untouched(to);
      }
    });
  });

  it('--target-xid brings back that transaction, and none after it', async () => {
    await db.sql('begin; insert into t values (3); commit');
    const xid = await db.sql('begin; insert into t values (4); select pg_current_xact_id()::xid; commit');
    await archived('insert into t values (5)');
    const to = aPlace();
    const { code, stderr } = await restore(['--target-xid', xid, '--to', to, '--yes']);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(await rowsOf(to)).toBe('1,2,3,4');
  });

  it('segments of 64 MB come back, in a place with a space and a quote; what is printed works as it is typed', async () => {
    const large = await startPostgres({ version: '15', initdb: ['--wal-segsize=64'] });
    const own = await setUp(large);
    await large.sql('create table t as select 42 as n');
    await aBackup(own);
    await large.destroy();
    const to = `${aPlace()} of o'clock`;
    const { code, stdout, stderr } = await restore(['--from-backup', 'latest', '--to', to, '--serve', '--yes'], own.run);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(await inShell(stdout, 'psql -h', ' -XAtc "select n from t"')).toBe('42');
    await stopServed(stdout);
    expect(readdirSync(to)).not.toContain('postmaster.pid');
  });

  it('a copy of which no superuser may log in is told as such, with what to do', async () => {
    const other = await startPostgres({ version: '15' });
    const own = await setUp(other);
    await other.sql('alter role postgres nologin');
    await aBackup(own);
    await other.stop();
    const { code, stderr } = await restore(['--latest', '--to', aPlace(), '--yes'], own.run);
    expect(code).toBe(1);
    expect(stderr).toMatch(/bkp: postgres\/app: no superuser of the copy may log in\n.*restore to a time when one could: --target-time/);
  });

  it('a copy is entered though, after the backup, its superuser was renamed and locked out and database postgres dropped', async () => {
    const other = await startPostgres({ version: '18' });
    const own = await setUp(other);
    await other.sql('create role second superuser login; create database app');
    await aBackup(own);
    const changes =
      '\\connect app second\ncreate table t as select 7 as n; alter role postgres rename to former; alter role former nologin';
    const segment = 'select pg_walfile_name(pg_current_wal_lsn())';
    const name = await other.sql(`${changes};\ndrop database postgres;\n${segment}`, 'app');
    await other.stop();
    const push = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...own.run, cwd: other.dataDir });
    expect(push).toMatchObject({ code: 0 });
    const to = aPlace();
    const { code, stdout, stderr } = await restore(['--latest', '--to', to, '--serve', '--yes'], own.run);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const line = /psql -h .*/.exec(stdout)![0];
    expect(line).toMatch(/-U second template1$/);
    expect(await inShell(stdout, 'psql -h', ' -d app -XAtc "select n from t"')).toBe('7');
    await stopServed(stdout);
  });

  it('what was restored is on the disk before it counts as back: a server without fsync brought it', async () => {
    const dir = tempDir({ forServer: true });
    for (const name of readdirSync(db.bin)) {
      writeFileSync(
        join(dir, name),
        name === 'initdb' ? `#!/bin/sh\necho "$@" >&2\nexit 1\n` : `#!/bin/sh\nexec ${join(db.bin, name)} "$@"\n`,
      );
      chmodSync(join(dir, name), 0o755);
    }
    const to = aPlace();
    const run = changed(at, config => {
      entryOf(config)['bin'] = [dir];
    });
    const { code, stderr } = await restore(['--latest', '--to', to, '--yes'], run);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`-S -D ${to}`) });
    expect(readdirSync(to)).toContain('BKP_RESTORE_INCOMPLETE');
  });

  it('keeps the times of commits, where the source tracks them', async () => {
    const tracking = await startPostgres({ version: '18', settings: { track_commit_timestamp: 'on' } });
    const own = await setUp(tracking);
    await tracking.sql('create table t as select 1 as n');
    const times = 'select count(pg_xact_commit_timestamp(xmin)) from t';
    expect(await tracking.sql(times)).toBe('1');
    await aBackup(own);
    await tracking.destroy();
    const to = aPlace();
    expect((await restore(['--from-backup', 'latest', '--to', to, '--yes'], own.run)).code).toBe(0);
    const copy = await startPostgres({ version: '18', dir: to, settings: { track_commit_timestamp: 'on' } });
    expect(await copy.sql(times)).toBe('1');
    await copy.destroy();
  });

  describe('the owner', () => {
    const isRoot = process.getuid?.() === 0;

    it('is --owner when bkp runs as root, over the whole tree; else whoever runs it', async () => {
      const parent = tempDir();
      chmodSync(parent, 0o777);
      const to = join(parent, 'restored');
      const { code, stderr } = await restore(['--latest', '--to', to, '--owner', 'nobody', '--yes']);
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const uid = isRoot ? Number(readFileSync('/etc/passwd', 'utf8').match(/^nobody:[^:]*:(\d+):/m)![1]) : process.getuid!();
      const strangers = readdirSync(to, { recursive: true, encoding: 'utf8' }).filter(path => statSync(join(to, path)).uid !== uid);
      expect([statSync(to).uid, strangers]).toEqual([uid, []]);
      expect(statSync(to).mode & 0o777).toBe(0o700);
    });

    it.each(['root', 'no-such-user', '-1'])('%s is refused before anything changes', async owner => {
      if (!isRoot) return expect(process.getuid?.()).not.toBe(0);
      const to = aPlace();
      const { code, stderr } = await restore(['--latest', '--to', to, '--owner', owner, '--yes']);
      expect(code).toBe(2);
      expect(stderr).toContain('--owner');
      untouched(to);
    });
  });

  describe('the config of a restore', () => {
    it('`dataDir:` is the place, also when it comes from a variable', async () => {
      const to = aPlace();
      const run = changed(
        at,
        config => {
          entryOf(config)['dataDir'] = '${RESTORE_TO}';
        },
        { RESTORE_TO: to },
      );
      const { code, stderr } = await restore(['--latest', '--dry-run'], run);
      expect(code).toBe(0);
      expect(stderr).toContain(`→ ${to} `);
    });

    it('needs no password of the source, which may be gone with everything else', async () => {
      const run = { config: at.run.config, env: {} };
      for (const args of [['list'], ['restore', 'postgres', 'app', '--latest', '--dry-run', '--to', aPlace()]]) {
        const { code, stderr } = await runBkp(args, run);
        expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' });
      }
    });

    it('restores from one store though the other one lacks its secret', async () => {
      const run = changed(at, config => {
        config['environments'].production.stores.local.path = '${NOT_SET_ANYWHERE}';
      });
      const { code, stderr } = await restore(['--latest', '--dry-run', '--to', aPlace(), '--from', 'offsite'], run);
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    });

    it('`restoresFrom:` reads the other environment in the stores where that keeps its backups', async () => {
      const run = changed(at, config => {
        const { production } = config['environments'];
        const staging = { type: 'directory', path: tempDir() };
        config['environments'].staging = {
          restoresFrom: 'production',
          stores: { scratch: staging },
          postgres: { app: { ...production.postgres.app } },
        };
      });
      const to = aPlace();
      const { code, stderr } = await runBkp(['--env', 'staging', 'restore', 'postgres', 'app', '--latest', '--to', to, '--dry-run'], run);
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      expect(stderr).toMatch(/backup \d{8}T/);
      expect(lastJson((await runBkp(['--env', 'staging', 'list', '--json'], run)).stdout)).toMatchObject({ env: 'staging', backups: [] });
    });

    it('keys by variables, as docs/example.yaml writes them, are the keys', async () => {
      const keys = at.keys as { recipients: string[]; trusted: string[] };
      const run = changed(
        at,
        config => {
          config['keys'].recipients = ['${BKP_RECIPIENT}'];
          config['keys'].trusted = ['${BKP_VERIFY_KEY}'];
        },
        { BKP_RECIPIENT: keys.recipients[0]!, BKP_VERIFY_KEY: keys.trusted[0]! },
      );
      const { code, stderr } = await restore(['--latest', '--dry-run', '--to', aPlace()], run);
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      expect((await runBkp(['backup', 'postgres', 'app', '--json'], run)).code).toBe(0);
    });
  });

  it('--quiet: a refusal is still told', async () => {
    const { code, stderr } = await restore(['--latest', '--to', aPlace(), '--quiet']);
    expect(code).toBe(4);
    expect(stderr).toMatch(/no terminal/);
  });
});
