import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { changed, entryOf } from './change.ts';
import { cleanUp, type Postgres, type Running, runBkp, startBkp, startPostgres, tempDir } from './rig/index.ts';
import { aPlace, type Setup, setUp } from './setup.ts';
import { commandLinesBelow } from './stub.ts';

afterAll(cleanUp);

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

describe('secrets', () => {
  let db: Postgres;
  let at: Setup;

  beforeAll(async () => {
    db = await startPostgres({ version: '18' });
    at = await setUp(db);
    await db.sql('create table t as select n, repeat(md5(n::text), 30) as text from generate_series(1, 5000) n');
  });

  const PASSWORDS = ["p@s%41'#$x", '$HOME `id` $(id) ${x} \\n "', " ünïcödé ☃ \\ %s %d%% ';-- "];

  it.each(PASSWORDS)('CF01: the password %j is byte-exact by variable, by file and written out', async password => {
    await db.sql(`alter role bkp password ${literal(password)}`);
    const file = join(tempDir(), 'password');
    writeFileSync(file, `${password}\n`);
    const ways: [string, string, Record<string, string>][] = [
      ['variable', '${APP_PGPASSWORD}', { APP_PGPASSWORD: password }],
      ['CF03: file with a newline at its end', `\${file:${file}}`, {}],
      ['written out', password.split('${').join('$${'), {}],
    ];
    try {
      for (const [way, written, env] of ways) {
        const run = changed(at, config => {
          entryOf(config)['password'] = written;
        });
        const args = way === 'variable' ? ['backup', 'postgres', '--json'] : ['doctor', 'postgres', '--json'];
        const { stdout } = await runBkp(args, { ...run, env });
        expect({ way, stdout }).toEqual({ way, stdout: expect.stringMatching(/"id":"\d{8}T|"name":"server","state":"ok"/) });
      }
    } finally {
      await db.sql(`alter role bkp password ${literal(db.role.password)}`);
    }
  });

  it('CF03: a key file with a newline, a CRLF or nothing at its end is the same key', async () => {
    for (const end of ['', '\n', '\r\n']) {
      const dir = tempDir();
      for (const name of ['signing.key', 'identity.txt'])
        writeFileSync(join(dir, name), readFileSync(join(at.keysDir, name), 'utf8').trim() + end);
      const run = changed(at, config => {
        config['keys'].signing = `\${file:${join(dir, 'signing.key')}}`;
        config['keys'].identity = `\${file:${join(dir, 'identity.txt')}}`;
      });
      expect({ end, code: (await runBkp(['backup', 'postgres'], run)).code }).toEqual({ end, code: 0 });
      if (end !== '\r\n') continue;
      const restored = await runBkp(['restore', 'postgres', '--latest', '--to', aPlace(), '--yes'], run);
      expect({ end, code: restored.code }).toEqual({ end, code: 0 });
    }
  });

  it.each([
    ['keys.signing', 'signing', () => ['backup', 'postgres']],
    ['keys.identity', 'identity', () => ['restore', 'postgres', '--latest', '--yes', '--to', aPlace()]],
  ])('CF03: a key file that is none is told by its setting, %s, and never shown', async (setting, key, args) => {
    const file = join(tempDir(), 'key');
    writeFileSync(file, 'n0t-a-key-at-all\n');
    const run = changed(at, config => {
      config['keys'][key] = `\${file:${file}}`;
    });
    const { code, stdout, stderr } = await runBkp([...args(), '--verbose'], run);
    expect(stdout + stderr).not.toContain('n0t-a-key-at-all');
    expect(stderr).toContain(setting);
    expect(code).toBe(2);
  });

  /** Everything that a run shows and that `ps` shows of it, until it ends. */
  async function seenOf(child: Running): Promise<string> {
    const lines = new Set<string>();
    const timer = setInterval(() => {
      for (const line of commandLinesBelow(child.pid)) lines.add(line);
    }, 10);
    const { stdout, stderr } = await child.ended.finally(() => clearInterval(timer));
    return [...lines, stdout, stderr].join('\n');
  }

  it('CF04: neither password nor keys are in any output or command line, in a backup, a restore and their failures', async () => {
    const identity = readFileSync(join(at.keysDir, 'identity.txt'), 'utf8').trim();
    const signing = readFileSync(join(at.keysDir, 'signing.key'), 'utf8').trim();
    const wrong = { ...at.run, env: { APP_PGPASSWORD: 'wr0ng p@ssword' } };
    const restore = ['restore', 'postgres', '--latest', '--yes', '--verbose'];
    const runs = [
      startBkp(['backup', 'postgres', '--verbose'], at.run),
      startBkp([...restore, '--json', '--to', aPlace()], at.run),
      startBkp(['backup', 'postgres', '--verbose', '--json'], wrong),
      startBkp([...restore, '--to', '/proc/nowhere'], at.run),
      startBkp(['doctor', '--verbose', '--json'], wrong),
      startBkp(['config', 'show', '--json'], at.run),
    ];
    const seen = (await Promise.all(runs.map(seenOf))).join('\n');
    expect(seen).toMatch(/pg_basebackup .*--manifest-checksums/);
    expect(seen).toMatch(/age -d -i/);
    for (const secret of [db.role.password, 'wr0ng p@ssword', identity, signing]) {
      for (const spelled of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
        expect(seen.includes(spelled)).toBe(false);
    }
  });

  it('the files of a backup in a store hold neither names nor rows in the clear, and are for their owner alone', async () => {
    await db.sql("create table cust0mers as select 'Zacharias' as name");
    const { stdout } = await runBkp(['backup', 'postgres', '--json'], at.run);
    const id = /\d{8}T\d{6}Z-[0-9a-f]{6}/.exec(stdout)![0];
    const dir = join(at.stores['local']!, 'bkp/production/postgres/app/backups', id);
    expect(readFileSync(join(dir, 'base.tar.zst.age.000')).subarray(0, 21).toString()).toBe('age-encryption.org/v1');
    expect(readFileSync(join(dir, 'manifest.json'), 'utf8')).not.toMatch(/Zacharias|cust0mers/);
    for (const name of readdirSync(dir)) expect({ name, others: statSync(join(dir, name)).mode & 0o077 }).toEqual({ name, others: 0 });
  });

  it('what is no secret is not hidden: a host and a path by variables stand in the messages', async () => {
    const run = changed(
      at,
      config => {
        entryOf(config)['host'] = '${DB_HOST}';
        config['environments'].production.stores.local.path = '${STORE_ROOT}/local';
      },
      { DB_HOST: 'db.nowhere.invalid', STORE_ROOT: '/nowhere' },
    );
    const { stderr } = await runBkp(['backup', 'postgres'], run);
    expect(stderr).toContain('/nowhere/local');
    expect(stderr).toContain('db.nowhere.invalid');
  });

  it('a password that is also an ordinary word takes nothing out of the JSON result', async () => {
    const { stdout } = await runBkp(['list', '--json'], { ...at.run, env: { APP_PGPASSWORD: 'postgres' } });
    const { backups } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(backups[0].kind).toBe('postgres');
  });
});
