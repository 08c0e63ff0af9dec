import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { changed, type Yaml } from './change.ts';
import { cleanUp, makeConfig, startBkp, startPostgres, tempDir } from './rig/index.ts';
import type { Setup } from './setup.ts';
import { journalOf, type Stack, startStack } from './stackSetup.ts';

afterAll(cleanUp);

let at: Stack;
const source = tempDir();

const aRoot = (): string => join(tempDir({ forServer: true }), 'dr');

/** Runs with the config of the stack, changed. */
const other = (edit: (production: Yaml) => void): Stack['run'] =>
  changed(at as unknown as Setup, config => edit(config['environments'].production)) as Stack['run'];

/** A PATH on which all is that this one has, but programs of some names. */
function pathWithout(names: RegExp): string {
  const dir = tempDir();
  for (const from of ['/usr/sbin', '/usr/bin', '/sbin', '/bin'])
    for (const name of readdirSync(from))
      if (!names.test(name) && !existsSync(join(dir, name))) symlinkSync(join(from, name), join(dir, name));
  return dir;
}

/** An installation of PostgreSQL 15 beside that of this host, without some files. @returns the directory of its programs */
function installationWithout(...files: string[]): string {
  const root = tempDir({ forServer: true });
  for (const each of ['lib', 'share']) cpSync(`/usr/${each}/postgresql/15`, join(root, each, 'postgresql/15'), { recursive: true });
  for (const file of files) rmSync(join(root, file));
  return join(root, 'lib/postgresql/15/bin');
}

/** What full-dr answers where it refuses: the whole list, and that nothing was made. */
async function refusal(run: { config: string; env: Record<string, string> }, ...more: string[]): Promise<string> {
  const root = aRoot();
  const { code, stdout, stderr } = await startBkp(['restore', 'full-dr', '--yes', '--json', '--latest', '--to', root, ...more], run).ended;
  expect({ code, text: code === 4 ? '' : stdout + stderr }).toEqual({ code: 4, text: '' });
  expect({ there: existsSync(root), journal: journalOf(at) }).toEqual({ there: false, journal: undefined });
  return stdout;
}

beforeAll(async () => {
  at = await startStack();
  await at.db.sql('create extension hstore; grant pg_read_all_settings to bkp');
  await at.db.sql("alter system set shared_preload_libraries = 'auto_explain'");
  await at.db.stop();
  await at.db.start();
  execFileSync('dd', ['if=/dev/urandom', `of=${join(source, 'big')}`, 'bs=1M', 'count=25', 'status=none']);
  at.run = other(production => {
    production['volumes'] = { data: { engine: 'files', paths: [source] } };
  });
  const ended = await startBkp(['backup', 'full-dr', '--json'], at.run).ended;
  expect({ code: ended.code, text: ended.code === 0 ? '' : ended.stdout }).toEqual({ code: 0, text: '' });
});

