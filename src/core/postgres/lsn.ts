import { BkpError } from '../errors.ts';

/** Reads PostgreSQL's `X/Y` (hexadecimal halves). Throws BkpError('usage') on anything else. */
export function parseLsn(text: string): bigint {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match) throw new BkpError('usage', `"${text}" is no LSN: PostgreSQL writes them like 0/3000148`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** Writes an LSN as PostgreSQL does. */
export const formatLsn = (lsn: bigint): string =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;

const hex8 = (n: number | bigint): string => n.toString(16).toUpperCase().padStart(8, '0');

/** A WAL segment: timeline and running number (LSN divided by the segment size). */
export interface Segment {
  timeline: number;
  number: number;
}

/** Number of the segment that holds the byte at `lsn`. */
export const segmentAt = (lsn: bigint, segmentBytes: number): number => Number(lsn / BigInt(segmentBytes));

/** First byte of segment `number`. */
export const segmentStart = (number: number, segmentBytes: number): bigint => BigInt(number) * BigInt(segmentBytes);

/** The 24 hexadecimal digits by which PostgreSQL names a segment file. */
export function segmentName({ timeline, number }: Segment, segmentBytes: number): string {
  const perFile = 0x100000000 / segmentBytes;
  return `${hex8(timeline)}${hex8(Math.floor(number / perFile))}${hex8(number % perFile)}`;
}

/** Reads a segment's file name; undefined when it is not one. */
export function parseSegment(name: string, segmentBytes: number): Segment | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined;
  const perFile = 0x100000000 / segmentBytes;
  const low = Number.parseInt(name.slice(16), 16);
  if (low >= perFile) return undefined;
  return { timeline: Number.parseInt(name.slice(0, 8), 16), number: Number.parseInt(name.slice(8, 16), 16) * perFile + low };
}

/** Name of a timeline's history file. */
export const historyName = (timeline: number): string => `${hex8(timeline)}.history`;

/** Names that PostgreSQL archives: segments, their `.partial`, history and backup-label files. */
export const isWalName = (name: string): boolean =>
  /^[0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?$/.test(name) || /^[0-9A-F]{8}\.history$/.test(name);
