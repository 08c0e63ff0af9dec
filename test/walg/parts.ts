import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Spec } from './backup.ts';

/** Something below the data directory. */
export interface Item {
  /** Relative, without `./`. */
  name: string;
  directory: boolean;
  /** Bytes. */
  size: number;
  /** RFC 3339 with nanoseconds, to tell whether a file changed. */
  mtime: string;
}

/** Never stored; of the directories among them the entry is, and nothing below it. */
const EXCLUDED = new Set(
  'log pg_log pg_xlog pg_wal pgsql_tmp postgresql.auto.conf.tmp postmaster.pid postmaster.opts recovery.conf'
    .split(' ')
    .concat('pg_dynshmem pg_notify pg_replslot pg_serial pg_stat_tmp pg_snapshots pg_subtrans standby.signal'.split(' ')),
);

const nanoTime = (ns: bigint): string =>
  `${new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19)}.${String(ns % 1_000_000_000n).padStart(9, '0')}Z`;

const CONTROL = 'global/pg_control';

export interface Walked {
  items: Item[];
  spec: Spec;
}

/** Everything that a backup stores, but pg_control, which goes last. Tablespaces are walked as `pg_tblspc/OID/…`. */
export function walkData(root: string): Walked {
  const walked: Walked = { items: [], spec: { base_prefix: root, tablespaces: [] } };
  const visit = (name: string): void => {
    const stat = lstatSync(join(root, name), { bigint: true, throwIfNoEntry: false });
    const base = name.slice(name.lastIndexOf('/') + 1);
    if (!stat || name === CONTROL || (EXCLUDED.has(base) && !stat.isDirectory())) return;
    if (stat.isSymbolicLink()) tablespace(name, base);
    if (!stat.isFile() && !stat.isDirectory()) return;
    walked.items.push({
      name: name || '.',
      directory: stat.isDirectory(),
      size: stat.isFile() ? Number(stat.size) : 0,
      mtime: nanoTime(stat.mtimeNs),
    });
    if (stat.isDirectory() && !EXCLUDED.has(base)) below(name);
  };
  const below = (name: string): void => {
    for (const child of readdirSync(join(root, name))) visit(name ? `${name}/${child}` : child);
  };
  const tablespace = (name: string, oid: string): void => {
    if (!name.startsWith('pg_tblspc/')) return;
    walked.spec.tablespaces.push(oid);
    const loc = readlinkSync(join(root, name));
    walked.spec[oid] = { loc, link: name };
    // filepath.Walk does not follow a link at its root: nothing of such a tablespace is stored, and the exit code is 0.
    if (!lstatSync(loc).isSymbolicLink()) below(name);
  };
  visit('');
  return walked;
}

/** Cuts what is to be stored into parts of at least `threshold` bytes, the last one aside. */
export function cut(items: readonly Item[], threshold: number): Item[][] {
  const parts: Item[][] = [[]];
  let bytes = 0;
  for (const item of items) {
    if (bytes >= threshold) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(item);
    bytes += item.size;
  }
  return parts;
}
