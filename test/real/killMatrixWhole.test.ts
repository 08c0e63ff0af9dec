import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { App, registry } from '../../src/app.ts';
import { parseConfig } from '../../src/core/config/index.ts';
import type { Finding } from '../../src/core/contracts.ts';
import { catalog } from '../../src/ops/catalog.ts';
import { verifyTarget } from '../../src/ops/verify.ts';
import { storeAt } from '../providers/stores/s3rig.ts';
import { agedCopy, signerOf } from './aged.ts';
import { killedAt, killedWhen } from './killed.ts';
import {
  answer,
  cleanUp,
  type Ended,
  errorXml,
  type FaultyS3,
  makeConfig,
  type Postgres,
  runBkp,
  startBkp,
  startFaulty,
  startPostgres,
  startRedis,
  startVersity,
  stopBkp,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { streamTo } from './setup.ts';

afterAll(cleanUp);

let s3: FaultyS3;
let bucket: string;
let keysDir: string;
let env: Record<string, string>;
let config: string;
let app: App;

const REDIS = ['cache', 'sessions'];

beforeAll(async () => {
  const [behind, cache, sessions] = await Promise.all([startVersity(), startRedis(), startRedis()]);
  s3 = await startFaulty(behind);
  bucket = await s3.bucket();
  for (const server of [cache, sessions]) await server.cli('DEBUG', 'POPULATE', '100', 'key', '50');
  const retention = { last: 1, daily: 1, weekly: 0, monthly: 0, within: '0d' };
  const written = await makeConfig({
    stores: { far: far() },
    redis: { cache: cache.entry({ retention, pruneShare: 100 }), sessions: sessions.entry({}) },
  });
  ({ keysDir, path: config } = written);
  env = { S3_SECRET: s3.secretKey, XDG_STATE_HOME: tempDir(), TMPDIR: tempDir() };
  Object.assign(process.env, { S3_SECRET: s3.secretKey });
  const text = readFileSync(config, 'utf8');
  app = new App(parseConfig(text, config, registry), text, { emit: () => {} }, new AbortController().signal);
});
afterAll(() => app?.close());

const far = () => {
  const { endpoint, region, accessKey } = s3;
  return { type: 's3', pathStyle: true, endpoint, region, accessKey, bucket, secretKey: '${S3_SECRET}' };
};

const bkp = (...args: string[]) => runBkp([...args, '--json'], { config, env });
const begin = (...args: string[]) => startBkp([...args, '--json'], { config, env });
const ok = ({ code, stderr, stdout }: Ended) => ({ code, said: code === 0 ? '' : stderr + stdout });
const OK = { code: 0, said: '' };

async function findings(name: string): Promise<Finding[]> {
  const { target, ctx } = app.target(undefined, 'redis', name);
  const [seen] = await verifyTarget(target, ctx, { deep: true, prove: false, random: () => Buffer.alloc(16, 5) });
  return seen!.findings;
}

/** Keys that verify tells to be of no backup. */
const strays = async (name: string): Promise<string[]> =>
  (await findings(name)).flatMap(({ state, key }) => (state === 'stray' && key !== undefined ? [key] : []));

/** Ids of the backups that count, each whole to its last byte, or this throws. */
async function good(name: string): Promise<string[]> {
  const { ctx } = app.target(undefined, 'redis', name);
  const harm = (await findings(name)).filter(({ state, text }) => !['stray', 'note'].includes(state) && !/no backup of/.test(text));
  if (harm.length > 0) throw new Error(`redis/${name} is damaged: ${JSON.stringify(harm)}`);
  const { known } = await catalog(ctx.stores, ctx.base, ctx.keys);
  return known.map(({ manifest }) => manifest.id).sort();
}

async function objects(prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of storeAt(s3, bucket).list(prefix)) keys.push(key);
  return keys;
}

/** Does something with each write of a run, until one of them ends before it is killed. @returns the writes */
async function atEach(run: (n: number) => Promise<string | undefined>): Promise<string[]> {
  const steps: string[] = [];
  for (;;) {
    const step = await run(steps.length);
    if (step === undefined) return steps;
    steps.push(step);
  }
}

