import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from '@jest/globals';
import { parse } from 'yaml';
import { lastJson } from './change.ts';
import { cleanUp, makeConfig, runBkp, tempDir } from './rig/index.ts';

afterAll(cleanUp);

const ENTRY = { engine: 'native', host: 'db.example.test', password: '${APP_PGPASSWORD}' };
const PASSWORD = "hunter2 with 'quotes'";

let good: string;
let goodPath: string;

beforeAll(async () => {
  const written = await makeConfig({ stores: { local: tempDir(), offsite: tempDir() }, postgres: { app: ENTRY } });
  goodPath = written.path;
  good = readFileSync(written.path, 'utf8');
});

const config = (verb: string, path: string, flags: readonly string[] = [], env: Record<string, string> = { APP_PGPASSWORD: PASSWORD }) =>
  runBkp(['config', verb, ...flags], { config: path, env });

/** Writes a config and checks it. */
async function check(text: string, env?: Record<string, string>) {
  const path = join(tempDir(), 'bkp.yaml');
  writeFileSync(path, text);
  const { code, stdout, stderr } = await config('check', path, [], env);
  return { code, stdout, stderr: stderr.replaceAll(path, 'bkp.yaml') };
}

/** `line:column` of a text within the good config, from 1. */
function place(of: string): string {
  const at = good.indexOf(of);
  const before = good.slice(0, at).split('\n');
  return `${before.length}:${before.at(-1)!.length + 1}`;
}

