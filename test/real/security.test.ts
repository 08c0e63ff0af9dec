import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, type Postgres, type Running, runBkp, startBkp, startPostgres, tempDir } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

const OTHERS = 0o077;

/** Files below `dir` that another account of the machine could read or write: neither they nor a directory above keeps it out. */
function openIn(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap(entry => {
      const path = join(dir, entry.name);
      if (entry.isSymbolicLink() || (statSync(path).mode & OTHERS) === 0) return [];
      return entry.isDirectory() ? openIn(path) : [path];
    });
  } catch {
    // It went while it was looked at.
    return [];
  }
}

/** Environments of the processes that the process `pid` started, and of theirs, without itself. */
function environmentsBelow(pid: number): { command: string; environment: string }[] {
  const read = (file: string) => readFileSync(`/proc/${file}`, 'utf8').replaceAll('\0', '\n');
  const below = (parent: number): number[] => {
    const own = read(`${parent}/task/${parent}/children`).trim().split(' ').filter(Boolean).map(Number);
    return own.flatMap(child => [child, ...below(child)]);
  };
  try {
    const own = read(`${pid}/cmdline`);
    const all = below(pid).map(child => ({ command: read(`${child}/cmdline`), environment: read(`${child}/environ`) }));
    // A child is a copy of its parent until it begins its own program, and nobody while it does.
    return all.filter(({ command }) => command !== '' && command !== own);
  } catch {
    return [];
  }
}

describe('what others on the machine can see', () => {
  let db: Postgres;
  let at: Setup;
  let old: number;

  beforeAll(async () => {
    db = await startPostgres({ version: '18', initdb: ['--data-checksums'] });
    at = await setUp(db);
    await db.sql('create table t as select n, repeat(md5(n::text), 30) as text from generate_series(1, 20000) n; analyze');
    await aBackup(at);
    // A careless account: what is written without a mode of its own is open to everybody.
    old = process.umask(0);
  });

  afterAll(() => {
    process.umask(old);
  });

  const kept = () => at.run.env['APP_PGPASSWORD']!;
  const secrets = () => [kept(), ...['identity.txt', 'signing.key'].map(name => readFileSync(join(at.keysDir, name), 'utf8').trim())];

  /** Runs bkp to its end with places of its own, and looks at all it writes and starts while it runs. */
  async function watched(args: readonly string[], places: readonly string[] = []) {
    const env = { ...at.run.env, TMPDIR: tempDir(), XDG_CACHE_HOME: tempDir(), XDG_STATE_HOME: tempDir() };
    const roots = [env.TMPDIR, env.XDG_CACHE_HOME, env.XDG_STATE_HOME, ...Object.values(at.stores), ...places];
    const open = new Set<string>();
    const told = new Set<string>();
    const child: Running = startBkp(args, { ...at.run, env });
    const timer = setInterval(() => {
      for (const path of roots.flatMap(openIn)) open.add(path);
      for (const { command, environment } of environmentsBelow(child.pid))
        for (const secret of secrets()) if (environment.includes(secret)) told.add(`${command.split('\n')[0]} ${secret === kept()}`);
    }, 5);
    const { code, stderr } = await child.ended.finally(() => clearInterval(timer));
    for (const path of roots.flatMap(openIn)) open.add(path);
    return { code, stderr, open: [...open], told: [...told] };
  }

  it('a backup, a restore and a drill write nothing that others may read, and tell no child a secret that is not its own', async () => {
    const restored = aPlace();
    const report = join(tempDir(), 'report');
    const runs: [string[], string[]][] = [
      [['backup', 'postgres'], []],
      [['restore', 'postgres', '--latest', '--yes', '--to', restored], [join(restored, '..')]],
      [['drill', 'postgres', '--report', report], [join(report, '..')]],
    ];
    for (const [args, places] of runs) {
      const { code, stderr, open, told } = await watched(args, places);
      expect({ args, code, stderr: code === 0 ? '' : stderr, open }).toEqual({ args, code: 0, stderr: '', open: [] });
      // The server's password goes to PostgreSQL's own programs; the keys go to no child's environment at all.
      for (const one of told) expect(one).toMatch(/^\S*(psql|pg_\w+) true$/);
      if (args[0] === 'backup') expect(told.join('\n')).toContain('pg_basebackup');
    }
  });

  it('a file that everybody may read is seen by this very look', () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'open'), '');
    writeFileSync(join(dir, 'shut'), '', { mode: 0o600 });
    expect(openIn(dir)).toEqual([join(dir, 'open')]);
  });

  it('what keygen and init write as a secret is for its owner alone', async () => {
    const dir = join(tempDir(), 'keys');
    const made = await runBkp(['keygen', '--dir', dir], { env: { HOME: tempDir() } });
    expect(made.code).toBe(0);
    const open = openIn(dir).map(path => path.slice(dir.length + 1));
    expect(open.filter(name => !/\.pub$|recipient/.test(name))).toEqual([]);
  });
});
