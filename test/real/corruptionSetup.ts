import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, registry } from '../../src/app.ts';
import { parseConfig } from '../../src/core/config/index.ts';
import type { Event } from '../../src/core/contracts.ts';
import { entryOf } from './etcdSetup.ts';
import {
  type Etcd,
  makeConfig,
  type Postgres,
  type Redis,
  runBkp,
  startBkp,
  startEtcd,
  startPostgres,
  startRedis,
  stopBkp,
  tempDir,
  waitFor,
} from './rig/index.ts';
import { objectsIn } from './stackSetup.ts';

export const NAMES = { postgres: 'app', redis: 'cache', etcd: 'main', volumes: 'data' } as const;
export type Kind = keyof typeof NAMES;

/** Two stores with two backups of each kind, and a log of two timelines with an open segment; the program in this process. */
export interface Filled {
  app: App;
  /** What the program told; a test empties it. */
  events: Event[];
  stores: { local: string; offsite: string };
  /** Ids by kind, oldest first. */
  ids: Record<Kind, string[]>;
  /** Keys of restic's snapshots, newest first. */
  snapshots: string[];
  /** Keys of restic's packs with file contents: that of the newest backup, and one as large of the older. */
  packs: string[];
  /** Keys of objects in the store `local`, in order. */
  keysLike(pattern: RegExp): string[];
}

const SNAPSHOT = /restic\/snapshots\//;
const PACK = /restic\/data\//;
const CHUNK = /\/wal\/.*\/[0-9A-F]{24}\/[0-9A-F]{8}-[0-9A-F]{8}-/;

/** WAL that the stream shipped: whole segments, and at last two parts of one that is still open. */
class Log {
  readonly #db: Postgres;
  readonly #keysLike: Filled['keysLike'];
  constructor(db: Postgres, keysLike: Filled['keysLike']) {
    [this.#db, this.#keysLike] = [db, keysLike];
  }

  async segment(): Promise<void> {
    await this.#db.sql("insert into orders (note) values ('more')");
    const name = await this.#db.sql('select pg_walfile_name(pg_current_wal_lsn())');
    await this.#db.sql('select pg_switch_wal()');
    await waitFor(() => this.#keysLike(new RegExp(`wal/.*/${name}-`)).length > 0, `WAL ${name}`);
  }

  async part(): Promise<void> {
    const before = this.#keysLike(CHUNK).length;
    await this.#db.sql("insert into orders (note) values ('a part')");
    await waitFor(() => this.#keysLike(CHUNK).length > before, 'a part of the open segment');
  }

  async promote(): Promise<void> {
    await this.#db.stop();
    writeFileSync(join(this.#db.dataDir, 'standby.signal'), '');
    await this.#db.start();
    await this.#db.sql('select pg_promote()');
  }
}

/** Fills the stores, once for all cases. */
export async function fill(): Promise<Filled> {
  const stores = { local: tempDir(), offsite: tempDir() };
  const keysLike = (pattern: RegExp): string[] => objectsIn(stores.local).filter(key => pattern.test(key));
  const [db, redis, etcd] = await Promise.all([
    startPostgres({ version: '15', initdb: ['--wal-segsize=1'] }),
    startRedis(),
    startEtcd({ version: '3.6' }),
  ]);
  const source = tempDir();
  const config = await makeConfig({
    stores,
    postgres: { app: db.entry({ spool: join(tempDir(), 'spool') }) },
    redis: { cache: redis.entry({}) },
    etcd: { main: entryOf(etcd) },
    volumes: { data: { engine: 'files', paths: [source] } },
  });
  const run = { config: config.path, env: db.bkpEnv };
  await db.sql('create table orders (id bigserial primary key, note text)');
  const stream = startBkp(['stream', 'postgres'], run);
  const log = new Log(db, keysLike);
  const backup = async (round: number): Promise<void> => {
    await change({ redis, etcd, source }, round);
    const { code, stdout, stderr } = await runBkp(['backup', 'full-dr', '--json'], run);
    if (code !== 0) throw new Error(`backup full-dr ended with ${code}: ${stderr}${stdout}`);
  };
  await log.segment();
  await backup(1);
  const [older] = keysLike(SNAPSHOT);
  const before = keysLike(PACK);
  await log.segment();
  await log.promote();
  for (let n = 0; n < 3; n += 1) await log.segment();
  await waitFor(() => keysLike(/00000002\.history/).length > 0, 'the history');
  await backup(2);
  const snapshots = [...keysLike(SNAPSHOT).filter(key => key !== older), older!];
  const bytes = (key: string): number => statSync(join(stores.local, key)).size;
  const largest = (keys: string[]): string => keys.sort((a, b) => bytes(b) - bytes(a))[0]!;
  const packs = [largest(keysLike(PACK).filter(key => !before.includes(key))), largest(before)];
  await log.segment();
  for (let n = 0; n < 2; n += 1) await log.part();
  await stopBkp(stream, 'SIGKILL');
  const text = readFileSync(config.path, 'utf8');
  Object.assign(process.env, db.bkpEnv);
  const events: Event[] = [];
  const report = { emit: (event: Event) => void events.push(event) };
  const app = new App(parseConfig(text, config.path, registry), text, report, new AbortController().signal);
  const idsOf = ([kind, name]: [string, string]) => [
    kind,
    readdirSync(join(stores.local, `bkp/production/${kind}/${name}/backups`)).sort(),
  ];
  return { app, events, stores, snapshots, packs, keysLike, ids: Object.fromEntries(Object.entries(NAMES).map(idsOf)) };
}

/** Other contents for each kind that has no log. */
async function change({ redis, etcd, source }: { redis: Redis; etcd: Etcd; source: string }, round: number): Promise<void> {
  await redis.cli('DEBUG', 'POPULATE', '300', `round${round}`, '50');
  await etcd.ask('put', '/registry/round', String(round));
  // Of one size at each round: restic 0.14 asks ten times for what lies beyond the end of a pack, which is shown by one that was cut.
  writeFileSync(join(source, 'contents'), randomBytes(300_000));
}
