import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from '@jest/globals';
import { cleanUp, makeConfig, node24, root, runBkp, start, tempDir } from '../real/rig/index.ts';

afterAll(cleanUp);

const EXIT_LINE = /Exit codes: 0 done; 1 failed; 2 usage.* 130\/143/s;

const COMMANDS = [
  [],
  ['backup'],
  ['restore'],
  ['list'],
  ['verify'],
  ['prune'],
  ['status'],
  ['hold'],
  ['locks'],
  ['locks', 'list'],
  ['locks', 'release'],
  ['stream'],
  ['wal'],
  ['wal', 'push'],
  ['wal', 'fetch'],
  ['doctor'],
  ['config'],
  ['config', 'check'],
  ['config', 'show'],
  ['config', 'schema'],
  ['keygen'],
];

it.each(COMMANDS.map(words => [words.join(' ') || 'bkp', words] as const))(
  'the help of %s ends with 0 and names the exit codes',
  async (_, words) => {
    const { code, stdout } = await runBkp([...words, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(EXIT_LINE);
  },
);

describe('what is typed wrong', () => {
  it.each([
    ['no command', []],
    ['no subcommand', ['config']],
  ])('%s: exit 2, help on stderr, nothing on stdout', async (_, args) => {
    const { code, stdout, stderr } = await runBkp(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(EXIT_LINE);
  });

  it.each([
    ['an unknown command', ['backpu']],
    ['an unknown option', ['backup', '--nosuch']],
    ['an option without its value', ['restore', 'postgres', '--to']],
    ['too many words', ['list', 'postgres', 'app', 'more']],
    ['no target', ['restore']],
  ])('%s: exit 2, what is wrong and where help is on stderr, in lines that do not scroll away', async (_, args) => {
    const { code, stdout, stderr } = await runBkp(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: .*\n(\(Did you mean .*\n)? {2}→ bkp.* --help\n$/);
  });

  it('with --json it is an object too', async () => {
    const { code, stdout } = await runBkp(['--json', 'backpu']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'error', code: 'usage', exit: 2, message: expect.stringContaining('backpu') });
  });
});

test('--version is the version of the package, and --json before it changes nothing', async () => {
  const { version } = (await import('../../package.json', { with: { type: 'json' } })).default;
  expect((await runBkp(['--version'])).stdout).toBe(`${version}\n`);
  expect((await runBkp(['--json', '--version'])).code).toBe(0);
});

describe('targets, entries and environments that are not there', () => {
  it.each([
    ['a kind that is none', ['list', 'oracle'], 2, /no target "oracle"/],
    ['a kind by a name of the language', ['list', 'constructor'], 2, /no target "constructor"/],
    ['an entry', ['list', 'postgres', 'nosuch'], 6, /"nosuch".*has: app/],
    ['an environment', ['--env', 'nosuch', 'list'], 2, /"nosuch".*has: production/],
    ['a store', ['restore', 'postgres', '--latest', '--to', '/nowhere', '--from', 'nosuch'], 2, /no store "nosuch"/],
    [
      'a backup',
      ['restore', 'postgres', '--from-backup', '20260101T000000Z-aaaaaa', '--to', '/nowhere/x', '--yes'],
      6,
      /no backup 20260101T000000Z-aaaaaa/,
    ],
    ['an id that is none', ['restore', 'postgres', '--from-backup', '../../etc', '--to', '/nowhere/x', '--yes'], 2, /no id of a backup/],
    ['two targets at once', ['restore', 'postgres', '--latest', '--target-lsn', '0/1', '--to', '/nowhere/x', '--yes'], 2, /only one of/],
    ['no target at all', ['restore', 'postgres', '--to', '/nowhere/x', '--yes'], 2, /nothing says what to restore to/],
  ])('%s', async (_, args, exit, words) => {
    const { path } = await makeConfig({ stores: { local: tempDir() }, postgres: { app: { engine: 'native' } } });
    const { code, stderr } = await runBkp(args, { config: path });
    expect(code).toBe(exit);
    expect(stderr).toMatch(words);
  });
});

// To a restore_command 1 to 125 mean "there is no more WAL": PostgreSQL ends recovery there and promotes.
describe('wal fetch never ends with 1 to 125, except 74 at the proven end', () => {
  const SEGMENT = '000000010000000000000001';
  const fetch = (args: readonly string[], env: Record<string, string> = {}) => runBkp(args, { cwd: tempDir(), env });

  it.each([
    ['no config', ['wal', 'fetch', 'app', SEGMENT, 'x'], {}],
    ['a config that is not there', ['--config', '/nowhere', 'wal', 'fetch', 'app', SEGMENT, 'x'], {}],
    ['options between the two words', ['wal', '--config', '/nowhere', 'fetch', 'app', SEGMENT, 'x'], {}],
    ['a flag between the two words', ['wal', '--json', 'fetch', 'app', SEGMENT, 'x'], {}],
    ['an environment of the name wal', ['--env', 'wal', 'wal', 'fetch', 'app', SEGMENT, 'x'], {}],
    ['a word too few', ['wal', 'fetch', 'app', SEGMENT], {}],
    ['an unknown option', ['wal', 'fetch', '--nosuch', 'app', SEGMENT, 'x'], {}],
    ['a directory for temporary files that is none', ['wal', 'fetch', 'app', SEGMENT, 'x'], { TMPDIR: '/etc/passwd/x' }],
    ['no socket', ['wal', 'fetch', '--ready', '/nowhere/socket', SEGMENT, 'x'], {}],
    ['no words after --ready', ['wal', 'fetch', '--ready'], {}],
  ])('%s', async (_, args, env) => {
    const { code, stderr } = await fetch(args, { HOME: tempDir(), ...env });
    expect(stderr).toMatch(/\S/);
    expect(code).toBeGreaterThan(125);
  });

  /** The program as it is installed, without dist/. */
  function installed(): string {
    const dir = tempDir();
    for (const part of ['bin', 'package.json']) cpSync(join(root, part), join(dir, part), { recursive: true });
    return dir;
  }

  it('a program that was not built, or is damaged', async () => {
    const dir = installed();
    const args = [join(dir, 'bin/bkp.js'), 'wal', 'fetch', 'app', SEGMENT, 'x'];
    expect((await start(node24(), args).ended).code).toBeGreaterThan(125);
    mkdirSync(join(dir, 'dist'));
    writeFileSync(join(dir, 'dist/main.js'), 'throw new Error("damaged")');
    expect((await start(node24(), args).ended).code).toBeGreaterThan(125);
    writeFileSync(join(dir, 'dist/ready.js'), 'not even JavaScript');
    expect((await start(node24(), [args[0]!, 'wal', 'fetch', '--ready', 's', SEGMENT, 'x']).ended).code).toBeGreaterThan(125);
  });

  it('a Node.js that is too old', async () => {
    const dir = installed();
    const preload = join(dir, 'old.cjs');
    writeFileSync(preload, "Object.defineProperty(process.versions, 'node', { value: '20.11.1' });");
    const end = await start(node24(), ['-r', preload, join(dir, 'bin/bkp.js'), 'wal', 'fetch', 'app', SEGMENT, 'x']).ended;
    expect(end.stderr).toContain('needs Node.js');
    expect(end.code).toBeGreaterThan(125);
  });
});

describe('wal push never ends with 126 or more, at which the archiver restarts', () => {
  it.each([
    ['no config', ['wal', 'push', 'app', '000000010000000000000001', 'x'], {}],
    ['a word too few', ['wal', 'push', 'app'], {}],
    ['a directory for temporary files that is none', ['wal', 'push', 'app', '000000010000000000000001', 'x'], { TMPDIR: '/etc/passwd/x' }],
  ])('%s', async (_, args, env) => {
    const { code } = await runBkp(args, { cwd: tempDir(), env: { HOME: tempDir(), ...env } });
    expect(code).toBeGreaterThan(0);
    expect(code).toBeLessThan(126);
  });
});
