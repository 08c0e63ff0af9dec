import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { changed, lastJson } from './change.ts';
import { bkpCommand, cleanUp, type Postgres, runBkp, start, startBkp, startPostgres, tempDir } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';
import { filesIn } from './stub.ts';

afterAll(cleanUp);

const MIB = 1024 ** 2;

describe('the directory for temporary files', () => {
  let db: Postgres;
  let at: Setup;

  beforeAll(async () => {
    db = await startPostgres({ version: '18' });
    at = await setUp(db);
    // Random text: what is packed is nearly as large as what is read.
    await db.sql(
      "create table noise as select string_agg(md5(random()::text), '') as text from generate_series(1, 200000) n group by n % 4000",
    );
    await db.sql('vacuum noise; checkpoint');
  });

  /** Below a file nobody can write, root included. */
  const behindFile = () => {
    const file = join(tempDir(), 'file');
    writeFileSync(file, '');
    return join(file, 'below');
  };
  const nowhere = () => {
    const link = join(tempDir(), 'link');
    symlinkSync('/nowhere/at-all', link);
    return link;
  };
  const missing = () => join(tempDir(), 'missing');
  // The kernel's own tree takes no file from anybody, as a read-only mount does.
  const BAD = [
    ['missing', missing],
    ['below a file', behindFile],
    ['a link to nowhere', nowhere],
    ['read-only', () => '/sys'],
  ] as const;

  let before: string[][];
  const stored = () => Object.values(at.stores).map(filesIn);
  beforeEach(() => {
    before = stored();
  });

  it.each(BAD)('CF13: TMPDIR that is %s: exit 2, the setting named, before anything happens', async (_, make) => {
    const dir = make();
    const { code, stderr, stdout } = await runBkp(['backup', 'postgres'], { ...at.run, env: { ...at.run.env, TMPDIR: dir } });
    expect(code).toBe(2);
    expect(stderr).toContain(dir);
    expect(stderr).toMatch(/`temp:`.*TMPDIR/);
    expect(stdout + stderr).not.toContain('start ');
    expect(stored()).toEqual(before);
  });

  it.each(BAD)('CF13: `temp:` in the config that is %s, though TMPDIR is good', async (_, make) => {
    const dir = make();
    const run = changed(at, config => {
      config['temp'] = dir;
    });
    for (const args of [
      ['backup', 'postgres'],
      ['restore', 'postgres', '--latest', '--yes', '--to', aPlace()],
    ]) {
      const { code, stderr } = await runBkp(args, run);
      expect(code).toBe(2);
      expect(stderr).toContain(dir);
      expect(stderr).toMatch(/`temp:`/);
    }
    expect(stored()).toEqual(before);
  });

  it('CF13: `temp:` by a variable, and a TMPDIR that nobody can write beside it', async () => {
    const run = changed(
      at,
      config => {
        config['temp'] = '${SCRATCH}';
      },
      { SCRATCH: tempDir(), TMPDIR: behindFile() },
    );
    const { code, stderr } = await runBkp(['doctor', 'postgres'], run);
    expect({ code: [0, 10].includes(code ?? -1), stderr }).toEqual({ code: true, stderr: '' });
  });

  it('a run makes no directory that was not there, and leaves nothing in the one that is', async () => {
    const gone = missing();
    await runBkp(['list'], { ...at.run, env: { ...at.run.env, TMPDIR: gone } });
    expect(readdirSync(join(gone, '..'))).toEqual([]);
    const temp = tempDir();
    const end = await runBkp(['list'], { ...at.run, env: { ...at.run.env, TMPDIR: temp } });
    expect(end.code).toBe(0);
    expect(readdirSync(temp)).toEqual([]);
  });

  it('a TMPDIR that is named from the working directory is there for a server, too, which runs elsewhere', async () => {
    await aBackup(at);
    const cwd = tempDir({ forServer: true });
    mkdirSync(join(cwd, 'scratch'), { mode: 0o755 });
    const env = { ...at.run.env, TMPDIR: 'scratch' };
    const { code, stdout } = await runBkp(['verify', 'postgres', '--deep', '--from', 'local', '--json'], { ...at.run, cwd, env });
    expect({ code, findings: lastJson(stdout)['stores'][0].findings }).toEqual({ code: 0, findings: [] });
    expect(readdirSync(join(cwd, 'scratch'))).toEqual([]);
  });

  it('a working directory that was removed is told before anything happens', async () => {
    const [file, args] = bkpCommand(['backup', 'postgres']);
    const env = { PATH: process.env['PATH'] ?? '', HOME: tempDir(), BKP_CONFIG: at.run.config, ...at.run.env };
    const child = start('sh', ['-c', 'rmdir "$PWD" && exec "$0" "$@"', file, ...args], { cwd: tempDir(), env });
    const { code, stdout, stderr } = await child.ended;
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^bkp: the directory in which bkp was started is not there any more\n {2}→ cd /);
    expect(stored()).toEqual(before);
  });

  /** The most that lay in a directory at once while a child ran. */
  async function most(dir: string, ended: Promise<unknown>): Promise<number> {
    let largest = 0;
    const timer = setInterval(() => {
      try {
        largest = Math.max(
          largest,
          filesIn(dir).reduce((sum, file) => sum + (statSync(join(dir, file), { throwIfNoEntry: false })?.size ?? 0), 0),
        );
      } catch {
        // A directory went away while it was read.
      }
    }, 5);
    await ended.finally(() => clearInterval(timer));
    return largest;
  }

  it('CF14: a backup puts nothing into it, and is good', async () => {
    const temp = tempDir();
    const child = startBkp(['backup', 'postgres', '--json'], {
      ...at.run,
      env: { ...at.run.env, TMPDIR: temp, NODE_DISABLE_COMPILE_CACHE: '1' },
    });
    const largest = await most(temp, child.ended);
    const { code, stdout } = await child.ended;
    expect(code).toBe(0);
    expect(lastJson(stdout)['backups'][0].bytes).toBeGreaterThan(4 * MIB);
    expect(largest).toBeLessThan(MIB / 4);
    expect(readdirSync(temp)).toEqual([]);
  });

  it('CF14: a backup with 1 MiB for temporary files, and no more, is good', async () => {
    const temp = tempDir();
    const [file, args] = bkpCommand(['backup', 'postgres', '--json']);
    // A mount in a namespace of its own: it is gone with its last process.
    const script = 'mount -t tmpfs -o size=1m tmpfs "$TMPDIR" && exec "$0" "$@"';
    const names = process.getuid?.() === 0 ? ['-m'] : ['-r', '-m'];
    const child = start('unshare', [...names, 'sh', '-c', script, file, ...args], {
      env: { PATH: process.env['PATH'] ?? '', HOME: tempDir(), BKP_CONFIG: at.run.config, TMPDIR: temp, ...at.run.env },
    });
    const { code, stdout, stderr } = await child.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lastJson(stdout)['backups'][0].stores).toEqual([
      { name: 'local', ok: true },
      { name: 'offsite', ok: true },
    ]);
  });

  it('CF14: a restore keeps no more there than a few segments of WAL, and leaves nothing', async () => {
    await aBackup(at);
    const temp = tempDir({ forServer: true });
    mkdirSync(join(temp, 'own'));
    const own = join(temp, 'own');
    const env = { ...at.run.env, TMPDIR: own, NODE_DISABLE_COMPILE_CACHE: '1' };
    const child = startBkp(['restore', 'postgres', '--latest', '--yes', '--to', aPlace()], { ...at.run, env });
    const largest = await most(own, child.ended);
    expect((await child.ended).code).toBe(0);
    expect(largest).toBeLessThan(2 * MIB);
    expect(readdirSync(own)).toEqual([]);
  });

  it('a restore with --serve that fails leaves nothing there', async () => {
    const temp = tempDir({ forServer: true });
    const args = ['restore', 'postgres', '--from-backup', 'latest', '--target-name', 'never made', '--serve', '--yes', '--to', aPlace()];
    const { code } = await runBkp(args, { ...at.run, env: { ...at.run.env, TMPDIR: temp, NODE_DISABLE_COMPILE_CACHE: '1' } });
    expect(code).toBe(6);
    expect(readdirSync(temp)).toEqual([]);
  });

  it('a dry run leaves nothing there', async () => {
    const temp = tempDir({ forServer: true });
    const args = ['restore', 'postgres', '--latest', '--dry-run', '--to', aPlace()];
    expect((await runBkp(args, { ...at.run, env: { ...at.run.env, TMPDIR: temp, NODE_DISABLE_COMPILE_CACHE: '1' } })).code).toBe(0);
    expect(readdirSync(temp)).toEqual([]);
  });
});
