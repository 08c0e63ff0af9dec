/** A WAL segment: timeline, and its number since LSN 0. Numbers fit a double for every LSN below 2^53. */
export interface Segment {
  timeline: number;
  number: number;
}

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');

/** Bytes of a segment: WALG_PG_WAL_SIZE, 16 MiB unless set. */
export const segmentBytes = (): number => Number(process.env['WALG_PG_WAL_SIZE'] || 16) * 1024 * 1024;

const perId = (): number => 2 ** 32 / segmentBytes();

/** `0/2000028` → a number. */
export function parseLsn(text: string): number {
  const [high = '0', low = '0'] = text.split('/');
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16);
}

/** A number → `0/2000028`. */
export const lsnText = (lsn: number): string => `${Math.floor(lsn / 2 ** 32).toString(16)}/${(lsn % 2 ** 32).toString(16)}`.toUpperCase();

/** The segment that an LSN is in. */
export const segmentAt = (timeline: number, lsn: number): Segment => ({ timeline, number: Math.floor(lsn / segmentBytes()) });

/** The 24 hexadecimal digits. */
export const segmentName = ({ timeline, number }: Segment): string =>
  hex(timeline) + hex(Math.floor(number / perId())) + hex(number % perId());

/** A name of exactly 24 digits → its segment, else undefined. */
export function parseSegment(name: string): Segment | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined;
  const [timeline = 0, high = 0, low = 0] = [0, 8, 16].map(at => Number.parseInt(name.slice(at, at + 8), 16));
  return low < perId() ? { timeline, number: high * perId() + low } : undefined;
}

/** The first 24 digits in an object's name → their segment: how WAL-G places backups and WAL in time. */
export const firstSegment = (text: string): Segment | undefined => parseSegment(/[0-9A-F]{24}/.exec(text)?.[0] ?? '');

/** An archived file's name without its extension of compression. */
export const withoutExtension = (name: string): string => name.replace(/\.(lz4|lzma|zst|gz|br)$/, '');
