import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { Manifest } from '../../src/core/contracts.ts';
import { TEST_KEYS } from '../walg/testKeys.ts';
import { lastJson, type Yaml } from './change.ts';
import { type Archiver, startArchiver } from './rig/archiver.ts';
import {
  type BkpOptions,
  type Ended,
  makeConfig,
  type Postgres,
  type PostgresVersion,
  runBkp,
  type S3Server,
  startPostgres,
  tempDir,
} from './rig/index.ts';
import { type WalgFaults, walgPath } from './rig/walg.ts';
import { aPlace } from './setup.ts';
import { pathWith } from './stub.ts';

/** A cluster that archives by WAL-G into a bucket and a directory. */
export interface World {
  db: Postgres;
  /** How bkp is run, with faults of WAL-G where asked for. */
  run(faults?: WalgFaults): BkpOptions;
  directory: string;
  bucket: string;
  archiver: Archiver;
  keysDir: string;
  stop(): Promise<void>;
}

export const GRANTS = `grant pg_read_all_settings, pg_read_all_stats to bkp;
grant execute on function pg_backup_start(text, boolean), pg_backup_stop(boolean) to bkp`;

export interface WorldOptions {
  /** The directory is the only store. */
  alone?: boolean;
  entry?: Yaml;
  archiving?: boolean;
  settings?: Record<string, string>;
  /** Never the real WAL-G. */
  standIn?: boolean;
}

/** @param rgw gives the bucket; undefined for a world that is `alone` */
export async function makeWorld(
  rgw: S3Server | undefined,
  version: PostgresVersion,
  walgSettings: Yaml = {},
  options: WorldOptions = {},
): Promise<World> {
  const db = await startPostgres({ version, settings: { wal_keep_size: '256MB', ...options.settings } });
  await db.sql(GRANTS);
  const bucket = (await rgw?.bucket()) ?? '';
  const directory = tempDir();
  const objects = rgw && {
    type: 's3',
    endpoint: rgw.endpoint,
    region: rgw.region,
    bucket,
    accessKey: rgw.accessKey,
    secretKey: '${S3_SECRET}',
  };
  const config = await makeConfig({
    stores: { ...(options.alone || !objects ? {} : { objects }), local: directory },
    postgres: {
      app: {
        ...db.entry(),
        engine: 'wal-g',
        walg: { pgpKey: '${PGP_KEY}', idleTimeout: '2m', ...walgSettings },
        ...options.entry,
      },
    },
  });
  const path = walgPath(options.standIn ? {} : undefined);
  const run = (faults?: WalgFaults): BkpOptions => ({
    config: config.path,
    env: {
      ...db.bkpEnv,
      PATH: pathWith(faults ? walgPath(faults) : path),
      S3_SECRET: rgw?.secretKey ?? '',
      PGP_KEY: TEST_KEYS.secretOne,
    },
  });
  const archiver = options.archiving === false ? { pushed: [], stop: async () => {} } : await startArchiver(db, run);
  const stop = async (): Promise<void> => {
    await archiver.stop();
    await db.destroy();
  };
  return { db, run, directory, bucket, archiver, keysDir: config.keysDir, stop };
}

export async function good(args: readonly string[], options: BkpOptions): Promise<Ended> {
  const ended = await runBkp([...args, '--json'], options);
  expect({ args, code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr, stdout: ended.code === 0 ? '' : ended.stdout }).toEqual({
    args,
    code: 0,
    stderr: '',
    stdout: '',
  });
  return ended;
}

export const backup = async (at: World, args: readonly string[] = []): Promise<string> =>
  lastJson((await good(['backup', 'postgres', 'app', ...args], at.run())).stdout)['backups'][0].id;

export const base = 'bkp/production/postgres/app';

export const manifest = ({ directory }: World, id: string): Manifest =>
  JSON.parse(readFileSync(join(directory, base, 'backups', id, 'manifest.json'), 'utf8').split('\n')[0]!);

export const heldId = (of: Manifest): string => of.pieces.flatMap(piece => ('held' in piece ? [piece.held.id] : []))[0]!;

/** Restores and reads a table of the copy. */
export async function restored(at: World, args: readonly string[], table = 't'): Promise<string> {
  const to = aPlace();
  await good(['restore', 'postgres', 'app', ...args, '--to', to, '--yes'], at.run());
  const copy = await startPostgres({ version: at.db.version, dir: to, settings: { archive_mode: 'off' } });
  const rows = await copy.sql(`select string_agg(n::text, ',' order by n) from ${table}`);
  await copy.destroy();
  return rows;
}
