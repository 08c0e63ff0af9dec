import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, makeConfig, makeKeys, type Postgres, runBkp, startPostgres, tempDir } from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

describe('what a restore refuses', () => {
  let db: Postgres;
  let at: Setup;
  let id: string;

  beforeAll(async () => {
    db = await startPostgres({ version: '18' });
    at = await setUp(db);
    id = await aBackup(at);
  });

  const restore = (to: string, args: readonly string[] = ['--yes']) =>
    runBkp(['restore', 'postgres', '--latest', '--to', to, ...args], at.run);
  const objects = (name: string): string[] =>
    Object.values(at.stores).map(root =>
      join(root, readdirSync(root, { recursive: true, encoding: 'utf8' }).find(path => path.endsWith(name))!),
    );
  const untouched = (to: string) => expect(readdirSync(join(to, '..'))).toEqual([]);

  it('DR06: without a terminal it has to be confirmed and told where to', async () => {
    const to = aPlace();
    const run = await restore(to, []);
    expect(run.code).toBe(4);
    expect(run.stderr).toContain('no terminal');
    untouched(to);
    expect((await runBkp(['restore', 'postgres', '--latest', '--yes'], at.run)).code).toBe(4);
    expect((await runBkp(['restore', 'postgres', '--to', to, '--yes'], at.run)).code).toBe(2);
  });

  it('DR09: the data directory of a running server, forced or not', async () => {
    for (const flags of [['--yes'], ['--yes', '--force']]) {
      const run = await restore(db.dataDir, flags);
      expect(run.code).toBe(4);
      expect(run.stderr).toContain('running server');
    }
    expect(await db.sql('select 1')).toBe('1');
  });

  it('a directory that holds something, and --force moves it aside', async () => {
    const to = aPlace();
    mkdirSync(to);
    writeFileSync(join(to, 'precious'), 'x');
    expect((await restore(to)).code).toBe(4);
    expect(readFileSync(join(to, 'precious'), 'utf8')).toBe('x');
    const forced = await restore(to, ['--yes', '--force']);
    expect(forced.code).toBe(0);
    const aside = /is in (\S+\.before-\S+)/.exec(forced.stdout)?.[1] ?? '';
    expect(readFileSync(join(aside, 'precious'), 'utf8')).toBe('x');
    rmSync(aside, { recursive: true });
  });

  it('PG12: a place inside a data directory', async () => {
    const run = await restore(join(db.dataDir, 'inner'));
    expect(run.code).toBe(4);
    expect(run.stderr).toContain('lies inside the data directory');
  });

  it('DR04: a backup whose object is gone, before the target is touched', async () => {
    const paths = objects('base.tar.zst.age.000');
    for (const path of paths) renameSync(path, `${path}.gone`);
    const to = aPlace();
    const run = await restore(to);
    for (const path of paths) renameSync(`${path}.gone`, path);
    expect(run.code).toBe(9);
    expect(run.stderr).toContain('base.tar.zst.age.000');
    untouched(to);
  });

  it('a flipped byte in every copy, with the object named; in one copy the other is taken', async () => {
    const paths = objects('base.tar.zst.age.000');
    const whole = readFileSync(paths[0]!);
    const flipped = Buffer.from(whole);
    flipped[Math.floor(flipped.length / 2)]! ^= 1;
    writeFileSync(paths[0]!, flipped);
    expect((await restore(aPlace())).code).toBe(0);
    writeFileSync(paths[1]!, flipped);
    const run = await restore(aPlace());
    for (const path of paths) writeFileSync(path, whole);
    expect(run.code).toBe(9);
    expect(run.stderr).toMatch(/base\.tar\.zst\.age\.000 in store (local|offsite) is damaged/);
  });

  it('a manifest that was changed after signing', async () => {
    const paths = objects('manifest.json');
    const before = paths.map(path => readFileSync(path, 'utf8'));
    for (const [n, path] of paths.entries()) writeFileSync(path, before[n]!.replace('"engine":"native"', '"engine":"forged"'));
    const run = await runBkp(['restore', 'postgres', '--from-backup', id, '--to', aPlace(), '--yes'], at.run);
    for (const [n, path] of paths.entries()) writeFileSync(path, before[n]!);
    expect(run.code).toBe(6);
    expect(run.stderr).toContain('not signed by a key of keys.trusted');
  });

  it('tells a wrong identity from damage', async () => {
    const other = (await makeKeys(join(tempDir(), 'k'))) as { identity: string };
    const config = join(tempDir(), 'bkp.yaml');
    writeFileSync(config, readFileSync(at.run.config, 'utf8').replace(String(at.keys['identity']), other.identity));
    const run = await runBkp(['restore', 'postgres', '--latest', '--to', aPlace(), '--yes'], { ...at.run, config });
    expect(run.code).toBe(2);
    expect(run.stderr).toContain('another key than keys.identity');
  });

  it('CF01 CF04: a password of quotes and spaces works, and is in no output', async () => {
    const wrong = await runBkp(['backup', 'postgres', '--verbose'], { ...at.run, env: { APP_PGPASSWORD: "p@s%41'#$x secret" } });
    expect(wrong.code).toBe(1);
    expect(wrong.stdout + wrong.stderr).not.toContain("p@s%41'#$x");
    expect(wrong.stderr).toContain('password authentication failed');
  });
});

it.each([
  ['redis', ['--serve'], '--serve is an option of postgres, and says nothing to redis'],
  ['redis', ['--tablespace', '/a=/b'], '--tablespace is an option of postgres'],
  ['redis', ['--host-ip', '10.0.0.9'], '--host-ip is an option of samba'],
  ['redis', ['--online', '--owner', 'nobody'], '--owner is for a restore into a directory'],
  ['etcd', ['--serve'], '--serve is an option of postgres, and says nothing to etcd'],
  ['etcd', ['--online', '--name', 'one'], '--name is for a restore into a directory'],
  ['volumes', ['--serve'], '--serve is an option of postgres, and says nothing to volumes'],
  ['volumes', ['--rebuild', '7'], '--rebuild is an option of engine server-snapshot, and says nothing to engine files of volumes'],
  ['samba', ['--server-name', 'new', '--serve'], '--serve is an option of postgres, and says nothing to samba'],
  ['full-dr', ['--serve'], '--serve is an option of postgres, and says nothing to full-dr'],
  ['redis', ['--restart'], '--restart is an option of full-dr, and says nothing to redis'],
])('a restore of %s with %j, which would do nothing, is refused before anything is asked', async (kind, flags, said) => {
  const written = await makeConfig({
    stores: { one: tempDir() },
    redis: { app: { host: '127.0.0.1' } },
    etcd: { app: { endpoints: ['https://127.0.0.1:2379'] } },
    samba: { app: { server: '127.0.0.1' } },
    volumes: { app: { engine: 'files', paths: [tempDir()] } },
  });
  const place = flags.includes('--online') ? [] : ['--to', join(tempDir(), 'to')];
  const { code, stderr } = await runBkp(['restore', kind, '--latest', ...place, ...flags, '--yes'], { config: written.path, env: {} });
  expect({ code, said: stderr.includes(said) ? said : stderr }).toEqual({ code: 2, said });
});

it('sets have no window, and `list full-dr --window` says so instead of listing them', async () => {
  const written = await makeConfig({ stores: { one: tempDir() }, redis: { app: { host: '127.0.0.1' } } });
  const { code, stderr } = await runBkp(['list', 'full-dr', '--window'], { config: written.path, env: {} });
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('has no window') });
});
