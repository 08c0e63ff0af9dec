/** What every segment begins with (XLogLongPageHeaderData, access/xlog_internal.h of 13 to 18): system identifier, segment and page size last. */
const LONG_HEADER = 40;
const SHORT_HEADER = 24;
/** XLogRecord (access/xlogrecord.h): total length, xid, position of the record before, info, resource manager, two bytes of padding, CRC. */
const INFO_AT = 16;
/** Behind the header come a record's pages, of which a tablespace has none, and its data, each headed by one of these (XLR_BLOCK_ID_…). */
const DATA_AT = 24;
const [TOP_XID, ORIGIN, LONG_DATA, SHORT_DATA] = [252, 253, 254, 255];
/** RM_TBLSPC_ID (access/rmgrlist.h). XLOG_TBLSPC_CREATE is 0 in the upper half of info; the lower half is for the machinery of WAL. */
const TABLESPACE = 5;
/** 24 of header, 2 and more of the data's own, an oid and a path with its end. */
const SHORTEST = 31;
/** A path ends within MAXPGPATH, 1024. */
const LONGEST = 4096;

/** Where a record that creates a tablespace may lie. */
export interface Suspicion {
  /** Its end may lie in the next segment. */
  crossesEnd: boolean;
  /** Its beginning may lie in the segment before. */
  crossesStart: boolean;
}

interface Layout {
  pageBytes: number;
  /** Upper half of the segment's own position. */
  high: number;
}

/** Pages as this machine writes them: a power of two from 1 KiB to 64 KiB. */
function layoutOf(segment: Buffer): Layout | undefined {
  if (segment.length < LONG_HEADER) return undefined;
  const [segmentBytes, pageBytes] = [segment.readUInt32LE(32), segment.readUInt32LE(36)];
  const isPage = pageBytes >= 1024 && pageBytes <= 65536 && (pageBytes & (pageBytes - 1)) === 0;
  return isPage && segmentBytes === segment.length ? { pageBytes, high: segment.readUInt32LE(12) } : undefined;
}

const headerAt = (at: number, pageBytes: number): number => (at < pageBytes ? LONG_HEADER : SHORT_HEADER);

/** So many bytes of a record that end at `to`, over the header of the page; undefined where they are none, or in the segment before. */
function bytesBefore(segment: Buffer, to: number, bytes: number, { pageBytes }: Layout): Buffer | undefined {
  const page = to - (to % pageBytes);
  const here = to - page - headerAt(to, pageBytes);
  if (here >= bytes) return segment.subarray(to - bytes, to);
  if (page === 0) return undefined;
  return Buffer.concat([segment.subarray(page - bytes + here, page), segment.subarray(to - here, to)]);
}

/** So many bytes of a record from `from` on; fewer at the end of the segment. */
function bytesFrom(segment: Buffer, from: number, bytes: number, { pageBytes }: Layout): Buffer {
  const page = from - (from % pageBytes) + pageBytes;
  if (page >= from + bytes) return segment.subarray(from, from + bytes);
  const behind = page + SHORT_HEADER;
  return Buffer.concat([segment.subarray(from, page), segment.subarray(behind, behind + bytes - (page - from))]);
}

/** Replay takes no record whose predecessor lies behind it, so the upper half of that position is at most the segment's own. */
function isStart(start: Buffer, { high }: Layout): boolean {
  const length = start.readUInt32LE(0);
  const before = start.readUInt32LE(8);
  return length >= SHORTEST && length <= LONGEST && before % 8 === 0 && start.readUInt32LE(12) <= high;
}

/** A record without pages goes on with its data and their length, in one byte or in four, behind what replication may put before them. */
function isGoingOn(rest: Buffer, length: number | undefined): boolean {
  const data = rest.subarray(DATA_AT - INFO_AT);
  if (data.length < 5) return true;
  const fits = (bytes: number): boolean => length === undefined || length === DATA_AT + bytes;
  if (data[0] === SHORT_DATA) return fits(2 + data[1]!);
  if (data[0] === LONG_DATA) return fits(5 + data.readUInt32LE(1));
  return data[0] === ORIGIN || data[0] === TOP_XID;
}

/** Whether such a record may have its info at `at`. */
function isRecord(segment: Buffer, at: number, layout: Layout): boolean {
  if (at % layout.pageBytes < headerAt(at, layout.pageBytes)) return false;
  const start = bytesBefore(segment, at, INFO_AT, layout);
  if (start && !isStart(start, layout)) return false;
  return isGoingOn(bytesFrom(segment, at, DATA_AT - INFO_AT + 5, layout), start?.readUInt32LE(0));
}

const isCandidate = (word: number): boolean => (word & ~0x0f) === TABLESPACE << 8;

/** Multiples of 8 at which info, resource manager and padding of such a record may lie. Four at a time: this looks at two million of them. */
function* candidates(segment: Buffer): Generator<number> {
  const aligned = segment.byteOffset % 4 === 0 ? segment : Buffer.from(segment);
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
  for (let n = 8; n < words.length; n += 8) {
    const none = !(isCandidate(words[n]!) || isCandidate(words[n + 2]!) || isCandidate(words[n + 4]!) || isCandidate(words[n + 6]!));
    if (none) continue;
    for (let each = n; each < n + 8; each += 2) if (isCandidate(words[each]!)) yield each * 4;
  }
}

/**
 * Looks for what a record that creates a tablespace has to have in its header, at each place where one can be: it may find such a thing
 * where none is, and never misses one. Records begin at multiples of 8 (MAXALIGN of every machine for which there is a Node 24).
 * @param segment plain bytes of a whole segment
 * @returns undefined when no such record begins, ends or passes in it
 */
export function suspectSpaces(segment: Buffer): Suspicion | undefined {
  const layout = layoutOf(segment);
  if (!layout) return { crossesEnd: true, crossesStart: true };
  let found: Suspicion | undefined;
  for (const at of candidates(segment)) {
    if (!isRecord(segment, at, layout)) continue;
    found ??= { crossesEnd: false, crossesStart: false };
    found.crossesStart ||= at < LONG_HEADER + INFO_AT;
    found.crossesEnd ||= at + 2 * LONGEST > segment.length;
  }
  return found;
}
