import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { entryOf } from '../../test/real/etcdSetup.ts';
import {
  type BkpOptions,
  type Etcd,
  type FaultyS3,
  makeConfig,
  type Postgres,
  type Redis,
  runBkp,
  startEtcd,
  startFaulty,
  startPostgres,
  startRedis,
  startToxics,
  startVersity,
  type Toxics,
  tempDir,
} from '../../test/real/rig/index.ts';

export const KINDS = ['postgres', 'redis', 'etcd', 'volumes'] as const;
export type Kind = (typeof KINDS)[number];

export const NAMES: Readonly<Record<Kind, string>> = { postgres: 'app', redis: 'cache', etcd: 'main', volumes: 'data' };

/** The near store is a disk of its own, so that it can be full: by a fault, and not by what a long run keeps. MiB, at the start and for each minute. */
const DISK_MB = 700;
const DISK_MB_A_MINUTE = 20;

/** A platform with its backups: `near` is a directory on a small disk, `far` an S3 behind a proxy that can misbehave. */
export interface World {
  db: Postgres;
  redis: Redis;
  etcd: Etcd;
  files: string;
  near: string;
  far: FaultyS3;
  /** The connection to `far` that bkp uses. */
  line: Toxics;
  bucket: string;
  /** Temporary files of bkp. */
  temp: string;
  keysDir: string;
  run: { config: string; env: Record<string, string> };
  /** What must stand in no output, argument or variable that others see. */
  secrets: string[];
  close(): void;
}

const mount = (dir: string, minutes: number): (() => void) => {
  const size = DISK_MB + Math.ceil(minutes * DISK_MB_A_MINUTE);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}m`, 'none', dir]);
  return () => void execFileSync('umount', ['-l', dir]);
};

/**
 * Starts the servers and writes the config.
 * @param minutes for how long it is to last
 * @throws where it is not root: the small disk needs a mount
 */
export async function makeWorld(minutes: number): Promise<World> {
  const settings = { archive_timeout: '15s', max_slot_wal_keep_size: '1GB', min_wal_size: '32MB', wal_keep_size: '0' };
  const [db, redis, etcd, behind] = await Promise.all([
    startPostgres({ version: '15', settings }),
    startRedis({ settings: { appendonly: 'yes', appendfsync: 'always' } }),
    startEtcd({ version: '3.6' }),
    startVersity(),
  ]);
  const far = await startFaulty(behind);
  const line = await startToxics(far.endpoint);
  const [files, near, temp] = [tempDir(), tempDir(), tempDir()];
  const unmount = mount(near, minutes);
  const { region, accessKey, secretKey } = far;
  const { endpoint } = line;
  const bucket = await far.bucket();
  const place = { endpoint, region, accessKey, bucket, secretKey: '${S3_SECRET}', idleTimeout: '3s', retries: 2 };
  const retention = { last: 2, daily: 0, weekly: 0, monthly: 0 };
  const config = await makeConfig({
    stores: { near, far: { type: 's3', pathStyle: true, ...place } },
    postgres: { app: db.entry({ spool: join(tempDir(), 'spool'), retention: { ...retention, wal: '1h' } }) },
    redis: { cache: redis.entry({ retention: { ...retention, within: '0d' } }) },
    etcd: { main: entryOf(etcd, { retention: { ...retention, within: '0d' } }) },
    volumes: { data: { engine: 'files', paths: [files], idleTimeout: '20s', retention: { ...retention, within: '0d' } } },
  });
  const env = { ...db.bkpEnv, S3_SECRET: secretKey, TMPDIR: temp, HOME: join(temp, '..') };
  mkdirSync(files, { recursive: true });
  const key = (name: string): string => readFileSync(join(config.keysDir, name), 'utf8').trim().split('\n').at(-1)!;
  const run = { config: config.path, env };
  const derived = await runBkp(['keygen', '--derive', 'volumes/data'], run);
  const secrets = [secretKey, db.bkpEnv['APP_PGPASSWORD']!, key('identity.txt'), key('signing.key'), derived.stdout.trim()];
  await db.sql('create table chaos (n bigint primary key, at timestamptz not null default clock_timestamp())');
  return { db, redis, etcd, files, near, far, line, bucket, temp, keysDir: config.keysDir, run, secrets, close: unmount };
}

/** Runs bkp to its end, with JSON. */
export const bkp = (world: World, args: readonly string[], options: BkpOptions = {}) =>
  runBkp([...args, '--json'], { ...world.run, ...options, env: { ...world.run.env, ...options.env } });
