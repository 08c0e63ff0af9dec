import type { Manifest, ObjectInfo, Stay, TargetContext } from '../../../core/contracts.ts';
import { isApart } from '../../../core/postgres/apart.ts';
import { expiredWal, type KeptBase } from '../../../core/postgres/expiry.ts';
import { contentsIn } from './apart.ts';
import { baseOf } from './choose.ts';
import { chunksByLineage, type StoredChunk, type StoredWal, walByLineage } from './walFiles.ts';
import { unneededByOthers } from './walg/keep.ts';
import { adoptedOf } from './walg/layout.ts';

/** A kept backup as the log's retention sees it; none for one without WAL. */
export const keptBase = ({ manifest, guarded }: Stay): KeptBase[] =>
  baseOf({ manifest, stores: [] }).map(base => ({ ...base, guarded, anomalous: manifest.anomaly !== undefined }));

/** What a stream that was killed left of segments that the same store holds whole. Restores read the whole one. */
const merged = (files: readonly StoredWal[], chunks: readonly StoredChunk[]): StoredChunk[] => {
  const whole = new Set(files.map(({ name }) => name));
  return chunks.filter(({ name }) => whole.has(name));
};

/**
 * The WAL of one store that may go, each file with why. Records of lineages never go: their counters must not be used twice.
 * @param objects the complete listing of the store under the target's prefix
 * @param kept the whole backups that stay in that store; one that is damaged must not stand in for an older whole one
 * @param cutoff begin of the window from which on every instant is to be reachable
 * @param all manifests that were read of the store; a backup of WAL-G that none of them names needs all WAL from its start on
 */
export function expired(
  ctx: Pick<TargetContext, 'base'>,
  objects: readonly ObjectInfo[],
  kept: readonly Stay[],
  cutoff: Date,
  all: readonly Manifest[] = [],
): { key: string; bytes: number; reason: string }[] {
  const old = `older than the window, which begins at ${cutoff.toISOString()}`;
  const adopted = adoptedOf(ctx, all);
  const wal = walByLineage(ctx.base, objects, adopted);
  const chunks = chunksByLineage(ctx.base, objects);
  return [...new Set([...wal.keys(), ...chunks.keys()])].flatMap(lineage => {
    const files = wal.get(lineage) ?? [];
    const done = merged(files, chunks.get(lineage) ?? []);
    const open = (chunks.get(lineage) ?? []).filter(chunk => !done.includes(chunk));
    const contents = contentsIn(files);
    const bases = kept
      .filter(({ manifest }) => manifest.lineage === lineage)
      .flatMap(keptBase)
      .map(base => ({ ...base, anomalous: base.anomalous || isApart(base, contents) }));
    const reason = bases.length === 0 ? `${old}, and no backup of lineage ${lineage} is kept` : `${old}, and no kept backup needs it`;
    const isFree = unneededByOthers(adopted?.lineage === lineage ? adopted.prefix : `${ctx.base}/walg/${lineage}`, objects, all);
    const gone = expiredWal([...files, ...open], bases, cutoff).filter(({ name }) => isFree(name));
    return [
      ...gone.map(({ key, bytes }) => ({ key, bytes, reason })),
      ...done.map(({ key, bytes, name }) => ({ key, bytes, reason: `a part of WAL ${name}, which is stored whole` })),
    ];
  });
}
