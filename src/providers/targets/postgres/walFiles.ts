import type { LineageId, ObjectInfo } from '../../../core/contracts.ts';
import type { WalFile } from '../../../core/postgres/expiry.ts';
import { isWalName } from '../../../core/postgres/lsn.ts';

/** An archived file as a store's listing shows it. */
export interface StoredWal extends ObjectInfo, WalFile {}

const PLACE = /^(\d+-\d+)\/([0-9A-F]{8})\/([0-9A-Fa-z.]+)-[0-9a-f]{32}\.zst(?:\.age)?$/;

/**
 * The WAL in one store's listing by lineage. What is not named exactly as bkp names WAL is none of ours, and is left out.
 * @param base prefix of the target's keys
 * @param objects the complete listing, or at least what lies under `<base>/wal/`
 */
export function walByLineage(base: string, objects: readonly ObjectInfo[]): Map<LineageId, StoredWal[]> {
  const found = new Map<LineageId, StoredWal[]>();
  const start = `${base}/wal/`;
  for (const info of objects) {
    const [, lineage, timeline, name] = (info.key.startsWith(start) && PLACE.exec(info.key.slice(start.length))) || [];
    if (lineage === undefined || name === undefined || !isWalName(name) || name.slice(0, 8) !== timeline) continue;
    const files = found.get(lineage) ?? [];
    files.push({ ...info, name });
    found.set(lineage, files);
  }
  return found;
}
