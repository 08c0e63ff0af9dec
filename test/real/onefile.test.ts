import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startMachine, stopMachines } from './docs/machine.ts';
import { walkPage } from './docs/page.ts';
import { binDir, cleanUp, makeConfig, node24, type Postgres, root, run, start, startPostgres, tempDir } from './rig/index.ts';
import { aPlace } from './setup.ts';

afterAll(async () => {
  await stopMachines();
  await cleanUp();
});

let bkp: string;
let db: Postgres;

/** Nothing but the file itself: no Node on PATH, unless programs are named. */
const alone = (args: readonly string[], env: Record<string, string> = {}) =>
  start(bkp, args, { cwd: '/', env: { PATH: '/nonexistent', HOME: '/nonexistent', TMPDIR: tempDir({ forServer: true }), ...env } }).ended;

/** A PATH of just these programs. */
function pathOf(...programs: string[]): string {
  const dir = tempDir();
  for (const file of programs) symlinkSync(file, join(dir, file.split('/').at(-1)!));
  return dir;
}

beforeAll(async () => {
  await run(node24(), [join(root, 'scripts/onefile.mjs')], { cwd: root });
  // Where the account that replays WAL can run it.
  bkp = join(tempDir({ forServer: true }), 'bkp');
  copyFileSync(join(root, 'build/bkp'), bkp);
  db = await startPostgres({ version: '18' });
  await db.sql('create table t as select generate_series(1, 1000) n');
});

it('says what it is with nothing around it', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(await alone(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  const said = await alone(['version', '--json']);
  expect(said.code).toBe(0);
  expect(JSON.parse(said.stdout)).toMatchObject({ type: 'result', version, oneFile: true, node: expect.stringMatching(/^v24\./) });
});

it('is not bent by the NODE_OPTIONS of who starts it', async () => {
  expect(await alone(['--version'], { NODE_OPTIONS: '--no-such-option' })).toMatchObject({ code: 0, stderr: '' });
});

it('makes keys', async () => {
  const dir = join(tempDir(), 'keys');
  expect(await alone(['keygen', '--dir', dir])).toMatchObject({ code: 0 });
  expect(existsSync(join(dir, 'identity.txt'))).toBe(true);
});

it('speaks to PostgreSQL in its own codes: what goes wrong with `wal fetch` stops it, with `wal push` does not', async () => {
  expect((await alone(['wal', 'fetch', '--ready', '/nonexistent', 'A', 'B'])).code).toBe(255);
  expect((await alone(['wal', 'fetch', 'postgres', 'app', 'A', 'B', '--config', '/nonexistent'])).code).toBe(255);
  expect((await alone(['wal', 'push', 'postgres', 'app', '/A', '--config', '/nonexistent'])).code).toBeLessThan(126);
});

it('backs up and restores a PostgreSQL, where no Node is on PATH', async () => {
  const config = await makeConfig({ stores: { local: tempDir() }, postgres: { app: db.entry({ bin: [binDir('18')] }) } });
  const tools = ['/usr/bin/zstd', '/usr/bin/age', '/usr/bin/tar', '/usr/bin/env'].filter(existsSync);
  const env = { PATH: pathOf(...tools), BKP_CONFIG: config.path, ...db.bkpEnv };
  expect(await alone(['backup', 'postgres'], env)).toMatchObject({ code: 0 });
  const to = aPlace();
  const { code, stderr } = await alone(['restore', 'postgres', '--latest', '--to', to, '--yes'], env);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const again = await startPostgres({ version: '18', dir: to });
  expect(await again.sql('select count(*) from t')).toBe('1000');
});

it('docs/how-to/one-file.md', async () => {
  const machine = await startMachine();
  const { faults, ran } = await walkPage('docs/how-to/one-file.md', machine, {
    words: () => ({ 'build/bkp': '/opt/bkp/build/bkp', 'bkp version': '/usr/local/bin/bkp version' }),
    after: { 'bkp version': output => expect(output).toContain(' inside') },
  });
  expect({ faults, ran }).toEqual({ faults: [], ran: 2 });
});

it('refuses a restore by an account that cannot run it, and says where to put it; its own account can', async () => {
  const closed = tempDir();
  mkdirSync(join(closed, 'in'), { mode: 0o700 });
  copyFileSync(bkp, join(closed, 'in/bkp'));
  const config = await makeConfig({ stores: { local: tempDir() }, postgres: { app: db.entry({ bin: [binDir('18')] }) } });
  const run = (args: string[]) =>
    start(join(closed, 'in/bkp'), args, {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', TMPDIR: tempDir({ forServer: true }), BKP_CONFIG: config.path, ...db.bkpEnv },
    }).ended;
  expect(await run(['backup', 'postgres'])).toMatchObject({ code: 0 });
  const end = await run(['restore', 'postgres', '--latest', '--to', aPlace(), '--yes']);
  // Whoever is not root replays as himself.
  const isRoot = process.getuid?.() === 0;
  expect(end).toMatchObject(isRoot ? { code: 4, stderr: expect.stringContaining('/usr/local/bin') } : { code: 0 });
});
