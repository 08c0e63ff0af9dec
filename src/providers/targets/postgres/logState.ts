import type { Known, LineageId, LogGap, LogState, Lsn, ObjectInfo, TargetContext } from '../../../core/contracts.ts';
import { knownTo } from '../../../core/postgres/chunks.ts';
import { formatLsn, parseLsn, parseSegment, segmentName, segmentStart } from '../../../core/postgres/lsn.ts';
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

/**
 * Whatever the timeline: where one was left, the next one has a segment of the same number. What was begun behind the whole ones shows as
 * well as a whole one that they should reach up to it.
 */
function gapsOf(files: readonly StoredWal[], open: string | undefined, segmentBytes: number): LogGap[] {
  const found = [
    ...files.filter(({ name }) => /^[0-9A-F]{24}$/.test(name)),
    ...(open === undefined ? [] : [{ name: open, modified: undefined }]),
  ];
  const sorted = found
    .flatMap(({ name, modified }) => {
      const segment = parseSegment(name, segmentBytes);
      return segment ? [{ ...segment, modified }] : [];
    })
    .sort((a, b) => a.number - b.number);
  return sorted.flatMap(({ timeline, number }, n) => {
    const before = sorted[n - 1];
    if (!before?.modified || number <= before.number + 1) return [];
    const nameOf = (each: number): string => segmentName({ timeline, number: each }, segmentBytes);
    const [from, until] = [before.number + 1, number].map(each => formatLsn(segmentStart(each, segmentBytes))) as [Lsn, Lsn];
    return [{ first: nameOf(before.number + 1), last: nameOf(number - 1), from, until, at: before.modified }];
  });
}

/** Where the oldest segment begins, whatever its timeline: what was taken from the front is between no two files. */
function beginOf(names: readonly string[], segmentBytes: number): Lsn {
  const numbers = names.flatMap(name => parseSegment(name, segmentBytes)?.number ?? []);
  const least = numbers.reduce((low, number) => Math.min(low, number));
  return formatLsn(segmentStart(least, segmentBytes));
}

function stateOf(
  lineage: LineageId,
  { name, at, bytes }: Newest,
  segmentBytes: number,
  files: readonly StoredWal[],
  open: string | undefined,
): LogState[] {
  const segment = parseSegment(name, segmentBytes);
  if (!segment) return [];
  const gaps = gapsOf(files, open, segmentBytes);
  const whole = files.map(file => file.name).filter(file => /^[0-9A-F]{24}$/.test(file));
  return [
    {
      ...{ lineage, at, begins: beginOf([name, ...whole], segmentBytes) },
      end: formatLsn(segmentStart(segment.number, segmentBytes) + BigInt(bytes)),
      ...(gaps.length > 0 ? { gaps } : {}),
    },
  ];
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
    const last = open && (!whole || open.name > whole.name) ? open : undefined;
    const files = wal.get(lineage) ?? [];
    if (last) return stateOf(lineage, last, segmentBytes, files, last.name);
    return whole ? stateOf(lineage, { name: whole.name, at: whole.modified, bytes: segmentBytes }, segmentBytes, files, undefined) : [];
  });
}

/** Bytes of WAL from one LSN to another; 0 where `to` lies before `from`. Throws BkpError('usage') on what is no LSN. */
export const distance = (from: Lsn, to: Lsn): number => Math.max(0, Number(parseLsn(to) - parseLsn(from)));
