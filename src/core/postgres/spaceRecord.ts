/** What every segment begins with (XLogLongPageHeaderData, access/xlog_internal.h of 13 to 18): system identifier, segment and page size last. */
const LONG_HEADER = 40;
const SHORT_HEADER = 24;
/** XLogRecord (access/xlogrecord.h): total length, xid, position of the record before, info, resource manager, two bytes of padding, CRC. */
const INFO_AT = 16;
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

/** The header's first bytes may be on the page before: 8 or 16 of them, as records begin at multiples of 8. */
function isSplit(at: number, { pageBytes }: Layout): boolean {
  const header = at < pageBytes ? LONG_HEADER : SHORT_HEADER;
  const behind = (at % pageBytes) - header;
  return behind === 0 || behind === 8;
}

/** Replay takes no record whose predecessor lies behind it, so the upper half of that position is at most the segment's own. */
function isHeader(segment: Buffer, start: number, { high }: Layout): boolean {
  if (start < LONG_HEADER) return false;
  const length = segment.readUInt32LE(start);
  const before = segment.readUInt32LE(start + 8);
  return length >= SHORTEST && length <= LONGEST && before % 8 === 0 && segment.readUInt32LE(start + 12) <= high;
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
    const split = isSplit(at, layout);
    if (!split && !isHeader(segment, at - INFO_AT, layout)) continue;
    found ??= { crossesEnd: false, crossesStart: false };
    found.crossesStart ||= split && at < layout.pageBytes;
    found.crossesEnd ||= at + 2 * LONGEST > segment.length;
  }
  return found;
}
