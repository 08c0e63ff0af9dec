import type { Manifest, ObjectInfo, Stay, TargetContext } from '../../../core/contracts.ts';
import { expiredWal, type KeptBase } from '../../../core/postgres/expiry.ts';
import { baseOf } from './plan.ts';
import { walByLineage } from './walFiles.ts';
import { unneededByOthers } from './walg/keep.ts';
import { adoptedOf } from './walg/layout.ts';

/** A kept backup as the log's retention sees it; none for one without WAL. */
export const keptBase = ({ manifest, guarded }: Stay): KeptBase[] =>
  baseOf({ manifest, stores: [] }).map(base => ({ ...base, guarded, anomalous: manifest.anomaly !== undefined }));

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
  return [...walByLineage(ctx.base, objects, adopted)].flatMap(([lineage, files]) => {
    const bases = kept.filter(({ manifest }) => manifest.lineage === lineage).flatMap(keptBase);
    const reason = bases.length === 0 ? `${old}, and no backup of lineage ${lineage} is kept` : `${old}, and no kept backup needs it`;
    const isFree = unneededByOthers(adopted?.lineage === lineage ? adopted.prefix : `${ctx.base}/walg/${lineage}`, objects, all);
    return expiredWal(files, bases, cutoff)
      .filter(({ name }) => isFree(name))
      .map(({ key, bytes }) => ({ key, bytes, reason }));
  });
}
