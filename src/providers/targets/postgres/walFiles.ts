import type { LineageId, ObjectInfo } from '../../../core/contracts.ts';
import { parseRange, type Range } from '../../../core/postgres/chunks.ts';
import type { WalFile } from '../../../core/postgres/expiry.ts';
import { isWalName } from '../../../core/postgres/lsn.ts';
import { type Adopted, walAt } from './walg/layout.ts';

/** An archived file as a store's listing shows it. */
export interface StoredWal extends ObjectInfo, WalFile {
  /** First half of the plain bytes' SHA-256; keys of WAL-G have none. */
  hash?: string;
}

const PLACE = /^(\d+-\d+)\/([0-9A-F]{8})\/([0-9A-Fa-z.]+)-([0-9a-f]{32})\.zst(?:\.age)?$/;

/**
 * The WAL in one store's listing by lineage. What is not named exactly as bkp names WAL is none of ours, and is left out.
 * @param base prefix of the target's keys
 * @param objects the complete listing, or at least what lies under `<base>/wal/` and `<base>/walg/`
 * @param adopted an archive of WAL-G elsewhere in that listing
 */
export function walByLineage(base: string, objects: readonly ObjectInfo[], adopted?: Adopted): Map<LineageId, StoredWal[]> {
  const found = new Map<LineageId, StoredWal[]>();
  const start = `${base}/wal/`;
  for (const info of objects) {
    const [, of, timeline, named, hash] = (info.key.startsWith(start) && PLACE.exec(info.key.slice(start.length))) || [];
    const own = of !== undefined && named !== undefined && isWalName(named) && named.slice(0, 8) === timeline;
    const at = own ? { lineage: of, name: named, hash: hash! } : walAt(base, adopted, info.key);
    if (!at) continue;
    const files = found.get(at.lineage) ?? [];
    const { lineage, ...file } = at;
    files.push({ ...info, ...file });
    found.set(lineage, files);
  }
  return found;
}

/** A chunk of an open segment as a store's listing shows it; `name` is the segment's. */
export interface StoredChunk extends StoredWal, Range {}

const CHUNK = /^(\d+-\d+)\/([0-9A-F]{8})\/(\2[0-9A-F]{16})\/([0-9A-F]{8}-[0-9A-F]{8})-[0-9a-f]{32}\.zst(?:\.age)?$/;

/**
 * The chunks in one store's listing by lineage, those of merged segments too.
 * @param base prefix of the target's keys
 */
export function chunksByLineage(base: string, objects: readonly ObjectInfo[]): Map<LineageId, StoredChunk[]> {
  const found = new Map<LineageId, StoredChunk[]>();
  const start = `${base}/wal/`;
  for (const info of objects) {
    const match = info.key.startsWith(start) ? CHUNK.exec(info.key.slice(start.length)) : null;
    const range = match ? parseRange(match[4]!) : undefined;
    if (!match || !range) continue;
    const [, lineage, , name] = match as unknown as [string, LineageId, string, string];
    const chunks = found.get(lineage) ?? [];
    chunks.push({ ...info, ...range, name });
    found.set(lineage, chunks);
  }
  return found;
}
