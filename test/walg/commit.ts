import { hostname } from 'node:os';
import { type Metadata, type Sentinel, type Spec, writeJson } from './backup.ts';
import { type Base, deltaFields } from './delta.ts';
import { hasFault } from './faults.ts';
import { digits } from './json.ts';
import { goTime, log, now } from './log.ts';
import type { ServerInfo } from './postgres.ts';
import type { Run } from './run.ts';
import type { Stored } from './store.ts';

const DAY = 86_400_000;

/** What the end of a backup is known by. */
export interface Finished {
  backup: string;
  started: number;
  startLsn: number;
  finishLsn: number;
  info: ServerInfo;
  spec: Spec;
  base?: Base | undefined;
  userData?: unknown;
  catalogSize?: number;
}

function metadataOf({ args }: Run, done: Finished, sizes: Stored): Metadata {
  const ahead = hasFault('future-time') ? DAY : 0;
  return {
    start_time: goTime(done.started + ahead),
    finish_time: goTime(now() + ahead),
    date_fmt: '%Y-%m-%dT%H:%M:%S.%fZ',
    hostname: hostname(),
    data_dir: done.info.dataDir,
    pg_version: done.info.version,
    start_lsn: done.startLsn,
    finish_lsn: done.finishLsn,
    is_permanent: args.has('permanent'),
    system_identifier: digits(done.info.systemIdentifier),
    uncompressed_size: sizes.plain,
    compressed_size: sizes.stored,
    ...(done.userData === undefined ? {} : { user_data: done.userData }),
  };
}

const sentinelOf = (meta: Metadata, done: Finished): Sentinel => ({
  LSN: meta.start_lsn,
  ...(done.base ? deltaFields(done.base) : {}),
  PgVersion: meta.pg_version,
  FinishLSN: meta.finish_lsn,
  SystemIdentifier: meta.system_identifier,
  UncompressedSize: meta.uncompressed_size,
  CompressedSize: meta.compressed_size,
  ...(done.catalogSize === undefined ? {} : { DataCatalogSize: done.catalogSize }),
  ...(done.spec.tablespaces.length > 0 ? { Spec: done.spec } : {}),
  ...(meta.user_data === undefined ? {} : { UserData: meta.user_data }),
  ChkpNum: null,
  Version: 2,
  StartTime: meta.start_time,
  FinishTime: meta.finish_time,
  DateFmt: meta.date_fmt,
  Hostname: meta.hostname,
  DataDir: meta.data_dir,
  IsPermanent: meta.is_permanent,
});

/** Writes metadata.json, files_metadata.json and, last, the sentinel. */
export async function commit(run: Run, done: Finished, sizes: Stored): Promise<void> {
  const meta = metadataOf(run, done, sizes);
  await writeJson(run.folder, done.backup, '/metadata.json', meta);
  await writeJson(run.folder, done.backup, '/files_metadata.json', sizes.files);
  if (!hasFault('no-sentinel')) await writeJson(run.folder, done.backup, '_backup_stop_sentinel.json', sentinelOf(meta, done));
  log.info(`Wrote backup with name ${done.backup}${done.catalogSize === undefined ? '' : ' to storage default'}`);
}
