import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Store } from '../../src/core/contracts.ts';
import { openDirectory } from '../../src/providers/stores/directory.ts';
import { stores } from '../../src/providers/stores/index.ts';
import { systemClock } from '../../src/system/clock.ts';
import { agedCopy, signerOf } from './aged.ts';
import { changed, entryOf, lastJson, type Yaml } from './change.ts';
import { later as clockOf } from './later.ts';
import {
  accessDenied,
  bkpCommand,
  cleanUp,
  delay,
  type FaultyS3,
  isListing,
  listing,
  makeConfig,
  type Postgres,
  runBkp,
  type S3Server,
  s3Client,
  startB2,
  startBkp,
  startFaulty,
  startPostgres,
  startRgw,
  startVersity,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { aBackup, aPlace, type Setup, setUp } from './setup.ts';
import { endOf, onTerminal } from './stub.ts';

afterAll(cleanUp);

const BASE = 'bkp/production/postgres/app';
const DAY = 86_400_000;
const ONE_DAY = { retention: { daily: 1, weekly: 0, monthly: 0, wal: '30d' }, pruneShare: 100 };

interface Run {
  config: string;
  env: Record<string, string>;
}

async function prune(options: Run, ...args: string[]) {
  const { code, stdout, stderr } = await runBkp(['prune', 'postgres', 'app', '--json', ...args], options);
  const [row] = (lastJson(stdout)['stores'] ?? []) as Yaml[];
  const lines = new Map(((row?.['plan']?.lines ?? []) as Yaml[]).map(line => [line['id'] as string, line]));
  return { code, stderr, row: row as Yaml, lines };
}

describe('bkp prune over what PostgreSQL left', () => {
  let db: Postgres;
  let at: Setup;
  let local: Store;

  const list = async (): Promise<string[]> =>
    (lastJson((await runBkp(['list', '--json'], at.run)).stdout)['backups'] as Yaml[]).map(({ id }) => id as string);
  const pushWal = async (table: string): Promise<string> => {
    const name = await db.sql(
      `drop table if exists ${table}; create table ${table} as select 1 as n; select pg_walfile_name(pg_current_wal_lsn())`,
    );
    await db.sql('select pg_switch_wal()');
    const { code } = await runBkp(['wal', 'push', 'app', name, join('pg_wal', name)], { ...at.run, cwd: db.dataDir });
    expect(code).toBe(0);
    return name;
  };
  /** All WAL that is in the store now, as if it had come so many days ago. */
  const ageWal = (days: number) => {
    const when = new Date(Date.now() - days * DAY);
    for (const root of Object.values(at.stores))
      for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' }))
        if (path.includes('/wal/') && path.endsWith('.age')) utimesSync(join(root, path), when, when);
  };
  /** A backup as it would be after so many days. */
  const backupOf = async (days: number): Promise<string> => {
    const id = await aBackup(at);
    const copy = await agedCopy(local, BASE, id, days, signerOf(at.keysDir));
    const keys: string[] = [];
    for await (const { key } of local.list(`${BASE}/backups/${id}/`)) keys.push(key);
    await local.remove(keys);
    return copy;
  };
  /** The one that goes, the one with which the window begins, and a fresh one. */
  const threeOf = async (days: number): Promise<string> => {
    const id = await backupOf(days);
    await backupOf(35);
    await aBackup(at);
    return id;
  };

  beforeAll(async () => {
    db = await startPostgres({ version: '18', settings: { wal_keep_size: '1GB' } });
  });
  beforeEach(async () => {
    at = await setUp(db, { entry: { ...ONE_DAY, stores: ['local'] } });
    local = openDirectory('local', { type: 'directory', path: at.stores['local']! });
  });

  it('RT16 RT11: the base before the window stays and rolls forward to the end; WAL that no kept one needs goes', async () => {
    at.run = changed(at, config => {
      entryOf(config)['retention'] = { last: 3, daily: 0, weekly: 0, monthly: 0, wal: '30d' };
    });
    const old = await backupOf(75);
    const keeper = await backupOf(40);
    const before = await pushWal('long_ago');
    await pushWal('long_ago_too');
    const window = await backupOf(31);
    const needed = await pushWal('after_the_base');
    ageWal(33);
    const inside = await pushWal('inside');
    await aBackup(at);
    const plan = await prune(at.run);
    expect({ code: plan.code, keep: plan.lines.get(old)?.['keep'] }).toEqual({ code: 0, keep: false });
    expect(plan.lines.get(window)).toMatchObject({ keep: true, reasons: expect.arrayContaining([expect.stringContaining('30 d')]) });
    expect(await list()).toContain(old);
    const { code, row } = await prune(at.run, '--confirm');
    expect({ code, removal: row['removal'] }).toMatchObject({ code: 0, removal: { gone: [old], failed: [], locked: [] } });
    expect(at.walNames('local')).not.toContain(before);
    expect(at.walNames('local')).toEqual(expect.arrayContaining([needed, inside]));
    const back = await runBkp(['restore', 'postgres', 'app', '--latest', '--from-backup', window, '--to', aPlace(), '--yes'], at.run);
    expect({ code: back.code, said: back.code === 0 ? '' : back.stderr }).toEqual({ code: 0, said: '' });
    const alone = await runBkp(['restore', 'postgres', 'app', '--from-backup', keeper, '--to', aPlace(), '--yes'], at.run);
    expect({ code: alone.code, said: alone.code === 0 ? '' : alone.stderr }).toEqual({ code: 0, said: '' });
    const verified = await runBkp(['verify'], at.run);
    expect({ code: verified.code, said: verified.code === 0 ? '' : verified.stdout }).toEqual({ code: 0, said: '' });
    expect(verified.stdout).toMatch(/note .*before the window/);
  });

  it('what one store has pruned is not given back to it by the next backup', async () => {
    at = await setUp(db, { entry: ONE_DAY });
    local = openDirectory('local', { type: 'directory', path: at.stores['local']! });
    const offsite = openDirectory('offsite', { type: 'directory', path: at.stores['offsite']! });
    const id = await aBackup(at);
    const before = await pushWal('given_back');
    const later = await aBackup(at);
    for (const [from, days] of [
      [id, 60],
      [later, 40],
    ] as const) {
      const as = await agedCopy(local, BASE, from, days, signerOf(at.keysDir));
      await agedCopy(offsite, BASE, from, days, signerOf(at.keysDir), { as });
      for (const store of [local, offsite]) {
        const keys: string[] = [];
        for await (const { key } of store.list(`${BASE}/backups/${from}/`)) keys.push(key);
        await store.remove(keys);
      }
    }
    await pushWal('kept');
    ageWal(50);
    await aBackup(at);
    expect((await prune(at.run, '--confirm', '--from', 'local')).row['removal']).toMatchObject({ gone: [expect.any(String)] });
    expect(at.walNames('local')).not.toContain(before);
    expect(at.walNames('offsite')).toContain(before);
    await aBackup(at);
    expect(at.walNames('local')).not.toContain(before);
    // Nor by one whose clock has jumped back: the window ends where the server says that it is.
    await aBackup({ ...at, run: { ...at.run, env: { ...at.run.env, ...clockOf(-40) } } });
    expect(at.walNames('local')).not.toContain(before);
  });

  it('a held one stays until it is released, and says why', async () => {
    const id = await threeOf(60);
    expect((await runBkp(['hold', id, '--until', '90d', '--reason', 'audit of 2026'], at.run)).code).toBe(0);
    const held = await prune(at.run, '--confirm');
    expect({ code: held.code, line: held.lines.get(id) }).toMatchObject({
      code: 0,
      line: { keep: true, reasons: expect.arrayContaining([expect.stringContaining('audit of 2026')]) },
    });
    expect((await runBkp(['hold', id, '--release'], at.run)).code).toBe(0);
    expect((await prune(at.run, '--confirm')).row['removal'].gone).toEqual([id]);
  });

  it('MO09: a newest backup that is sharply smaller halts it with exit 4, and every backup stays', async () => {
    const id = await threeOf(50);
    await agedCopy(local, BASE, (await list()).at(-1)!, -0.00001, signerOf(at.keysDir), {
      change: { anomaly: '1 KB, and the last ones had 7 GB' },
    });
    const halted = await prune(at.run, '--confirm');
    expect(halted.code).toBe(4);
    expect(halted.row['plan'].halts.join()).toMatch(/anomaly/);
    expect(await list()).toContain(id);
  });

  it('RT20: a rule that is no number is refused with its place, and nothing goes', async () => {
    const id = await threeOf(50);
    for (const bad of ['abc', '30d', -1, '', 1.5]) {
      const run = changed(at, config => {
        entryOf(config)['retention'] = { daily: bad };
      });
      const { code, stderr } = await runBkp(['prune', '--confirm'], run);
      expect(code).toBe(2);
      expect(stderr).toMatch(/bkp\.yaml:\d+:\d+: .*daily/);
    }
    expect(await list()).toContain(id);
  });

  it('MO02: a server that is not there: the backup fails, is recorded, and prune halts and names it', async () => {
    const id = await threeOf(50);
    const run = changed(at, config => {
      entryOf(config)['port'] = 1;
    });
    expect((await runBkp(['backup'], run)).code).toBe(1);
    const halted = await prune(at.run, '--confirm');
    expect(halted.code).toBe(4);
    expect(halted.row['plan'].halts.join()).toMatch(/failed/);
    expect(await list()).toContain(id);
    await aBackup(at);
    expect((await prune(at.run, '--confirm')).code).toBe(0);
  });

  it('more than the share would go from a protected environment: --force wants the name', async () => {
    await threeOf(50);
    const run = changed(at, config => {
      config['environments'].production.protected = true;
      entryOf(config)['pruneShare'] = 1;
    });
    expect((await prune(run, '--confirm')).code).toBe(4);
    const { code, stderr } = await prune(run, '--confirm', '--force');
    expect(code).toBe(4);
    expect(stderr).toContain('--confirm-env production');
    expect((await prune(run, '--confirm', '--force', '--confirm-env', 'production')).code).toBe(0);
  });
});

const open = (type: string, entry: Record<string, unknown>): Store =>
  stores[type]!.open('far', stores[type]!.config.parse({ type, ...entry }), {
    prefix: 'bkp',
    clock: systemClock,
    random: n => Buffer.alloc(n, 7),
  });

describe.each([
  ['Ceph RGW', 's3', startRgw],
  ['a B2 before versitygw', 'b2', async () => startB2(await startVersity())],
] as const)('bkp prune on %s', (_, type, start) => {
  let server: S3Server;
  let faulty: FaultyS3;
  let store: Store;
  let options: Run;
  let sign: ReturnType<typeof signerOf>;
  let young: string;

  beforeAll(async () => {
    server = await start();
    faulty = await startFaulty(server);
    const db = await startPostgres({ version: '15' });
    const { endpoint, region, accessKey, secretKey } = server;
    const entry = { endpoint, region, accessKey, secretKey, bucket: await server.bucket() };
    const config = await makeConfig({
      stores: { far: { type, ...entry, endpoint: faulty.endpoint } },
      postgres: { app: db.entry(ONE_DAY) },
    });
    options = { config: config.path, env: db.bkpEnv };
    sign = signerOf(config.keysDir);
    store = open(type, entry);
    const run = await runBkp(['backup', '--json'], options);
    expect(run.code).toBe(0);
    young = lastJson(run.stdout)['backups'][0].id;
    await agedCopy(store, BASE, young, 35, sign);
  });
  beforeEach(() => {
    faulty.faults = [];
  });

  it('S14: what goes is gone with all its versions', async () => {
    const old = await agedCopy(store, BASE, young, 40, sign);
    const { code, row } = await prune(options, '--confirm');
    expect({ code, gone: row['removal']?.gone }).toEqual({ code: 0, gone: [old] });
    for await (const { key } of store.list(`${BASE}/backups/`)) expect(key).not.toContain(old);
    expect((await store.hidden?.(`${BASE}/backups/`))?.objects ?? 0).toBe(0);
  });

  it('S13: a store that refuses one key: named, exit 3, the manifest stays and the backup stays whole', async () => {
    const old = await agedCopy(store, BASE, young, 40, sign);
    faulty.faults = [{ when: ({ method, path }) => method === 'DELETE' && path.includes(`${old}/manifest.json`), act: accessDenied }];
    const { code, row } = await prune(options, '--confirm');
    expect(code).toBe(3);
    expect(row['removal'].failed).toEqual([expect.objectContaining({ key: `${BASE}/backups/${old}/manifest.json` })]);
    expect((await runBkp(['verify'], options)).code).toBe(0);
    faulty.faults = [];
    expect((await prune(options, '--confirm')).row['removal'].gone).toEqual([old]);
  });

  it('CF12: ended by SIGTERM at a deletion: exit 143, the lease is gone, and the next run goes on', async () => {
    const old = await agedCopy(store, BASE, young, 40, sign);
    let begun = false;
    faulty.faults = [
      {
        when: ({ method, path }) => method === 'DELETE' && path.includes(old),
        act: exchange => {
          begun = true;
          return delay(1500)(exchange);
        },
      },
    ];
    const running = startBkp(['prune', '--confirm'], options);
    await waitFor(async () => begun, 'the first deletion');
    running.kill('SIGTERM');
    expect((await running.ended).code).toBe(143);
    faulty.faults = [];
    for await (const { key } of store.list('bkp/production/leases/')) throw new Error(`${key} is still there`);
    expect((await prune(options, '--confirm')).code).toBe(0);
  });

  it('CF12: Ctrl-C on a terminal midway: exit 130, its last words say what is gone already, and the next run goes on', async () => {
    const old = await agedCopy(store, BASE, young, 40, sign);
    let begun = false;
    faulty.faults = [
      {
        when: ({ method, path }) => method === 'DELETE' && path.includes(old) && !path.includes('manifest.json'),
        act: exchange => {
          begun = true;
          return delay(1500)(exchange);
        },
      },
    ];
    const typed = onTerminal(bkpCommand(['prune', '--confirm', '--config', options.config]), { ...options.env, HOME: tempDir() });
    await waitFor(async () => begun, 'a deletion');
    typed.process.stdin?.write('\x03');
    const end = await endOf(typed);
    expect(end.code).toBe(130);
    expect(end.stdout.replace(/\s+/g, ' ')).toMatch(
      /ended by SIGINT.*→ gone from postgres\/app in store far by then: 1 backup\(s\), [1-9]\d* object\(s\) → bkp prune shows what is left to do/,
    );
    expect(await store.stat(`${BASE}/backups/${old}/manifest.json`)).toBeUndefined();
    faulty.faults = [];
    for await (const { key } of store.list('bkp/production/leases/')) throw new Error(`${key} is still there`);
    expect((await prune(options, '--confirm')).code).toBe(0);
    for await (const { key } of store.list(`${BASE}/backups/`)) expect(key).not.toContain(old);
  });

  it('S12: a listing that breaks off blocks it with exit 8, and nothing goes', async () => {
    const old = await agedCopy(store, BASE, young, 40, sign);
    faulty.faults = [{ when: isListing, act: listing({ page: 2, tokenLost: true }) }];
    expect((await prune(options, '--confirm')).code).toBe(8);
    expect(await store.stat(`${BASE}/backups/${old}/manifest.json`)).toBeDefined();
  });
});

it('S17: object lock: the backup succeeds, prune tells what is locked until when, and ends with 0', async () => {
  const versity = await startVersity();
  const server = await startB2(versity);
  const db = await startPostgres({ version: '15' });
  const { endpoint, region, accessKey, secretKey } = server;
  const entry = { endpoint, region, accessKey, secretKey, bucket: await server.bucket({ lock: true }) };
  const config = await makeConfig({ stores: { far: { type: 'b2', ...entry } }, postgres: { app: db.entry(ONE_DAY) } });
  const options = { config: config.path, env: db.bkpEnv };
  const run = await runBkp(['backup', '--json'], options);
  expect(run.code).toBe(0);
  const store = open('b2', entry);
  const young = lastJson(run.stdout)['backups'][0].id as string;
  await agedCopy(store, BASE, young, 35, signerOf(config.keysDir));
  const old = await agedCopy(store, BASE, young, 40, signerOf(config.keysDir));
  const Key = `${BASE}/backups/${old}/manifest.json`;
  const client = s3Client(versity);
  await client.send(
    new PutObjectRetentionCommand({
      Bucket: entry.bucket,
      Key,
      Retention: { Mode: 'COMPLIANCE', RetainUntilDate: new Date(Date.now() + DAY) },
    }),
  );
  client.destroy();
  const { code, row } = await prune(options, '--confirm');
  expect(code).toBe(0);
  expect(row['removal']).toMatchObject({ gone: [], failed: [], locked: [] });
  const until = new RegExp(`^held by object lock until ${new Date(Date.now() + DAY).toISOString().slice(0, 10)}T`);
  expect(row['plan'].lines.find((line: any) => line.id === old)).toMatchObject({ keep: true, reasons: [expect.stringMatching(until)] });
  expect(await store.stat(Key)).toBeDefined();
});