describe('config check', () => {
  it('several servers in one host are a fault, with its place', async () => {
    const { code, stderr } = await check(good.replace(ENTRY.host, 'one.example.test,two.example.test'));
    expect(code).toBe(2);
    expect(stderr).toContain(`bkp.yaml:${place(ENTRY.host)}: environments.production.postgres.app.host: `);
    expect(stderr).toContain('names several servers; allowed is one, the primary');
  });

  it('a good file is ok, exit 0', async () => {
    const end = await config('check', goodPath);
    expect(end).toMatchObject({ code: 0, stdout: `${goodPath}: ok\n`, stderr: '' });
    expect(lastJson((await config('check', goodPath, ['--json'])).stdout)).toEqual({
      type: 'result',
      ok: true,
      file: goodPath,
      warnings: [],
    });
  });

  it('an unknown key is named with its place and the word that is near', async () => {
    const { code, stderr } = await check(good.replace('password:', 'pasword:'));
    expect(code).toBe(2);
    expect(stderr).toMatch(
      new RegExp(
        `^bkp: bkp.yaml:${place('password:')}: environments.production.postgres.app: unknown key "pasword"; did you mean "password"\\?`,
      ),
    );
  });

  it.each(['abc', '', '30d', '-1', '1.5'])('RT20: %j as a count is an error with line and column', async count => {
    const { code, stderr } = await check(good.replace('engine: native', `retention: { daily: ${count} }\n        engine: native`));
    expect(code).toBe(2);
    expect(stderr).toMatch(
      new RegExp(
        `^bkp: bkp.yaml:${place('engine: native').split(':')[0]}:\\d+: environments.production.postgres.app.retention.daily: .*whole number`,
      ),
    );
  });

  it('a variable that is not set is named with the setting that needs it', async () => {
    const { code, stderr } = await check(good, {});
    expect(code).toBe(2);
    expect(stderr).toMatch(/environments\.production\.postgres\.app\.password needs the variable APP_PGPASSWORD: it is not set/);
  });

  it('CF03: a key file that is not there is named with its setting', async () => {
    const { code, stderr } = await check(good.replace('/signing.key}', '/nowhere.key}'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/keys\.signing needs the file \/\S+\/nowhere\.key: ENOENT/);
  });

  it('a tab, a key that stands twice, an empty file, no text at all', async () => {
    expect(await check('keys:\n\trecipients: []\n')).toMatchObject({ code: 2, stderr: expect.stringMatching(/bkp.yaml:2:1: a tab /) });
    const twice = await check(`${good}environments: {}\n`);
    expect(twice).toMatchObject({ code: 2, stderr: expect.stringContaining(`bkp.yaml:${good.split('\n').length}:1: `) });
    expect(twice.stderr).toMatch(/twice/);
    expect(await check('')).toMatchObject({ code: 2, stderr: expect.stringMatching(/bkp.yaml:1:1: the config is empty/) });
    const path = join(tempDir(), 'bkp.yaml');
    writeFileSync(path, Buffer.from([0x61, 0xff, 0xfe]));
    expect(await config('check', path)).toMatchObject({ code: 2, stderr: expect.stringContaining('not UTF-8') });
  });

  it('a reference without quotes within braces is told as such, and nothing that follows from it; a second document in words of the config', async () => {
    const bare = await check('environments:\n  production:\n    stores: { local: { type: directory, path: ${HOME} } }\n    redis: {}\n');
    expect(bare.code).toBe(2);
    expect(bare.stderr).toMatch(/^bkp: bkp.yaml:3:47: \$\{…\} without quotes .*"\$\{NAME\}"\n {2}→/);
    const two = await check(`${good}---\nx: 1\n`);
    expect(two).toMatchObject({ code: 2, stderr: expect.stringMatching(/^bkp: bkp.yaml:\d+:1: a second document begins here; /) });
  });

  it('every fault is told at once, in the order of the file', async () => {
    const { stderr } = await check(
      good.replace('engine: native', 'engine: nativ\n        port: abc').replace('environments:', 'timezone: Mars\nenvironments:'),
    );
    const lines = [...stderr.matchAll(/bkp.yaml:(\d+):\d+: /g)].map(match => Number(match[1]));
    expect(lines).toHaveLength(3);
    expect(lines).toEqual([...lines].sort((a, b) => a - b));
    for (const word of ['Mars', 'nativ', 'abc']) expect(stderr).toContain(word);
  });

  it('a file that is not there, and a directory', async () => {
    expect(await config('check', '/nowhere/bkp.yaml')).toMatchObject({ code: 2, stderr: expect.stringContaining('/nowhere/bkp.yaml') });
    expect((await config('check', tempDir())).code).toBe(2);
    const flag = await runBkp(['--config', '/nowhere/flag.yaml', 'config', 'check'], { config: goodPath });
    expect(flag).toMatchObject({ code: 2, stderr: expect.stringContaining('/nowhere/flag.yaml') });
  });

  it('with --json a fault is an object on stdout, and the exit code is the same', async () => {
    const path = join(tempDir(), 'bkp.yaml');
    writeFileSync(path, '');
    const { code, stdout } = await config('check', path, ['--json']);
    expect(code).toBe(2);
    expect(lastJson(stdout)).toMatchObject({ type: 'error', code: 'usage', exit: 2, message: expect.stringContaining(`${path}:1:1: `) });
  });

  // Each is a password that YAML takes for something else.
  it.each([
    '*s3cretword',
    '!s3cretword x',
    '@s3cretword',
    '&s3cretword',
    '{s3cretword: 1}',
    '[s3cretword]',
    '"s3cretword',
    '"s3cretword\\q"',
    's3cretword: x',
    '"${s3cretword oops}"',
    '|s3cretword',
  ])('CF04: a password written as %s is in no message', async written => {
    const { code, stdout, stderr } = await check(good.replace('${APP_PGPASSWORD}', written));
    expect(stdout + stderr).not.toContain('s3cretword');
    if (code !== 0) expect(stderr).toContain(`bkp.yaml:`);
  });
});

describe('config show', () => {
  it('is the whole config with what was filled in, as YAML and as JSON', async () => {
    const { code, stdout } = await config('show', goodPath);
    expect(code).toBe(0);
    const shown = parse(stdout);
    expect(shown.timezone).toBe('UTC');
    expect(shown.environments.production.postgres.app).toMatchObject({
      ...ENTRY,
      port: 5432,
      need: 1,
      stores: ['local', 'offsite'],
      rpo: '15m',
    });
    const json = await config('show', goodPath, ['--json']);
    expect(json.code).toBe(0);
    expect(lastJson(json.stdout)).toEqual({ type: 'result', file: goodPath, config: shown });
  });

  it('what it shows is a good config again', async () => {
    const { stdout } = await config('show', goodPath);
    const path = join(tempDir(), 'bkp.yaml');
    writeFileSync(path, stdout);
    expect((await config('check', path)).code).toBe(0);
  });

  it('shows no secret, whether it stands in the file or comes from elsewhere', async () => {
    const path = join(tempDir(), 'bkp.yaml');
    writeFileSync(path, good.replace('${APP_PGPASSWORD}', '"written out s3cret"'));
    for (const flags of [[], ['--json'], ['--verbose']]) {
      const own = await config('show', path, flags);
      expect(own.code).toBe(0);
      expect(own.stdout).toContain('[redacted]');
      expect(own.stdout + own.stderr).not.toMatch(/s3cret|AGE-SECRET-KEY|bkp-signing-/);
      const there = await config('show', goodPath, flags);
      expect(there.stdout).toContain('${APP_PGPASSWORD}');
      expect(there.stdout + there.stderr).not.toMatch(/hunter2|AGE-SECRET-KEY|bkp-signing-/);
    }
  });

  it('a config with a fault is not shown', async () => {
    const path = join(tempDir(), 'bkp.yaml');
    writeFileSync(path, good.replace('engine: native', 'engine: nativ'));
    expect(await config('show', path)).toMatchObject({ code: 2, stdout: '' });
  });
});

test('config schema is JSON Schema, needs no config, and names what a config may hold', async () => {
  const { code, stdout } = await runBkp(['config', 'schema'], { cwd: tempDir(), env: { HOME: tempDir() } });
  expect(code).toBe(0);
  const schema = JSON.parse(stdout);
  expect(schema.$schema).toContain('json-schema.org');
  expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(['keys', 'environments', 'timezone', 'temp']));
  expect(schema.required).toEqual(expect.arrayContaining(['keys', 'environments']));
  expect(stdout).toContain('"directory"');
});

test('a home that takes no directories costs the caches and nothing else', async () => {
  const env = { APP_PGPASSWORD: PASSWORD, HOME: '/proc', XDG_CACHE_HOME: '/proc/.cache' };
  expect(await runBkp(['config', 'check'], { config: goodPath, env })).toMatchObject({ code: 0, stderr: '' });
});

test('a config is found by --config, then BKP_CONFIG, then in the working directory, then under XDG_CONFIG_HOME', async () => {
  const home = tempDir();
  mkdirSync(join(home, 'bkp'));
  writeFileSync(join(home, 'bkp/bkp.yaml'), good);
  const cwd = tempDir();
  const env = { APP_PGPASSWORD: PASSWORD, XDG_CONFIG_HOME: home, HOME: tempDir() };
  const found = async (args: readonly string[], path?: string) =>
    (await runBkp([...args, 'config', 'check'], { cwd, env, ...(path ? { config: path } : {}) })).stdout;
  expect(await found([])).toBe(`${home}/bkp/bkp.yaml: ok\n`);
  writeFileSync(join(cwd, 'bkp.yaml'), good);
  expect(await found([])).toBe('./bkp.yaml: ok\n');
  expect(await found([], goodPath)).toBe(`${goodPath}: ok\n`);
  expect(await found(['--config', 'bkp.yaml'], goodPath)).toBe('bkp.yaml: ok\n');
});
