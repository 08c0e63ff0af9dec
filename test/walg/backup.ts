import { type Folder, putText, type Stored, textOf } from './folder.ts';
import { type Digits, parseExact } from './json.ts';
import { fatal, goTime, log } from './log.ts';

export const BACKUPS = 'basebackups_005/';
export const WAL = 'wal_005/';
export const SENTINEL = '_backup_stop_sentinel.json';

/** metadata.json: what `backup-list --detail` shows. LSNs are numbers. */
export interface Metadata {
  start_time: string;
  finish_time: string;
  date_fmt: string;
  hostname: string;
  data_dir: string;
  pg_version: number;
  start_lsn: number;
  finish_lsn: number;
  is_permanent: boolean;
  system_identifier: Digits;
  uncompressed_size: number;
  compressed_size: number;
  user_data?: unknown;
}

/** Where each tablespace was: by its OID, `loc` and `link`. */
export interface Spec {
  base_prefix: string;
  tablespaces: string[];
  [oid: string]: unknown;
}

/** NAME_backup_stop_sentinel.json: its presence makes a backup. Delta* are there in deltas only. */
export interface Sentinel {
  LSN: number;
  DeltaLSN?: number;
  DeltaFrom?: string;
  DeltaFullName?: string;
  DeltaCount?: number;
  PgVersion: number;
  FinishLSN: number;
  SystemIdentifier: Digits;
  UncompressedSize: number;
  CompressedSize: number;
  DataCatalogSize?: number;
  Spec?: Spec;
  UserData?: unknown;
  ChkpNum: null;
  Version: 2;
  StartTime: string;
  FinishTime: string;
  DateFmt: string;
  Hostname: string;
  DataDir: string;
  IsPermanent: boolean;
}

/** files_metadata.json: which files a backup has, and in which part each one is. Skipped ones are in a parent. */
export interface FilesMetadata {
  Files?: Record<string, { IsIncremented: boolean; IsSkipped: boolean; MTime: string; UpdatesCount: number }>;
  TarFileSets?: Record<string, string[]>;
}

/** A sentinel in a listing; `time` is when it was last modified. */
export interface Listed {
  backup_name: string;
  time: string;
  wal_file_name: string;
  storage_name: string;
}

/** A row of `backup-list --detail`. */
export type Detail = Listed & Metadata;

const listedOf = ({ name, time }: Stored): Listed => ({
  backup_name: name.slice(BACKUPS.length, -SENTINEL.length),
  time: goTime(time.getTime()),
  wal_file_name: /[0-9A-F]{24}/.exec(name)?.[0] ?? 'Z'.repeat(24),
  storage_name: 'default',
});

/** Sentinels right below basebackups_005/, in the order of the store. */
export const sentinels = async (folder: Folder): Promise<Stored[]> =>
  (await folder.list(BACKUPS)).filter(({ name }) => name.endsWith(SENTINEL) && !name.slice(BACKUPS.length).includes('/'));

/** Every backup, in the order of the store. */
export const listBackups = async (folder: Folder): Promise<Listed[]> => (await sentinels(folder)).map(listedOf);

const readJson = async <T>(folder: Folder, name: string): Promise<T> => {
  const text = await textOf(folder, name);
  try {
    return parseExact(text) as T;
  } catch (error) {
    return fatal(`failed to fetch dto from ${name}: ${(error as Error).message}`);
  }
};

/** @throws Fatal when it is not there */
export const readMetadata = (folder: Folder, name: string): Promise<Metadata> => readJson(folder, `${BACKUPS}${name}/metadata.json`);

/** @throws Fatal when it is not there */
export const readSentinel = (folder: Folder, name: string): Promise<Sentinel> => readJson(folder, `${BACKUPS}${name}${SENTINEL}`);

/** @throws Fatal when it is not there */
export const readFiles = (folder: Folder, name: string): Promise<FilesMetadata> =>
  readJson(folder, `${BACKUPS}${name}/files_metadata.json`);

/** Writes one of the three files of a backup: `suffix` is what comes after the name. */
export const writeJson = (folder: Folder, name: string, suffix: string, value: unknown): Promise<number> =>
  putText(folder, `${BACKUPS}${name}${suffix}`, JSON.stringify(value));

/** Every backup with its metadata, the oldest start first. One without metadata fails them all. @throws Fatal */
export async function details(folder: Folder): Promise<Detail[]> {
  const all: Detail[] = [];
  for (const backup of await listBackups(folder)) all.push({ ...backup, ...(await readMetadata(folder, backup.backup_name)) });
  return all.sort((a, b) => Date.parse(a.start_time) - Date.parse(b.start_time));
}

/** The backup whose sentinel was modified last, which is not always the one that started last. Undefined when there is none. */
export async function latest(folder: Folder): Promise<string | undefined> {
  const last = (await listBackups(folder)).sort((a, b) => Date.parse(a.time) - Date.parse(b.time)).at(-1);
  if (last) log.info(`LATEST backup is: '${last.backup_name}'`);
  return last?.backup_name;
}
