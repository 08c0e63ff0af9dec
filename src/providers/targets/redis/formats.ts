import type { Rdb } from './rdb/reader.ts';

export type Flavor = 'redis' | 'valkey';

/** A server or a program, by name and version. */
export interface Version {
  flavor: Flavor;
  version: string;
}

/** The format of a dump. */
export type Format = Pick<Rdb, 'magic' | 'version'>;

/** The newest format that a Redis of a version reads (RDB_VERSION in rdb.h), newest first. Not known beyond 8.0. */
const REDIS: readonly [number, number, number][] = [
  [7, 4, 12],
  [7, 2, 11],
  [7, 0, 10],
  [5, 0, 9],
  [4, 0, 8],
  [0, 0, 7],
];

const partsOf = (version: string): [number, number] => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return [major, minor];
};

const newestOf = ([major, minor]: [number, number]): number => REDIS.find(([a, b]) => major > a || (major === a && minor >= b))?.[2] ?? 7;

/**
 * Whether a server reads a dump. Redis reads every older format and none of Valkey's own; Valkey 9 reads its own and Redis' up to 11, older
 * Valkeys up to 11 (rdb.c, rdbIsForeignVersion).
 * @returns `unknown` for a server that is newer than this table
 */
export function reads(server: Version, dump: Format): 'yes' | 'no' | 'unknown' {
  const [major, minor] = partsOf(server.version);
  if (server.flavor === 'valkey') {
    if (dump.magic === 'REDIS') return dump.version <= 11 ? 'yes' : 'no';
    if (major < 9) return 'no';
    return dump.version <= 80 ? 'yes' : major > 9 ? 'unknown' : 'no';
  }
  if (dump.magic === 'VALKEY') return 'no';
  if (dump.version <= newestOf([major, minor])) return 'yes';
  return major > 8 || (major === 8 && minor > 0) ? 'unknown' : 'no';
}

/** `Redis 7.0.15`. */
export const nameOf = ({ flavor, version }: Version): string => `${flavor === 'redis' ? 'Redis' : 'Valkey'} ${version}`;

/** `RDB 10`, `RDB 80 of Valkey`. */
export const formatName = ({ magic, version }: Format): string => `RDB ${version}${magic === 'VALKEY' ? ' of Valkey' : ''}`;

/** How a manifest records a format, and back. */
export const encodeFormat = ({ magic, version }: Format): string => `${magic}${version}`;

export function decodeFormat(text: string | undefined): Format | undefined {
  const [, magic, version] = /^(REDIS|VALKEY)(\d+)$/.exec(text ?? '') ?? [];
  return magic === undefined ? undefined : { magic: magic as Format['magic'], version: Number(version) };
}

/** The name and version in the first line of `redis-server --version` and `valkey-server --version`. */
export function programVersion(text: string): Version | undefined {
  const [, name, version] = /^(Redis|Valkey) server v=([\d.]+)/m.exec(text) ?? [];
  return version === undefined ? undefined : { flavor: name === 'Valkey' ? 'valkey' : 'redis', version };
}