describe('killed as soon as the store has done a write', () => {
  it('prune: what is kept stays whole, what had begun to go is no backup any more, and the next one ends it', async () => {
    expect(ok(await bkp('backup', 'redis', 'cache'))).toEqual(OK);
    const store = storeAt(s3, bucket);
    const kept = await good('cache');
    const words = ['prune', 'redis', 'cache', '--confirm', '--force'];
    const steps = await atEach(async n => {
      for (const days of [20, 21]) await agedCopy(store, 'bkp/production/redis/cache', kept[0]!, days, signerOf(keysDir));
      const { step, ended } = await killedAt(s3, n, () => begin(...words));
      expect(ended.signal).toBe(step === undefined ? null : 'SIGKILL');
      expect(await good('cache')).toEqual(expect.arrayContaining(kept));
      // The lock of the dead one is in the way for three minutes, and the message says so.
      const leases = await objects('bkp/production/leases/');
      if (leases.length > 0) expect((await bkp(...words)).code).toBe(7);
      await store.remove(leases);
      expect({ step, ...ok(await bkp(...words)) }).toEqual({ step, ...OK });
      expect(await good('cache')).toEqual(kept);
      // What has no manifest any more may be of a backup that is being made: verify tells it, and prune takes it when it is a week old.
      const left = (await objects('bkp/production/redis/cache/backups/')).filter(key => !key.includes(kept[0]!));
      expect(await strays('cache')).toEqual(expect.arrayContaining(left));
      await store.remove(left);
      return step;
    });
    expect(steps.filter(step => /^DELETE .*manifest\.json$/.test(step)).length).toBeGreaterThan(0);
    expect(steps.filter(step => /^DELETE .*\.000/.test(step)).length).toBeGreaterThan(0);
  });

  it('backup full-dr: a set is there with its last write alone, and each member counts by itself', async () => {
    const sets = async () => (await objects('bkp/production/sets/')).length;
    const steps = await atEach(async n => {
      const before = [await sets(), ...(await Promise.all(REDIS.map(async name => (await good(name)).length)))];
      const written: string[] = [];
      const { step } = await killedWhen(
        s3,
        (each, at) => written.push(each) > 0 && at === n,
        () => begin('backup', 'full-dr'),
      );
      const manifests = REDIS.map(name => written.filter(each => new RegExp(`redis/${name}/.*/manifest\\.json$`).test(each)).length);
      const after = [await sets(), ...(await Promise.all(REDIS.map(async name => (await good(name)).length)))];
      const set = written.some(each => /\/sets\//.test(each)) ? 1 : 0;
      expect({ step, more: after.map((count, at) => count - before[at]!) }).toEqual({ step, more: [set, ...manifests] });
      return step;
    });
    expect(steps.some(step => /\/sets\//.test(step))).toBe(true);
    expect(ok(await bkp('backup', 'full-dr'))).toEqual(OK);
  });

  it('restore full-dr: the same command goes on, brings all back and lifts the mark', async () => {
    let to = '';
    const words = () => ['restore', 'full-dr', '--latest', '--to', to, '--yes'];
    const steps = await atEach(async n => {
      to = join(tempDir({ forServer: true }), 'dr');
      const { step } = await killedAt(s3, n, () => begin(...words()));
      if (step !== undefined) expect({ step, ...ok(await bkp(...words())) }).toEqual({ step, ...OK });
      expect(await objects('bkp/production/restoring')).toEqual([]);
      const files = readdirSync(to, { recursive: true, encoding: 'utf8' });
      // A part that was back already, and not yet written down, is moved aside.
      expect(files).toEqual(expect.arrayContaining(REDIS.map(name => `redis/${name}/dump.rdb`)));
      expect(files.filter(file => file.includes('INCOMPLETE'))).toEqual([]);
      return step;
    });
    expect(steps.some(step => /restoring/.test(step))).toBe(true);
  });
});

describe('with PostgreSQL', () => {
  let db: Postgres;
  let run: { config: string; env: Record<string, string> };

  beforeAll(async () => {
    db = await startPostgres({ version: '15' });
    await db.sql('create table orders (n int)');
    const entry = db.entry({ spool: join(tempDir(), 'spool') });
    const written = await makeConfig({ stores: { far: far(), near: tempDir() }, env: 'staging', postgres: { app: entry } });
    run = { config: written.path, env: { ...env, ...db.bkpEnv } };
    // The slot holds what is written from now on: before it, nothing is promised.
    await stopBkp(await streamTo({ run }, db), 'SIGTERM');
    expect(ok(await runBkp(['backup', 'postgres', '--json'], run))).toEqual(OK);
  });

  it('a store that lists a lineage and then has none is one store that is told, and the other takes the backup', async () => {
    const act = answer(404, errorXml('NoSuchKey', 'The specified key does not exist.'));
    s3.faults = [{ when: ({ method, path }) => method === 'GET' && path.includes('/lineages/'), act }];
    const { code, stdout, stderr } = await runBkp(['backup', 'postgres', '--json'], run);
    s3.faults = [];
    expect({ code, said: [0, 3].includes(code!) ? '' : stderr }).toEqual({ code: expect.any(Number), said: '' });
    expect(stdout).toMatch(/store far lists \S+lineages\S+, and says that it is not there/);
  });

  it('stream: killed at any write, what it said to the server is in the stores, and the next one ships the rest', async () => {
    let written = 0;
    const write = async (): Promise<void> => {
      written += 1;
      await db.sql(`insert into orders values (${written})`);
      await db.sql('select pg_switch_wal()');
    };
    for (let n = 0; n < 5; n += 1) {
      await write();
      const { ended } = await killedAt(s3, n, () => startBkp(['stream', 'postgres', '--json'], run));
      expect(ended.signal).toBe('SIGKILL');
    }
    const stream = startBkp(['stream', 'postgres', '--json'], run);
    await write();
    const last = await db.sql('select pg_walfile_name(pg_current_wal_lsn() - 1)');
    await waitFor(async () => (await objects('bkp/staging/postgres/app/wal/')).some(key => key.includes(`/${last}-`)), `WAL ${last}`);
    expect((await stopBkp(stream, 'SIGTERM')).code).toBe(143);
    const verified = await runBkp(['verify', 'postgres', '--deep', '--no-proof', '--from', 'far', '--json'], run);
    expect(ok(verified)).toEqual(OK);
    const to = join(tempDir({ forServer: true }), 'back');
    expect(ok(await runBkp(['restore', 'postgres', 'app', '--latest', '--from', 'far', '--to', to, '--yes', '--json'], run))).toEqual(OK);
    const copy = await startPostgres({ version: '15', dir: to });
    expect(await copy.sql('select count(*) from orders')).toBe(String(written));
    await copy.destroy();
  });
});
