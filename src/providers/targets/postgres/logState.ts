import type { Known, LineageId, LogState, Lsn, ObjectInfo, TargetContext } from '../../../core/contracts.ts';
import { formatLsn, parseLsn, parseSegment, segmentStart } from '../../../core/postgres/lsn.ts';
import { type StoredWal, walByLineage } from './walFiles.ts';
import { adoptedOf } from './walg/layout.ts';

const systemOf = (lineage: LineageId | undefined): string | undefined => lineage?.split('-')[0];

/** initdb settles the segment size, so every lineage of one system has the same. */
function segmentBytesOf(lineage: LineageId, known: readonly Known[]): number | undefined {
  const sized = known.map(({ manifest }) => manifest).filter(({ wal }) => wal !== undefined);
  const own = sized.findLast(manifest => manifest.lineage === lineage);
  return (own ?? sized.findLast(manifest => systemOf(manifest.lineage) === systemOf(lineage)))?.wal?.segmentBytes;
}

/** The whole segment that ends last on the newest timeline: timelines and segments are numbered upwards, so names sort like that. */
const newestOf = (files: readonly StoredWal[]): StoredWal | undefined =>
  files
    .filter(({ name }) => /^[0-9A-F]{24}$/.test(name))
    .reduce<StoredWal | undefined>((newest, file) => (newest === undefined || file.name > newest.name ? file : newest), undefined);

function stateOf(lineage: LineageId, { name, modified }: StoredWal, segmentBytes: number): LogState[] {
  const segment = parseSegment(name, segmentBytes);
  return segment ? [{ lineage, at: modified, end: formatLsn(segmentStart(segment.number + 1, segmentBytes)) }] : [];
}

/**
 * The newest WAL of each lineage in one store's listing: `at` is when the store got the whole segment that ends last on the newest
 * timeline, and `end` is where that ends. Older segments that were copied there later do not make it younger. Pure.
 * @param known backups whose manifests tell the segment size; a lineage of a system that none of them is of is left out
 */
export const state = (ctx: Pick<TargetContext, 'base'>, objects: readonly ObjectInfo[], known: readonly Known[]): LogState[] =>
  [
    ...walByLineage(
      ctx.base,
      objects,
      adoptedOf(
        ctx,
        known.map(({ manifest }) => manifest),
      ),
    ),
  ].flatMap(([lineage, files]) => {
    const newest = newestOf(files);
    const segmentBytes = segmentBytesOf(lineage, known);
    return newest && segmentBytes ? stateOf(lineage, newest, segmentBytes) : [];
  });

/** Bytes of WAL from one LSN to another; 0 where `to` lies before `from`. Throws BkpError('usage') on what is no LSN. */
export const distance = (from: Lsn, to: Lsn): number => Math.max(0, Number(parseLsn(to) - parseLsn(from)));
