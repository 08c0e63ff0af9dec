import { type Ancestor, pathTo, type Stretch, timelineOf } from './history.ts';
import { historyName, parseSegment, segmentAt, segmentName, segmentStart } from './lsn.ts';

/** A base backup as the planner needs it. `from`/`to` bound the WAL inside it. */
export interface Base {
  id: string;
  /** Instant at which the backup had ended: earlier targets cannot be reached from it. */
  endedAt: Date;
  timeline: number;
  from: bigint;
  to: bigint;
  segmentBytes: number;
  /** What the last segment inside is, as the archive names contents. */
  hash?: string;
}

/** By the name of a segment, hashes of the copies of it that are there. */
export type Contents = ReadonlyMap<string, ReadonlySet<string>>;

/** The WAL of one lineage in the stores: file names of whole segments, and the histories by timeline. */
export interface Archive {
  segments: ReadonlySet<string>;
  /** Segments that are there in chunks only: up to which byte from their first one on. */
  open?: ReadonlyMap<string, number>;
  /** Of these, or of some without a first byte, chunks lie behind a hole: up to which byte any reaches. */
  torn?: ReadonlyMap<string, number>;
  histories: ReadonlyMap<number, readonly Ancestor[]>;
  /** What the copies of a whole segment are. */
  hashes?: Contents;
}

/** How far one base can be rolled forward. */
export interface Reach {
  base: Base;
  /** Timeline on which recovery ends. */
  timeline: number;
  /** Segments needed beyond nothing: from the base's first to the last before a hole or the end, in order. */
  segments: readonly string[];
  /** First LSN that can no longer be replayed; inside the last segment where that is there in chunks. */
  end: bigint;
  /** The first missing segment, where later WAL exists; or the missing history of a later timeline. */
  hole?: string;
}

/** How many bytes of a segment are there from its first one on; all of them in chunks is as good as whole. */
export const coveredIn = (archive: Archive, name: string, segmentBytes: number): number =>
  archive.segments.has(name) ? segmentBytes : Math.min(archive.open?.get(name) ?? 0, segmentBytes);

/** Names of the segments of which the archive has every byte. */
export const wholeIn = (archive: Archive, segmentBytes: number): string[] => [
  ...archive.segments,
  ...[...(archive.open ?? [])].filter(([name, end]) => end >= segmentBytes && !archive.segments.has(name)).map(([name]) => name),
];

const timelineFromName = (name: string): number => Number.parseInt(name.slice(0, 8), 16);

/** Every timeline of which there is WAL. */
const timelinesIn = ({ segments, open }: Archive): number[] => [...new Set([...segments, ...(open?.keys() ?? [])].map(timelineFromName))];

/** The newest timeline behind `last` of which there is WAL, and no history that says where it began; undefined = none. */
export const withoutHistory = (archive: Archive, last: number): number | undefined =>
  timelinesIn(archive)
    .filter(timeline => timeline > last && !archive.histories.has(timeline))
    .sort((a, b) => b - a)[0];

/** A path suits a base when it stays on the base's timeline at least until the base's own end. */
const passes = (path: readonly Stretch[], base: Base): boolean => {
  const own = path.find(stretch => stretch.timeline === base.timeline);
  return own !== undefined && (own.until === undefined || own.until >= base.to);
};

/** The newest timeline that goes through `base`, as its path. */
export function newestPath(base: Base, archive: Archive): Stretch[] {
  const timelines = new Set([base.timeline, ...archive.histories.keys(), ...timelinesIn(archive)]);
  const newestFirst = [...timelines].sort((a, b) => b - a);
  const path = newestFirst.map(timeline => pathTo(timeline, archive.histories)).find(candidate => passes(candidate, base));
  return path ?? pathTo(base.timeline, archive.histories);
}

