import type { HeldObject, ObjectInfo, Store } from '../../../../core/contracts.ts';
import { BkpError } from '../../../../core/errors.ts';
import { readAll } from '../../../../flow/bytes.ts';
import { exactJson, whole } from './json.ts';
import { BACKUPS, isBackupName, SENTINEL, timelineOfBackup } from './layout.ts';

/** What the listing of a prefix shows of one backup. */
export interface Shown {
  name: string;
  /** Absent = a backup that did not end, or whose end was removed. */
  sentinel?: ObjectInfo;
  /** Everything below `<name>/`. */
  objects: ObjectInfo[];
}

/** What lies in WAL-G's folder of backups; `strays` are of no backup, such as a folder's mark that ends in `/`. */
export interface Listing {
  backups: Map<string, Shown>;
  strays: ObjectInfo[];
}

/** Sorts a listing of `<prefix>/basebackups_005/` by backup. Pure; the order of the listing says nothing. */
export function sorted(prefix: string, objects: Iterable<ObjectInfo>): Listing {
  const backups = new Map<string, Shown>();
  const strays: ObjectInfo[] = [];
  const start = `${prefix}/${BACKUPS}/`;
  const of = (name: string): Shown => {
    const shown = backups.get(name) ?? { name, objects: [] };
    backups.set(name, shown);
    return shown;
  };
  for (const info of objects) {
    if (!info.key.startsWith(start)) continue;
    const [first = '', ...rest] = info.key.slice(start.length).split('/');
    if (rest.length === 0 && first.endsWith(SENTINEL) && isBackupName(first.slice(0, -SENTINEL.length)))
      of(first.slice(0, -SENTINEL.length)).sentinel = info;
    else if (rest.length > 0 && rest.at(-1) !== '' && isBackupName(first)) of(first).objects.push(info);
    else strays.push(info);
  }
  return { backups, strays };
}

/** The backups that a store lists under a prefix. Throws what the store throws. */
export async function listed(store: Store, prefix: string): Promise<Listing> {
  const objects: ObjectInfo[] = [];
  for await (const info of store.list(`${prefix}/${BACKUPS}/`)) objects.push(info);
  return sorted(prefix, objects);
}

/** A backup as its own files tell. Sizes are bytes. */
export interface WalgBackup {
  name: string;
  from: bigint;
  to: bigint;
  timeline: number;
  startedAt: Date;
  finishedAt: Date;
  systemIdentifier: string;
  /** Number of the server's version, such as 150018. */
  serverVersion: number;
  /** The backup that a delta builds on. */
  deltaFrom?: string;
  /** Plain bytes of what was stored, and of the whole data directory where WAL-G says so. */
  plainBytes: number;
  catalogBytes?: number;
  userData?: unknown;
  permanent: boolean;
  /** Directories outside the data directory, as they were there. */
  spaces: { oid: string; location: string }[];
  /** Names of parts that its files name and the store does not show. */
  missing: string[];
  /** Everything of it, the sentinel last. */
  objects: HeldObject[];
}

const META = 'metadata.json';
const FILES = 'files_metadata.json';

const readJson = async (store: Store, key: string): Promise<any> =>
  exactJson((await readAll(store.get(key))).toString('utf8'), `${key} in store ${store.name}`);

function required(value: bigint | undefined, field: string, what: string): bigint {
  if (value === undefined) throw new BkpError('verifyFailed', `${what} says nothing of ${field}`);
  return value;
}

function instant(value: unknown, field: string, what: string): Date {
  const at = new Date(String(value));
  if (Number.isNaN(at.getTime())) throw new BkpError('verifyFailed', `${what} says nothing of ${field}`);
  return at;
}

const partsOf = ({ name, objects }: Shown): ObjectInfo[] => objects.filter(({ key }) => key.includes(`/${name}/tar_partitions/`));

const fileOf = ({ key }: ObjectInfo): string => key.split('/').at(-1)!;

/** Of a backup over the connection no file says which parts it has; they are numbered from 1 without gaps (tried on WAL-G 3.0.9). */
function numbered(parts: readonly ObjectInfo[]): string[] {
  const numbers = parts.map(part => Number(/^part_(\d+)\.tar/.exec(fileOf(part))?.[1] ?? 0));
  return Array.from({ length: Math.max(1, ...numbers) }, (_, n) => `part_${String(n + 1).padStart(3, '0')}.tar`);
}

interface Files {
  Files?: Record<string, unknown>;
  TarFileSets?: Record<string, unknown>;
}