describe('restore full-dr refuses, before anything is made and all at once', () => {
  it('programs that are not here: those of Redis, of etcd and of files', async () => {
    const run = other(production => {
      production['etcd'].main.bin = [];
      production['redis'].cache.bin = [];
    });
    const text = await refusal({ ...run, env: { ...run.env, PATH: pathWithout(/^(redis|valkey|keydb|etcd|restic)/) } });
    expect(text).toMatch(/3 of 4 part/);
    expect(text).toMatch(/redis\/cache: .*there is no redis-server or valkey-server on this host → install Redis/);
    expect(text).toMatch(/etcd\/main: .*etcdutl/);
    expect(text).toMatch(/volumes\/data: .*restic/);
  });

  it('files of an extension and of a preloaded library that this PostgreSQL has not', async () => {
    const bin = installationWithout('share/postgresql/15/extension/hstore.control', 'lib/postgresql/15/lib/auto_explain.so');
    const run = other(production => {
      production['postgres'].app.bin = [bin];
    });
    const text = await refusal(run);
    expect(text).toMatch(/1 of 4 part/);
    expect(text).toMatch(
      /postgres\/app: PostgreSQL 15 of this host lacks .*extension hstore \(no hstore.control in .*library auto_explain/,
    );
    const alone = ['restore', 'postgres', 'app', '--latest', '--to', aRoot(), '--dry-run'];
    const { code, stderr } = await startBkp(alone, run).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/lacks .*hstore.*comes back all the same/) });
    const forced = ['restore', 'full-dr', '--latest', '--to', aRoot(), '--force', '--dry-run'];
    expect((await startBkp(forced, run).ended).code).toBe(0);
  });

  it('a PostgreSQL that is older than that of the backup', async () => {
    const newer = await startPostgres({ version: '18' });
    const config = await makeConfig({
      stores: { local: tempDir() },
      postgres: { app: newer.entry({ spool: join(tempDir(), 'spool') }) },
    });
    const run = { config: config.path, env: { ...newer.bkpEnv, XDG_STATE_HOME: tempDir() } };
    expect((await startBkp(['backup', 'full-dr'], run).ended).code).toBe(0);
    const here = changed({ run } as unknown as Setup, ({ environments }) => {
      environments.production.postgres.app.bin = [];
    }) as Stack['run'];
    expect(await refusal(here)).toMatch(
      /postgres\/app: .*server programs of PostgreSQL 18 are needed, and .* is 15.* → install postgresql-18/,
    );
  });

  it('extensions beside those of the installation are looked for where the source had them, and what cannot be known is told', async () => {
    const own = tempDir({ forServer: true });
    mkdirSync(join(own, 'extension'));
    writeFileSync(join(own, 'extension/beside.control'), "default_version = '1'\n");
    writeFileSync(join(own, 'extension/beside--1.sql'), "create function beside() returns int language sql as 'select 1';\n");
    const db = await startPostgres({ version: '18', settings: { extension_control_path: `$system:${own}` } });
    await db.sql('create extension beside; grant pg_read_all_settings to bkp');
    await db.sql('create database closed');
    const config = await makeConfig({ stores: { local: tempDir() }, postgres: { app: db.entry({ spool: join(tempDir(), 'spool') }) } });
    const run = { config: config.path, env: { ...db.bkpEnv, XDG_STATE_HOME: tempDir() } };
    expect((await startBkp(['backup', 'full-dr'], run).ended).code).toBe(0);
    const { code, stdout } = await startBkp(['restore', 'full-dr', '--latest', '--to', aRoot(), '--dry-run', '--json'], run).ended;
    expect({ code, text: code === 0 ? '' : stdout }).toEqual({ code: 0, text: '' });
    expect(stdout).toMatch(/not looked at beforehand: the extensions of .*closed.* are not known/);
    rmSync(join(own, 'extension/beside.control'));
    expect(await refusal(run)).toMatch(/lacks what the source had: extension beside \(no beside.control in [^;]*\)/);

    await db.sql('revoke pg_read_all_settings from bkp');
    expect((await startBkp(['backup', 'full-dr'], run).ended).code).toBe(0);
    expect(await refusal(run)).toMatch(/beside.control in .*; extension_control_path of the source is not known/);
    await db.sql('drop extension beside');
    expect((await startBkp(['backup', 'full-dr'], run).ended).code).toBe(0);
    const bare = await startBkp(['restore', 'full-dr', '--latest', '--to', aRoot(), '--dry-run', '--json'], run).ended;
    expect(bare.stdout).toMatch(/not looked at beforehand: shared_preload_libraries of the source is not known/);
  });

  it('room for each part and not for all of them on one disk', async () => {
    const small = tempDir({ forServer: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=120m,mode=755', 'none', small]);
    try {
      const root = join(small, 'dr');
      const fill = (free: number): void => {
        const [, , , have] = execFileSync('df', ['-Pk', small], { encoding: 'utf8' }).trim().split('\n').at(-1)!.split(/\s+/);
        execFileSync('fallocate', ['-l', `${Number(have) - free}K`, join(small, 'ballast')]);
      };
      const dry = (...more: string[]) =>
        startBkp(['restore', 'full-dr', '--yes', '--json', '--latest', '--to', root, ...more], at.run).ended;
      fill(60_000);
      for (const [one, ...others] of [
        ['postgres', 'volumes'],
        ['volumes', 'postgres'],
      ]) {
        const skip = others.flatMap(each => ['--skip', each]);
        const { code, stdout } = await dry('--dry-run', '--skip', 'redis', '--skip', 'etcd', ...skip);
        expect({ one, code, text: code === 0 ? '' : stdout }).toEqual({ one, code: 0, text: '' });
      }
      const { code, stdout } = await dry('--skip', 'etcd');
      expect(code).toBe(4);
      expect(stdout).toMatch(/postgres\/app, redis\/cache, volumes\/data need .* together, and the disk of .* has .* free/);
      expect({ there: existsSync(root), journal: journalOf(at) }).toEqual({ there: false, journal: undefined });
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
