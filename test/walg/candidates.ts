import { BACKUPS, readMetadata, readSentinel, SENTINEL, sentinels, WAL } from './backup.ts';
import type { Folder } from './folder.ts';
import { fatal, log } from './log.ts';
import { firstSegment, type Segment, segmentAt, segmentName } from './segment.ts';

/** A backup as `delete` sees it. */
export interface Candidate {
  name: string;
  /** When its sentinel was last modified or, with --use-sentinel-time, when it started: milliseconds. */
  time: number;
  /** When it started. */
  started: number;
  place: Segment;
  full: boolean;
  permanent: boolean;
  deltaFrom?: string | undefined;
  deltaFullName?: string | undefined;
}

/** Every backup with its links, in the order of the store. @throws Fatal when one cannot be read */
export async function candidates(folder: Folder, bySentinel: boolean): Promise<Candidate[]> {
  const all: Candidate[] = [];
  for (const stored of await sentinels(folder)) {
    const name = stored.name.slice(BACKUPS.length, -SENTINEL.length);
    const { DeltaFrom: deltaFrom, DeltaFullName: deltaFullName } = await readSentinel(folder, name);
    const meta = await readMetadata(folder, name);
    const started = Date.parse(meta.start_time);
    const time = bySentinel ? started : stored.time.getTime();
    all.push({ name, time, started, place: firstSegment(name)!, full: !deltaFrom, permanent: meta.is_permanent, deltaFrom, deltaFullName });
  }
  return all;
}

/** Names of the WAL that permanent backups need to become consistent: from the segment before their start to that of their end. */
async function permanentWal(folder: Folder, { name }: Candidate): Promise<string[]> {
  const { start_lsn, finish_lsn } = await readMetadata(folder, name);
  const { timeline } = firstSegment(name)!;
  const [first, last] = [segmentAt(timeline, start_lsn - 1).number, segmentAt(timeline, finish_lsn - 1).number];
  return Array.from({ length: last - first + 1 }, (_, at) => segmentName({ timeline, number: first + at }));
}

/** The backup that an object below basebackups_005/ is of. */
export const ownerOf = (object: string): string => object.slice(BACKUPS.length).split('/')[0]!.split('_backup')[0]!;

/** Whether an object is of a permanent backup, or WAL that one needs. */
export async function permanence(folder: Folder, all: readonly Candidate[]): Promise<(object: string) => boolean> {
  log.info('retrieving permanent objects');
  const backups = new Set(all.filter(({ permanent }) => permanent).map(({ name }) => name));
  const wal = new Set<string>();
  for (const one of all) if (one.permanent) for (const segment of await permanentWal(folder, one)) wal.add(segment);
  if (backups.size > 0) log.info(`Found permanent objects: backups=[${[...backups].join(' ')}], wals=[${[...wal].join(' ')}]`);
  return object =>
    object.startsWith(WAL)
      ? wal.has(object.slice(WAL.length, WAL.length + 24))
      : object.startsWith(BACKUPS) && backups.has(ownerOf(object));
}

/** Orders backups, and objects against a backup. WAL-G's own order is that of timeline and segment, not of time. */
export interface Order {
  compare(a: Candidate, b: Candidate): number;
  /** Whether an object is older than a backup. What has no segment in its name, such as a history file, never is. */
  isBefore(object: string, target: Candidate): boolean;
}

const byPlace = (a: Segment, b: Segment): number => a.timeline - b.timeline || a.number - b.number;

export function orderOf(all: readonly Candidate[], bySentinel: boolean): Order {
  const starts = new Map(all.map(({ name, started }) => [name, started]));
  const isBefore = (object: string, target: Candidate): boolean => {
    const place = firstSegment(object);
    if (!place) return false;
    if (!bySentinel) return byPlace(place, target.place) < 0;
    if (object.startsWith(WAL)) return place.number < target.place.number;
    return (starts.get(ownerOf(object)) ?? Number.POSITIVE_INFINITY) < target.started;
  };
  return { compare: bySentinel ? (a, b) => a.started - b.started : (a, b) => byPlace(a.place, b.place), isBefore };
}

/** @throws Fatal, in WAL-G's words for a backup that is not there */
export const notFound = (): never => fatal('not found');
