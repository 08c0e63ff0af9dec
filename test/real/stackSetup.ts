import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { entryOf } from './etcdSetup.ts';
import {
  type BkpOptions,
  type Ended,
  type Etcd,
  makeConfig,
  type Postgres,
  type Redis,
  runBkp,
  startEtcd,
  startPostgres,
  startRedis,
  tempDir,
} from './rig/index.ts';

/** A stack of three servers with data in them: etcd first, then PostgreSQL, then Redis. */
export interface Stack {
  db: Postgres;
  redis: Redis;
  etcd: Etcd;
  stores: Record<string, string>;
  run: { config: string; env: Record<string, string> };
  /** What the config says, to write it anew with other words. */
  parts: Parameters<typeof makeConfig>[0];
  keys: Record<string, unknown>;
  /** Where the journal of production stands. */
  journal: string;
  bkp(args: readonly string[], options?: BkpOptions): Promise<Ended>;
}

export async function startStack(change: { environment?: Record<string, unknown> } = {}): Promise<Stack> {
  const [db, redis, etcd] = await Promise.all([startPostgres({ version: '15' }), startRedis(), startEtcd({ version: '3.6' })]);
  await db.sql('create table orders (id bigserial primary key, note text)');
  await db.sql("insert into orders (note) select 'n' || n from generate_series(1, 1000) n");
  await redis.cli('DEBUG', 'POPULATE', '700', 'key', '50');
  for (let n = 0; n < 5; n += 1) await etcd.ask('put', `/registry/thing/${n}`, `value ${n}`);
  const stores = { local: tempDir(), offsite: tempDir() };
  const state = tempDir();
  const parts = {
    stores,
    ...(change.environment ? { environment: change.environment } : {}),
    postgres: { app: db.entry({ spool: join(tempDir(), 'spool') }) },
    redis: { cache: redis.entry({}) },
    etcd: { main: entryOf(etcd) },
  };
  const config = await makeConfig(parts);
  const run = { config: config.path, env: { ...db.bkpEnv, XDG_STATE_HOME: state } };
  return {
    db,
    redis,
    etcd,
    stores,
    run,
    parts,
    keys: config.keys,
    journal: join(state, 'bkp/restore-production.json'),
    bkp: (args, options = {}) => runBkp(args, { ...run, ...options, env: { ...run.env, ...options.env } }),
  };
}

/** The last JSON line of a run. */
export const resultOf = ({ stdout }: { stdout: string }): Record<string, any> => JSON.parse(stdout.trim().split('\n').at(-1)!);

/** The journal as it stands; undefined when there is none. */
export const journalOf = (at: Stack): Record<string, any> | undefined =>
  existsSync(at.journal) ? JSON.parse(readFileSync(at.journal, 'utf8')) : undefined;

/** Objects of a store below the environment, by path. */
export const objectsIn = (store: string): string[] =>
  readdirSync(store, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(store.length + 1))
    .sort();