/** The longest beginning of segment `number` that chunks hold on any timeline of the path, and no further than where that one was left. */
function openTail(number: number, size: number, archive: Archive, path: readonly Stretch[]): { name: string; end: bigint } | undefined {
  const start = segmentStart(number, size);
  const found = path
    .filter(({ from, until }) => from < start + BigInt(size) && (until === undefined || until > start))
    .map(({ timeline, until }) => {
      const name = segmentName({ timeline, number }, size);
      const end = start + BigInt(coveredIn(archive, name, size));
      return { name, end: until !== undefined && until < end ? until : end };
    })
    .filter(({ end }) => end > start);
  return found.reduce<(typeof found)[number] | undefined>((best, each) => (best && best.end > each.end ? best : each), undefined);
}

/** An open segment of one of these timelines that has bytes beyond `end`, behind a hole. */
const tornBehind = ({ torn }: Archive, timelines: ReadonlySet<number>, end: bigint, size: number): string | undefined =>
  [...(torn ?? [])].find(([name, last]) => {
    const at = parseSegment(name, size);
    return at && timelines.has(at.timeline) && segmentStart(at.number, size) + BigInt(last) > end;
  })?.[0];

const lostHistory = (archive: Archive, last: number): string | undefined => {
  const timeline = withoutHistory(archive, last);
  return timeline === undefined ? undefined : historyName(timeline);
};

/**
 * What can be replayed on top of `base`, along `path` or the newest timeline that goes through it. The last segment may be there in chunks,
 * up to some byte inside it. Pure.
 */
export function reachOf(base: Base, archive: Archive, path: readonly Stretch[] = newestPath(base, archive)): Reach {
  const size = base.segmentBytes;
  const nameOf = (number: number) => segmentName({ timeline: timelineOf(path, number, size), number }, size);
  const covered = (number: number): number => coveredIn(archive, nameOf(number), size);
  const lastInside = segmentAt(base.to - 1n, size);
  const segments: string[] = [];
  let number = segmentAt(base.from, size);
  for (; number <= lastInside || covered(number) === size; number += 1) segments.push(nameOf(number));
  const upto = segmentStart(number - 1, size) + BigInt(covered(number - 1));
  let end = upto > base.to ? upto : base.to;
  let missing = end < segmentStart(number, size) && end > base.to ? nameOf(number - 1) : nameOf(number);
  const tail = end === segmentStart(number, size) ? openTail(number, size, archive, path) : undefined;
  if (tail) {
    segments.push(tail.name);
    end = tail.end;
    missing = tail.name;
  }
  const wanted = new Set(path.map(stretch => stretch.timeline));
  const later = (name: string): boolean => wanted.has(timelineFromName(name)) && name.slice(8) > missing.slice(8);
  const beyond = [...archive.segments, ...(archive.open?.keys() ?? [])].some(later);
  const timeline = path.at(-1)!.timeline;
  const hole = beyond ? missing : (tornBehind(archive, wanted, end, size) ?? lostHistory(archive, timeline));
  return { base, timeline, segments, end, ...(hole === undefined ? {} : { hole }) };
}

const newestFirst = (bases: readonly Base[]): Base[] => [...bases].sort((a, b) => b.endedAt.getTime() - a.endedAt.getTime());

/** The newest base that had ended at or before `time`; undefined when none had. */
export const baseForTime = (bases: readonly Base[], time: Date): Base | undefined =>
  newestFirst(bases).find(base => base.endedAt.getTime() <= time.getTime());

/** The newest base whose own WAL ends at or before `lsn`. */
export const baseForLsn = (bases: readonly Base[], lsn: bigint): Base | undefined => newestFirst(bases).find(base => base.to <= lsn);

/**
 * The bases from which the newest timeline of their lineage is reached. One that was taken on an old primary after a failover is none of
 * them: what it leads to was left.
 */
export function onward(bases: readonly Base[], archive: Archive): Base[] {
  const ends = bases.map(base => newestPath(base, archive).at(-1)!.timeline);
  const newest = ends.reduce((a, b) => Math.max(a, b), 0);
  return bases.filter((_, n) => ends[n] === newest);
}

/** The newest base. */
export const newestBase = (bases: readonly Base[]): Base | undefined => newestFirst(bases)[0];
