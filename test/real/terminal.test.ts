import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { changed } from './change.ts';
import { bkpCommand, cleanUp, isAlive, type Postgres, startPostgres, tempDir, waitFor } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';
import { brokenPacker, deadPacker, endOf, filesIn, onTerminal, pathWith, stuckPacker } from './stub.ts';

afterAll(cleanUp);

const COLOURED = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`);

describe('on a terminal', () => {
  let db: Postgres;
  let at: Setup;
  let run: Setup['run'];

  const type = (args: readonly string[], env: Record<string, string> = {}, columns?: number, with_ = run) =>
    onTerminal(bkpCommand([...args, '--config', with_.config]), { ...with_.env, HOME: tempDir(), ...env }, columns);

  beforeAll(async () => {
    db = await startPostgres({ version: '18' });
    at = await setUp(db);
    run = at.run;
    await db.sql('create table t as select n, repeat(md5(n::text), 30) as text from generate_series(1, 20000) n');
    await aBackup(at);
  });

  it('a backup shows how far it is, in colour, and ends', async () => {
    const end = await endOf(type(['backup', 'postgres']));
    expect(end.code).toBe(0);
    expect(end.stdout).toMatch(/base\.tar: [\d.]+ [KM]iB/);
    expect(end.stdout).toMatch(COLOURED);
    expect(end.stdout.replace(/\s+/g, ' ')).toMatch(/local ok, offsite ok/);
  });

  it.each([
    ['NO_COLOR', [], { NO_COLOR: '1' }],
    ['--no-color', ['--no-color'], {}],
  ])('%s: not one colour, the spinner included', async (_, flags, env) => {
    const end = await endOf(type([...flags, 'backup', 'postgres'], env as Record<string, string>));
    expect(end.code).toBe(0);
    expect(end.stdout).toMatch(/base\.tar: [\d.]+ [KM]iB/);
    expect(end.stdout).not.toMatch(COLOURED);
  });

  // A serial console and `docker exec -t` have no size.
  it('a terminal that does not know its width neither hangs nor floods', async () => {
    const end = await endOf(type(['backup', 'postgres'], {}, 0));
    expect(end.code).toBe(0);
    expect(end.stdout.length).toBeLessThan(100_000);
  });

  it('a stage that fails ends the run with its sentence: nothing that still comes in keeps it alive', async () => {
    const env = { PATH: pathWith(brokenPacker()) };
    for (let n = 0; n < 4; n += 1) {
      const end = await endOf(type(['backup', 'postgres'], env));
      expect(end.code).toBe(1);
      expect(end.stdout).toMatch(/bkp: zstd ended with exit code 3: boom/);
    }
  });

  it('CF12: Ctrl-C, which reaches every child at once, ends with 130 and leaves nothing', async () => {
    const roots = Object.values(at.stores);
    const before = roots.map(filesIn);
    const child = type(['backup', 'postgres'], { PATH: pathWith(stuckPacker()) });
    await waitFor(() => roots.every(root => filesIn(root).some(file => file.includes('.tmp-'))), 'both stores to be written');
    child.process.stdin?.write('\x03');
    const end = await endOf(child);
    expect(end.code).toBe(130);
    expect(end.stdout).toMatch(/bkp: .*SIGINT/);
    expect(roots.map(filesIn)).toEqual(before);
    expect(await db.sql('select slot_name from pg_replication_slots')).toBe('');
  });

  it('CF12: Ctrl-C while a restore unpacks: 130, and its last words name the directory that is marked as incomplete', async () => {
    const [to, packer, temp] = [aPlace(), deadPacker(), tempDir()];
    const child = type(['restore', 'postgres', '--latest', '--to', to, '--yes'], { PATH: pathWith(packer), TMPDIR: temp });
    await waitFor(() => existsSync(join(packer, 'zstd.started')), 'the unpacking to begin');
    child.process.stdin?.write('\x03');
    const end = await endOf(child);
    expect(end.code).toBe(130);
    const words = end.stdout.split(/^bkp: /m).at(-1);
    expect(words).toContain('SIGINT');
    expect(words).toContain(to);
    expect(readdirSync(to)).toEqual(['BKP_RESTORE_INCOMPLETE']);
    expect(readdirSync(temp).filter(name => name.startsWith('bkp-'))).toEqual([]);
  });

  it('CF12: Ctrl-C while a restore replays, which its server gets too: 130, no server, the target marked', async () => {
    const [to, temp] = [aPlace(), tempDir({ forServer: true })];
    const child = type(['restore', 'postgres', '--latest', '--to', to, '--yes'], { TMPDIR: temp });
    const file = join(to, 'postmaster.pid');
    const pid = await waitFor(() => existsSync(file) && Number(readFileSync(file, 'utf8').split('\n')[0]), 'the private server');
    child.process.stdin?.write('\x03');
    const end = await endOf(child);
    expect(end.code).toBe(130);
    expect(end.stdout.split(/^bkp: /m).at(-1)).toContain(to);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(join(to, 'BKP_RESTORE_INCOMPLETE'))).toBe(true);
    expect(readdirSync(temp).filter(name => name.startsWith('bkp-'))).toEqual([]);
  });

  const asking = async (to: string, with_ = run) => {
    const child = type(['restore', 'postgres', '--latest', '--to', to], {}, 100, with_);
    await waitFor(() => child.output().stdout.includes('to go on'), 'the question');
    return child;
  };

  it.each([
    ['Ctrl-C', '\x03', [5, 130]],
    ['Ctrl-D', '\x04', [5]],
    ['another word', 'no\n', [5]],
    ['nothing', '\n', [5]],
  ])('%s at the question is an abort by the person, and nothing was touched', async (_, typed, codes) => {
    const to = aPlace();
    const child = await asking(to);
    child.process.stdin?.write(typed);
    const end = await endOf(child);
    expect(codes).toContain(end.code);
    expect(end.stdout).toMatch(/bkp: \S/);
    expect(readdirSync(join(to, '..'))).toEqual([]);
  });

  it('--quiet hides no plan that has to be confirmed', async () => {
    const to = aPlace();
    const child = type(['--quiet', 'restore', 'postgres', '--latest', '--to', to]);
    await waitFor(() => child.output().stdout.includes('to go on'), 'the question');
    child.process.stdin?.write('no\n');
    const end = await endOf(child);
    expect(end.code).toBe(5);
    expect(end.stdout).toContain(to);
    expect(end.stdout).toMatch(/backup \d{8}T/);
  });

  it('SIGTERM at the question ends it with 143, and nothing was touched', async () => {
    const to = aPlace();
    const child = await asking(to);
    process.kill(child.commandPid(), 'SIGTERM');
    const end = await endOf(child);
    expect(end.code).toBe(143);
    expect(readdirSync(join(to, '..'))).toEqual([]);
  });

  it('a protected environment wants its name, not a yes', async () => {
    const guarded = changed(at, config => {
      config['environments'].production.protected = true;
    });
    const refused = aPlace();
    const yes = await asking(refused, guarded);
    yes.process.stdin?.write('yes\n');
    expect((await endOf(yes)).code).toBe(5);
    expect(readdirSync(join(refused, '..'))).toEqual([]);
    const to = aPlace();
    const named = await asking(to, guarded);
    named.process.stdin?.write('production\n');
    const end = await endOf(named);
    expect(end.code).toBe(0);
    expect(readdirSync(to)).toContain('PG_VERSION');
  });
});
