/** A run of bytes of one WAL segment: `from` is included, `to` is not. */
export interface Range {
  from: number;
  to: number;
}

/** A run with its bytes. */
export interface Part extends Range {
  bytes: Uint8Array;
}

const hex8 = (n: number): string => n.toString(16).toUpperCase().padStart(8, '0');

/** `00000000-0000A3F8`: how a chunk's key names its run, so that listings sort by position. */
export const rangeName = ({ from, to }: Range): string => `${hex8(from)}-${hex8(to)}`;

/** Reads what `rangeName` wrote; undefined for anything else, and for an empty run. */
export function parseRange(text: string): Range | undefined {
  const match = /^([0-9A-F]{8})-([0-9A-F]{8})$/.exec(text);
  if (!match) return undefined;
  const range = { from: Number.parseInt(match[1]!, 16), to: Number.parseInt(match[2]!, 16) };
  return range.from < range.to ? range : undefined;
}

const byStart = (a: Range, b: Range): number => a.from - b.from || b.to - a.to;

/** Up to which byte a segment is there without a hole, from its first byte on; runs may overlap and come in any order. */
export function coveredTo(ranges: Iterable<Range>): number {
  let end = 0;
  for (const { from, to } of [...ranges].sort(byStart)) if (from <= end) end = Math.max(end, to);
  return end;
}

const ALIGNED = 8;

/**
 * Up to which byte a segment is known: WAL records begin at multiples of eight, and what lies between is zero, as is the padding of a
 * segment that is put together. (A stream stores no zeros at the end: it cannot tell them from what was never written.)
 */
export const knownTo = (ranges: Iterable<Range>): number => Math.ceil(coveredTo(ranges) / ALIGNED) * ALIGNED;

/** Up to which byte a segment is there with holes left aside: beyond `knownTo`, a run before it is lost. */
export const lastOf = (ranges: Iterable<Range>): number => [...ranges].reduce((last, { to }) => Math.max(last, to), 0);

/** The fewest runs, taken greedily, that cover the same bytes from the first one on: what lies inside others is left out. */
export function needed<T extends Range>(ranges: Iterable<T>): T[] {
  const chosen: T[] = [];
  let end = 0;
  let best: T | undefined;
  for (const range of [...ranges].sort(byStart)) {
    if (range.from > end) {
      if (!best || best.to <= end || range.from > best.to) break;
      chosen.push(best);
      end = best.to;
    }
    if (range.from <= end && range.to > Math.max(end, best?.to ?? 0)) best = range;
  }
  if (best && best.to > end) chosen.push(best);
  return chosen;
}

/**
 * Bytes `[0, end)` of a segment out of its parts, with zeros behind them up to `segmentBytes`: PostgreSQL takes zeros for the end of the WAL.
 * @returns undefined where the parts leave a hole before `end`, or contradict each other where they overlap
 */
export function assemble(parts: readonly Part[], end: number, segmentBytes: number): Buffer | undefined {
  if (knownTo(parts) < end || parts.some(({ to }) => to > segmentBytes)) return undefined;
  const whole = Buffer.alloc(segmentBytes);
  let filled = 0;
  for (const { from, to, bytes } of [...parts].sort(byStart)) {
    if (from >= end) break;
    const shared = Math.min(filled, to) - from;
    if (shared > 0 && Buffer.compare(whole.subarray(from, from + shared), bytes.subarray(0, shared)) !== 0) return undefined;
    if (to > filled) whole.set(bytes, from);
    filled = Math.max(filled, to);
  }
  return whole.fill(0, end);
}
