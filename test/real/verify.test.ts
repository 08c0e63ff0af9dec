import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, type Postgres, runBkp, startPostgres } from './rig/index.ts';
import { aBackup, type Setup, setUp } from './setup.ts';

afterAll(cleanUp);

describe('bkp verify on what PostgreSQL left in two stores', () => {
  let db: Postgres;
  let at: Setup;
  let first: string;
  let second: string;
  let names: string[];

  const verify = async (...args: string[]) => {
    const run = await runBkp(['verify', 'postgres', 'app', '--json', ...args], at.run);
    const stores = JSON.parse(run.stdout.trim().split('\n').at(-1)!).stores ?? [];
    return { code: run.code, findings: stores.flatMap((store: { findings: unknown[] }) => store.findings) as Record<string, unknown>[] };
  };
  const walFile = (store: string, name: string): string => {
    const root = at.stores[store]!;
    return join(root, readdirSync(root, { recursive: true, encoding: 'utf8' }).find(path => path.includes(`/${name}-`))!);
  };

  beforeAll(async () => {
    db = await startPostgres({ version: '18', settings: { wal_keep_size: '1GB' } });
    at = await setUp(db);
    first = await aBackup(at);
    names = [];
    for (const n of [1, 2, 3, 4]) {
      names.push(await db.sql(`create table t${n} (n int); select pg_walfile_name(pg_current_wal_lsn())`));
      await db.sql('select pg_switch_wal()');
      const run = await runBkp(['wal', 'push', 'app', names.at(-1)!, join('pg_wal', names.at(-1)!)], { ...at.run, cwd: db.dataDir });
      expect(run.code).toBe(0);
    }
    second = await aBackup(at);
  });

  it('says that all is good, and reads everything with --deep', async () => {
    expect(await verify()).toEqual({ code: 0, findings: [] });
    expect(await verify('--deep')).toEqual({ code: 0, findings: [] });
    const { stdout } = await runBkp(['verify', '--sample', '10%'], at.run);
    expect(stdout).toMatch(/postgres\/app +local +2 +2/);
  });

  it('PG14 RT11: names a missing segment, the backup that it breaks, and the one from which all is reachable again', async () => {
    const path = walFile('offsite', names[1]!);
    renameSync(path, `${path}.away`);
    const { code, findings } = await verify();
    renameSync(`${path}.away`, path);
    expect(code).toBe(9);
    const hole = findings.find(({ state }) => state === 'missing');
    expect(hole).toMatchObject({ store: 'offsite', breaks: [expect.stringContaining(first)] });
    expect(hole?.['text']).toContain(`WAL ${names[1]} is missing`);
    expect(hole?.['text']).toContain(second);
  });

  it('finds a flipped byte in WAL with --deep, and says what it could not prove without the identity', async () => {
    const path = walFile('local', names[2]!);
    const whole = readFileSync(path);
    const flipped = Buffer.from(whole);
    flipped[flipped.length - 50]! ^= 1;
    writeFileSync(path, flipped);
    const { code, findings } = await verify('--deep', '--from', 'local');
    writeFileSync(path, whole);
    expect(code).toBe(9);
    expect(findings).toMatchObject([{ store: 'local', state: 'damaged', key: expect.stringContaining(names[2]!) }]);
    const config = join(at.dir, 'no-identity.yaml');
    writeFileSync(config, readFileSync(at.run.config, 'utf8').replace(/^ *identity:.*$/m, ''));
    const blind = await runBkp(['verify', '--deep'], { ...at.run, config });
    expect(blind.code).toBe(3);
    expect(blind.stdout).toMatch(/UNPROVEN.*keys\.identity/);
  });

  it('PG15: an old gap is a note once no backup needs it; an empty archive is a failure', async () => {
    const gone = [...names.slice(1, 2).map(name => walFile('local', name))];
    for (const path of gone) renameSync(path, `${path}.away`);
    const manifest = readdirSync(at.stores['local']!, { recursive: true, encoding: 'utf8' }).find(path =>
      path.endsWith(`${first}/manifest.json`),
    )!;
    const dir = join(at.stores['local']!, manifest, '..');
    renameSync(dir, `${at.dir}/kept`);
    const old = await verify('--from', 'local');
    renameSync(`${at.dir}/kept`, dir);
    for (const path of gone) renameSync(`${path}.away`, path);
    expect(old.code).toBe(0);
    expect(old.findings).toContainEqual(
      expect.objectContaining({ state: 'note', text: expect.stringContaining('before the oldest backup') }),
    );
    const all = join(at.stores['local']!, 'bkp');
    renameSync(all, `${at.dir}/away`);
    const empty = await verify('--from', 'local');
    rmSync(all, { recursive: true });
    renameSync(`${at.dir}/away`, all);
    expect(empty.code).toBe(9);
    expect(empty.findings).toMatchObject([{ state: 'missing', text: expect.stringContaining('no backup of postgres/app') }]);
  });

  it('a store that is not there is exit 8, and the other one is still looked at', async () => {
    renameSync(at.stores['offsite']!, `${at.stores['offsite']}.gone`);
    const { code, findings } = await verify();
    renameSync(`${at.stores['offsite']}.gone`, at.stores['offsite']!);
    expect(code).toBe(8);
    expect(findings).toMatchObject([{ store: 'offsite', state: 'unreachable' }]);
  });

  it('WAL that one store lacks is given to it by the next backup', async () => {
    rmSync(walFile('offsite', names[1]!));
    expect((await verify('--from', 'offsite')).code).toBe(9);
    const run = await runBkp(['backup', 'postgres'], at.run);
    expect(run.stderr).toContain('1 file(s) of the log were missing in a store and are there now');
    expect(await verify('--deep')).toEqual({ code: 0, findings: [] });
  });

  it('refuses a share that is none', async () => {
    for (const share of ['0', 'abc', '101%', '-5']) expect((await runBkp(['verify', '--sample', share], at.run)).code).toBe(2);
    rmSync(join(at.dir, 'no-identity.yaml'), { force: true });
  });
});