/** Part names that have to be there: those of the files' list, and pg_control, without which nothing starts. */
function missingParts({ TarFileSets }: Files, shown: Shown): string[] {
  const parts = partsOf(shown).filter(({ bytes }) => bytes > 0);
  const there = parts.map(fileOf);
  const wanted = TarFileSets ? Object.keys(TarFileSets) : numbered(parts);
  const absent = wanted.filter(part => !there.some(each => each === part || each.startsWith(`${part}.`)));
  const control = there.some(part => part.startsWith('pg_control.tar'));
  return [...absent, ...(control || absent.some(part => part.startsWith('pg_control.tar')) ? [] : ['pg_control.tar'])];
}

/** WAL-G counts what it uploads; what is stored can be some bytes more, and never less (tried on 3.0.9). */
function missingBytes(sentinel: { CompressedSize?: unknown }, shown: Shown): string[] {
  const lacks = Number(sentinel.CompressedSize ?? 0) - partsOf(shown).reduce((sum, { bytes }) => sum + bytes, 0);
  return lacks > 0 ? [`${lacks} bytes of its parts`] : [];
}

function spacesOf({ Spec }: { Spec?: any }): WalgBackup['spaces'] {
  const oids: unknown[] = Array.isArray(Spec?.tablespaces) ? Spec.tablespaces : [];
  return oids.map(oid => ({ oid: String(oid), location: String(Spec[String(oid)]?.loc) }));
}

/**
 * Reading the files, WAL-G passes over a tablespace whose location is a symbolic link, and takes one that lies in another one for a part of
 * that, and ends with 0 (tried on 3.0.9): nothing of it is under its own number then.
 */
function missingSpaces({ Files = {}, TarFileSets }: Files, spaces: WalgBackup['spaces']): string[] {
  if (!TarFileSets) return [];
  const names = Object.keys(Files);
  return spaces.map(({ oid }) => `pg_tblspc/${oid}`).filter(dir => !names.some(name => name.startsWith(`/${dir}/PG_`)));
}

/** Data first, then what may be rewritten by `wal-g backup-mark`, the sentinel last. */
const inOrder = ({ objects, sentinel }: Shown): HeldObject[] => [
  ...objects.filter(({ key }) => !key.endsWith(`/${META}`)).map(({ key, bytes }) => ({ key, bytes })),
  ...objects.filter(({ key }) => key.endsWith(`/${META}`)).map(({ key }) => ({ key })),
  ...(sentinel ? [{ key: sentinel.key, bytes: sentinel.bytes }] : []),
];

/**
 * Reads what a listed backup says of itself, and whether its parts are there.
 * @param shown with a sentinel
 * @throws BkpError('verifyFailed') when its files are missing or tell nothing; what the store throws
 */
export async function readBackup(store: Store, prefix: string, shown: Shown): Promise<WalgBackup> {
  const { name } = shown;
  const start = `${prefix}/${BACKUPS}/${name}`;
  const what = `the sentinel of ${name} in store ${store.name}`;
  const lacks = [META, FILES].filter(file => !shown.objects.some(({ key }) => key === `${start}/${file}`));
  const sentinel = await readJson(store, start + SENTINEL);
  const meta = lacks.includes(META) ? {} : await readJson(store, `${start}/${META}`);
  const files = lacks.includes(FILES) ? {} : await readJson(store, `${start}/${FILES}`);
  const spaces = spacesOf(sentinel);
  const missing = [...lacks, ...missingParts(files, shown), ...missingSpaces(files, spaces)];
  return {
    name,
    spaces,
    from: required(whole(sentinel.LSN), 'its start', what),
    to: required(whole(sentinel.FinishLSN), 'its end', what),
    timeline: timelineOfBackup(name),
    startedAt: instant(sentinel.StartTime ?? meta.start_time, 'when it began', what),
    finishedAt: instant(sentinel.FinishTime ?? meta.finish_time, 'when it ended', what),
    systemIdentifier: String(required(whole(sentinel.SystemIdentifier ?? meta.system_identifier), 'the cluster', what)),
    serverVersion: Number(sentinel.PgVersion ?? meta.pg_version ?? 0),
    plainBytes: Number(sentinel.UncompressedSize ?? meta.uncompressed_size ?? 0),
    permanent: (meta.is_permanent ?? sentinel.IsPermanent) === true,
    missing: missing.length > 0 ? missing : missingBytes(sentinel, shown),
    objects: inOrder(shown),
    ...(sentinel.DeltaFrom ? { deltaFrom: String(sentinel.DeltaFrom) } : {}),
    ...(sentinel.DataCatalogSize ? { catalogBytes: Number(sentinel.DataCatalogSize) } : {}),
    ...(sentinel.UserData === undefined || sentinel.UserData === null ? {} : { userData: sentinel.UserData }),
  };
}
