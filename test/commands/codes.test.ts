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

describe('help', () => {
  it.each([
    [['help'], /^Usage: bkp \[options\] \[command\]/],
    [['help', 'restore'], /^Usage: bkp restore /],
    [['help', 'wal', 'push'], /^Usage: bkp wal push /],
    [['wal', 'help', 'push'], /^Usage: bkp wal push /],
  ])('%j prints it on stdout and ends with 0', async (args, usage) => {
    const { code, stdout, stderr } = await runBkp(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(usage);
    expect(stdout).toMatch(EXIT_LINE);
  });

  it.each([
    [['help', 'restor'], '"restor"; did you mean "restore"?\n  → bkp --help\n'],
    [['help', 'wal', 'psh'], '"psh"; did you mean "push"?\n  → bkp wal --help\n'],
    [['wal', 'help', 'psh'], '"psh"; did you mean "push"?\n  → bkp wal --help\n'],
    [['help', 'accounting'], '"accounting"\n  → bkp --help\n'],
    [['restor', '--help'], '"restor"; did you mean "restore"?\n  → bkp --help\n'],
    [['wal', 'psh', '--help'], '"psh"; did you mean "push"?\n  → bkp wal --help\n'],
  ])('%j is a usage error that says what was probably meant', async (args, end) => {
    const { code, stdout, stderr } = await runBkp(args);
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: `error: there is no command ${end}` });
  });
});

it.each(['drill', 'backup', 'restore', 'list'])('%s of what is nearly full-dr says what was probably meant', async verb => {
  const { path } = await makeConfig({ stores: { local: tempDir() }, postgres: { app: { engine: 'native' } } });
  const { code, stderr } = await runBkp([verb, 'full-drr'], { config: path });
  expect({ code, stderr }).toEqual({ code: 2, stderr: 'bkp: there is no target "full-drr"; did you mean "full-dr"?\n' });
});

describe('a config that is not there, or cannot be read: what to do next', () => {
  const notAsRoot = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

  it('BKP_CONFIG names a file that is not there', async () => {
    const { code, stderr } = await runBkp(['list'], { env: { BKP_CONFIG: '/nowhere/my bkp.yaml' } });
    expect(code).toBe(2);
    expect(stderr).toContain('there is no config at /nowhere/my bkp.yaml, which BKP_CONFIG names');
    expect(stderr).toContain("unset BKP_CONFIG; `bkp init --out '/nowhere/my bkp.yaml'`");
  });

  it('--config names one that is not there', async () => {
    const { code, stderr } = await runBkp(['--config', '/nowhere/bkp.yaml', 'list']);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/--config names\n {2}→ .*`bkp init --out \/nowhere\/bkp\.yaml`/),
    });
    expect(stderr).not.toContain('BKP_CONFIG');
  });

  it('there is none at all', async () => {
    const { code, stderr } = await runBkp(['list'], { cwd: tempDir(), env: { HOME: tempDir() } });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/→ .*--config or BKP_CONFIG; `bkp init`/) });
  });

  it('it is a directory', async () => {
    const { code, stderr } = await runBkp(['--config', tempDir(), 'list']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/cannot be read.*\n {2}→ Name the file itself/) });
  });

  it('it is no text', async () => {
    const file = join(tempDir(), 'bkp.yaml');
    writeFileSync(file, Buffer.from([0xff, 0xfe]));
    const { code, stderr } = await runBkp(['--config', file, 'list']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/not UTF-8 text\n {2}→ Mend the file/) });
  });

  it('it is not for this user', async () => {
    const file = join(tempDir({ forServer: true }), 'bkp.yaml');
    writeFileSync(file, 'keys: {}', { mode: 0 });
    const end = await start(node24(), [join(root, 'bin/bkp.js'), '--config', file, 'list'], notAsRoot).ended;
    expect(end).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`→ Run bkp as a user who may read it, or let this one: ls -l ${file}`),
    });
  });
});

test('without a PATH, as a server of Debian runs archive_command, programs are found where a shell would find them', async () => {
  const { code, stdout } = await start(node24(), [join(root, 'bin/bkp.js'), 'version', '--json'], { env: {} }).ended;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)['tools']).toContainEqual(expect.objectContaining({ name: 'tar' }));
});

test('--version is the version of the package, and --json before it changes nothing', async () => {
  const { version } = (await import('../../package.json', { with: { type: 'json' } })).default;
  expect((await runBkp(['--version'])).stdout).toBe(`${version}\n`);
  expect((await runBkp(['--json', '--version'])).code).toBe(0);
});

describe('targets, entries and environments that are not there', () => {
  it.each([
    ['a kind that is none', ['list', 'oracle'], 2, /no target "oracle"\n/],
    ['a kind with a slip', ['backup', 'postgress'], 2, /no target "postgress"; did you mean "postgres"\?/],
    ['an entry with a slip', ['list', 'postgres', 'apq'], 6, /"apq".*has: app\n {2}→ Did you mean "app"\?/],
    ['an environment with a slip', ['--env', 'prodution', 'list'], 2, /"prodution".*\n {2}→ Did you mean "production"\?/],
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

  it.each([
    ['a config that is not there', ['--config', '/nowhere', '--json', 'wal', 'fetch', 'app', SEGMENT, 'x'], 'usage'],
    ['an unknown option', ['--json', 'wal', 'fetch', '--nosuch', 'app', SEGMENT, 'x'], 'usage'],
  ])('%s: --json says the code with which it ends', async (_, args, name) => {
    const { code, stdout } = await fetch(args, { HOME: tempDir() });
    expect({ code, said: JSON.parse(stdout.trim().split('\n').at(-1)!) }).toMatchObject({ code: 255, said: { code: name, exit: 255 } });
  });

  it('what it cannot fetch: --json says the code with which it ends', async () => {
    const { path } = await makeConfig({ stores: { local: tempDir() }, postgres: { app: { engine: 'native' } } });
    const { code, stdout } = await runBkp(['--json', 'wal', 'fetch', 'app', SEGMENT, 'x'], { config: path, cwd: tempDir() });
    expect({ code, said: JSON.parse(stdout.trim().split('\n').at(-1)!) }).toMatchObject({ code: 255, said: { type: 'error', exit: 255 } });
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
