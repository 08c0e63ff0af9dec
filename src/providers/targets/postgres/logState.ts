import type { Known, LineageId, LogState, Lsn, ObjectInfo, TargetContext } from '../../../core/contracts.ts';
import { knownTo } from '../../../core/postgres/chunks.ts';
import { formatLsn, parseLsn, parseSegment, segmentStart } from '../../../core/postgres/lsn.ts';
import { chunksByLineage, type StoredChunk, type StoredWal, walByLineage } from './walFiles.ts';
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

interface Newest {
  name: string;
  at: Date;
  /** How many of its bytes are there. */
  bytes: number;
}

/** The open segment that ends last, as far as its chunks leave no hole. */
function newestOpen(chunks: readonly StoredChunk[]): Newest | undefined {
  const name = [...new Set(chunks.map(chunk => chunk.name))].sort().at(-1);
  const parts = chunks.filter(chunk => chunk.name === name);
  const bytes = knownTo(parts);
  if (name === undefined || bytes === 0) return undefined;
  return { name, bytes, at: new Date(parts.reduce((last, { modified }) => Math.max(last, modified.getTime()), 0)) };
}

function stateOf(lineage: LineageId, { name, at, bytes }: Newest, segmentBytes: number): LogState[] {
  const segment = parseSegment(name, segmentBytes);
  return segment ? [{ lineage, at, end: formatLsn(segmentStart(segment.number, segmentBytes) + BigInt(bytes)) }] : [];
}

/**
 * The newest WAL of each lineage in one store's listing: `at` is when the store got the segment that ends last on the newest timeline, or the
 * newest chunk of an open one behind it, and `end` is where that ends. Older segments that were copied there later do not make it younger. Pure.
 * @param known backups whose manifests tell the segment size; a lineage of a system that none of them is of is left out
 */
export function state(ctx: Pick<TargetContext, 'base'>, objects: readonly ObjectInfo[], known: readonly Known[]): LogState[] {
  const adopted = adoptedOf(
    ctx,
    known.map(({ manifest }) => manifest),
  );
  const wal = walByLineage(ctx.base, objects, adopted);
  const chunks = chunksByLineage(ctx.base, objects);
  return [...new Set([...wal.keys(), ...chunks.keys()])].flatMap(lineage => {
    const segmentBytes = segmentBytesOf(lineage, known);
    if (!segmentBytes) return [];
    const whole = newestOf(wal.get(lineage) ?? []);
    const open = newestOpen(chunks.get(lineage) ?? []);
    if (open && (!whole || open.name > whole.name)) return stateOf(lineage, open, segmentBytes);
    return whole ? stateOf(lineage, { name: whole.name, at: whole.modified, bytes: segmentBytes }, segmentBytes) : [];
  });
}

/** Bytes of WAL from one LSN to another; 0 where `to` lies before `from`. Throws BkpError('usage') on what is no LSN. */
export const distance = (from: Lsn, to: Lsn): number => Math.max(0, Number(parseLsn(to) - parseLsn(from)));
