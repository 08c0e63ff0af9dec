import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { decodeEvidence } from '../../src/core/evidence.ts';
import { makeKeys } from '../../src/flow/keys.ts';
import { lastJson, type Yaml } from './change.ts';
import { processesIn, recordsIn, resigned, runDrill } from './drillRig.ts';
import { entryOf, wrapped } from './etcdSetup.ts';
import {
  type BkpOptions,
  cleanUp,
  type Etcd,
  makeConfig,
  type Postgres,
  type Redis,
  runBkp,
  startBkp,
  startEtcd,
  startPostgres,
  startRedis,
  tempDir,
  type WrittenConfig,
  waitFor,
} from './rig/index.ts';
import { filesIn } from './stub.ts';

afterAll(cleanUp);

describe('bkp drill full-dr of a stack of etcd, PostgreSQL and Redis', () => {
  let etcd: Etcd;
  let db: Postgres;
  let redis: Redis;
  let written: WrittenConfig;
  const stores = { local: tempDir(), offsite: tempDir() };
  const ids: Record<string, string> = {};
  let run: BkpOptions;

  /** The config, changed. */
  const changed = (edit: (production: Yaml, whole: Yaml) => void): BkpOptions => {
    const config = parse(readFileSync(written.path, 'utf8')) as Yaml;
    edit(config['environments'].production, config);
    const path = join(tempDir(), 'bkp.yaml');
    writeFileSync(path, stringify(config, { lineWidth: 0 }));
    return { ...run, config: path };
  };
  const forget = () => {
    for (const root of Object.values(stores))
      for (const section of ['drills', 'proofs', 'runs']) rmSync(join(root, 'bkp/production', section), { recursive: true, force: true });
  };
  const table = (targets: readonly Yaml[]) => targets.map(({ wave, kind, name, result }) => `${wave} ${kind}/${name} ${result}`);

  beforeAll(async () => {
    [etcd, db, redis] = await Promise.all([startEtcd(), startPostgres({ version: '18' }), startRedis()]);
    await etcd.ask('put', '/registry/secrets/a', '1');
    await db.sql('create table t as select generate_series(1, 500) as n');
    await redis.cli('SET', 'session:1', 'x');
    written = await makeConfig({
      stores,
      etcd: { main: entryOf(etcd) },
      postgres: { app: db.entry() },
      redis: { cache: redis.entry(), queue: redis.entry({ fullDr: { after: [] } }) },
    });
    run = { config: written.path, env: db.bkpEnv };
    const { code, stdout, stderr } = await runBkp(['backup', '--json'], run);
    if (code !== 0) throw new Error(stderr);
    for (const { kind, name, id } of lastJson(stdout)['backups']) ids[`${kind}/${name}`] = id;
  });

  it('brings all of it back in its order, and every store has the signed record', async () => {
    const { code, drill, result } = await runDrill(['full-dr'], run);
    expect({ code, table: table(drill.targets), result: drill.result, scope: drill.scope }).toEqual({
      code: 0,
      table: ['0 etcd/main passed', '0 redis/queue passed', '1 postgres/app passed', '2 redis/cache passed'],
      result: 'passed',
      scope: 'full-dr',
    });
    expect(result['recordedIn']).toEqual(['local', 'offsite']);
    const trusted = (written.keys as { trusted: string[] }).trusted;
    for (const root of Object.values(stores)) {
      const raw = readFileSync(join(root, 'bkp/production/drills', `${drill.id}.json`));
      expect(decodeEvidence(raw, makeKeys({ recipients: [], trusted }).verify, 'the record')).toEqual(drill);
    }
    expect(recordsIn(stores.local, 'proofs')).toHaveLength(4);
    const root = join(tempDir({ forServer: true }), 'dr');
    const plan = await runBkp(['restore', 'full-dr', '--latest', '--to', root, '--dry-run', '--json'], run);
    expect(lastJson(plan.stdout)['runbook']).toContainEqual(expect.stringMatching(/^by the drills on record it takes about \d+ \w+$/));
  });

  it("DR10: staging tries all of production's backups out of each store, asks no server of production, and writes it up", async () => {
    const own = tempDir();
    const more = changed(({ stores: _, ...entries }, { environments }) => {
      environments.staging = { restoresFrom: 'production', stores: { own: { type: 'directory', path: own } }, ...entries };
    });
    const report = join(tempDir(), 'report');
    const heard = async () => [
      await etcd.ask('get', '', '--prefix', '--write-out', 'fields'),
      await redis.info('total_connections_received'),
    ];
    const [keys, connections] = await heard();
    const env = { ...more.env, PGHOST: db.socketDir, PGPORT: String(db.port), PGUSER: 'postgres', ETCDCTL_ENDPOINTS: etcd.endpoint };
    const { code, drill } = await runDrill(['full-dr', '--env', 'staging', '--store', 'each', '--report', report], { ...more, env });
    const rows = drill.targets.map(({ kind, name, store, result }: Yaml) => `${kind}/${name} ${store} ${result}`);
    const parts = ['etcd/main', 'postgres/app', 'redis/cache', 'redis/queue'];
    expect({ code, rows: rows.sort(), env: drill.env, drilledIn: drill.drilledIn }).toEqual({
      code: 0,
      rows: parts.flatMap(part => [`${part} local passed`, `${part} offsite passed`]),
      env: 'production',
      drilledIn: 'staging',
    });
    expect(filesIn(own)).toEqual([]);
    for (const root of Object.values(stores)) expect(recordsIn(root, 'drills')).toContain(`bkp/production/drills/${drill.id}.json`);
    expect(readdirSync(report)).toEqual(expect.arrayContaining(['index.html', 'junit.xml', 'latest.json', 'latest.md']));
    expect(readFileSync(join(report, 'latest.md'), 'utf8')).toMatch(/full-dr of production, tried in staging/);
    const [keysAfter, connectionsAfter] = await heard();
    expect(keysAfter).toBe(keys);
    // One is that of the question itself, each time.
    expect(Number(connectionsAfter)).toBe(Number(connections) + 1);
    forget();
  });

  it('MO05 SA13: a part that fails makes all of it fail, by its name; only what waits for it is left out', async () => {
    const undo = resigned(stores.local, written.keysDir, ids['postgres/app']!, () => ({
      baseline: { databases: { lost: {} }, roles: [] },
    }));
    const { code, drill } = await runDrill(['full-dr'], run);
    undo();
    expect({ code, table: table(drill.targets), result: drill.result }).toEqual({
      code: 9,
      table: ['0 etcd/main passed', '0 redis/queue passed', '1 postgres/app failed', '2 redis/cache failed'],
      result: 'failed',
    });
    expect(drill.targets.map(({ skipped }) => skipped).filter(Boolean)).toEqual(['it waits for postgres/app, which did not come back']);
    const said = drill.targets[2]!.checks.filter(({ state }) => state === 'fail').map(({ text }) => text);
    expect(said).toEqual(['database "lost" is missing']);

    const liar = changed(({ etcd: { main } }) => {
      main.bin = [wrapped('etcdutl', 'case "$*" in *"snapshot restore /"*) exit 7;; esac\nexec "$REAL" "$@"')];
    });
    const first = await runDrill(['full-dr'], liar);
    expect({ code: first.code, table: table(first.drill.targets) }).toEqual({
      code: 9,
      table: ['0 etcd/main failed', '0 redis/queue passed', '1 postgres/app failed', '2 redis/cache failed'],
    });
    expect(first.drill.targets[3]!.skipped).toContain('etcd/main');
    const text = await runBkp(['drill', 'full-dr'], liar);
    expect(text.stdout).toMatch(/^FAILED +etcd\/main: backup .* out of local\n/m);
    expect(text.stdout).toMatch(/^ +FAIL restore: .*7/m);
    expect(text.stdout.trim().split('\n').at(-1)).toMatch(/^drill \S+ \(full-dr of production\) failed: 3 failed, 1 passed$/);
  });

  it('an entry without a backup, and one that cannot even be opened, fail it; one with fullDr.skip is no part of it', async () => {
    const more = changed(({ redis: entries, stores: all }) => {
      entries.fresh = redis.entry({ fullDr: { after: [] } });
      entries.shut = redis.entry({ fullDr: { after: [] }, stores: ['closed'] });
      all.closed = { type: 'directory', path: '/nowhere/at/all' };
      for (const name of ['local', 'offsite']) all[name] = { ...all[name] };
      entries.cache.fullDr = { skip: true };
      entries.cache.stores = ['local'];
    });
    const { code, drill } = await runDrill(['full-dr', '--random'], more);
    const by = Object.fromEntries(drill.targets.map(each => [`${each.kind}/${each.name}`, each]));
    expect({ code, names: Object.keys(by).sort(), queue: by['redis/queue']!.result }).toEqual({
      code: 9,
      names: ['etcd/main', 'postgres/app', 'redis/fresh', 'redis/queue', 'redis/shut'],
      queue: 'passed',
    });
    expect(by['redis/fresh']!.skipped).toMatch(/^redis\/fresh has no good backup in /);
    expect(by['redis/shut']!.skipped).toContain('/nowhere/at/all');

    const none = changed(({ etcd: { main }, postgres: { app }, redis: { cache, queue } }) => {
      for (const entry of [main, app, cache, queue]) entry.fullDr = { skip: true };
    });
    const nothing = await runBkp(['drill', 'full-dr'], none);
    expect({ code: nothing.code, stderr: nothing.stderr }).toEqual({ code: 9, stderr: expect.stringContaining('so nothing was tried') });
  });

  it('EK15: a blank node says for each part what it lacks, and that is exit 3', async () => {
    const bare = changed(({ etcd: { main }, postgres: { app }, redis: { cache, queue } }) => {
      for (const entry of [main, app, cache, queue]) entry.bin = [];
    });
    const { code, drill } = await runDrill(['full-dr'], { ...bare, env: { ...run.env, PATH: tempDir() } });
    expect({ code, result: drill.result }).toEqual({ code: 3, result: 'unproven' });
    const lacks = drill.targets.map(({ kind, checks }) => ({ kind, ...checks.at(-1) }));
    const needs = (kind: string, text: RegExp) => ({
      kind,
      state: 'unproven',
      text: expect.stringMatching(text),
      mend: expect.stringMatching(/install/),
    });
    expect(lacks).toMatchObject([
      needs('etcd', /etcdutl 3\.6 or newer is needed/),
      needs('redis', /redis-server/),
      needs('postgres', /server programs of PostgreSQL 18 are needed/),
      needs('redis', /redis-server/),
    ]);
  });

  it('what is typed wrong is exit 2, before anything is read', async () => {
    for (const [args, said] of [
      [['drill'], "missing required argument 'target'"],
      [['drill', 'full-dr', 'app'], 'every entry of the environment'],
      [['drill', 'redis', '--from-backup', ids['redis/cache']!], 'bkp drill redis queue --from-backup'],
      [['drill', 'redis', 'cache', '--from-backup', 'x'], 'is no id'],
      [['drill', 'redis', 'cache', '--from-backup', ids['redis/cache']!, '--random'], 'both say which'],
      [['drill', 'full-dr', '--store', 'moon'], 'has no store "moon"'],
      [['drill', 'nosuch'], 'there is no target'],
    ] as const) {
      const { code, stderr } = await runBkp(args, run);
      expect({ args, code, stderr }).toEqual({ args, code: 2, stderr: expect.stringContaining(said) });
    }
  });

  it('SIGTERM in the middle: what was tried is on record, what was not is nowhere, and no record of the whole is made', async () => {
    forget();
    const temp = tempDir();
    const child = startBkp(['drill', 'full-dr'], { ...run, env: { ...run.env, TMPDIR: temp } });
    await waitFor(() => filesIn(temp).some(path => path.endsWith('postmaster.pid')), 'the copy of PostgreSQL');
    child.kill('SIGTERM');
    expect((await child.ended).code).toBe(143);
    expect({ left: readdirSync(temp), running: processesIn(temp) }).toEqual({ left: [], running: [] });
    expect(recordsIn(stores.local, 'drills')).toEqual([]);
    expect(
      recordsIn(stores.local, 'proofs')
        .map(path => path.split('/').slice(3, 5).join('/'))
        .sort(),
    ).toEqual(['etcd/main', 'redis/queue']);
    expect(recordsIn(stores.local, 'pins')).toEqual([]);
  });

  it('status wants every entry of full-dr to be drilled in time', async () => {
    forget();
    await runDrill(['etcd'], run);
    await runDrill(['redis', 'queue'], run);
    const asked = changed(production => {
      production.drills = { every: '35d' };
    });
    const before = lastJson((await runBkp(['status', '--json'], asked)).stdout)['drills'];
    expect(before.why.map(({ text }: Yaml) => text).sort()).toEqual([
      'postgres/app is to be drilled every 35 d: no drill ever came out right',
      'redis/cache is to be drilled every 35 d: no drill ever came out right',
    ]);
    await runDrill(['full-dr'], run);
    expect(lastJson((await runBkp(['status', '--json'], asked)).stdout)['drills']).toMatchObject({
      state: 'ok',
      why: [],
      last: { scope: 'full-dr' },
    });
  });
});
