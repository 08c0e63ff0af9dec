import { type Stretch, timelineOf } from './history.ts';
import type { Hole } from './holes.ts';
import { parseSegment, segmentAt, segmentName, segmentStart } from './lsn.ts';
import { type Archive, type Base, coveredIn, newestPath, type Reach, reachOf, wholeIn } from './plan.ts';
import { isOnPath } from './resume.ts';

/** A run of WAL on top of one or more bases: each position from the end of the first base to `end` can be reached. */
export interface Window {
  /** Oldest first, never empty; one alone without WAL behind it is a single point. */
  bases: readonly Base[];
  /** The timelines from the first base's to that of the end, oldest first. */
  path: readonly Stretch[];
  /** First LSN that can no longer be replayed. */
  end: bigint;
  /** Names of the archived segments from the start of the first base to the end, in order. */
  segments: readonly string[];
  /** What is missing behind it, up to where the next window of this way begins. */
  gaps: readonly Hole[];
  /** It ends where the archive of the newest timeline ends: what comes next makes it longer. */
  open: boolean;
}

interface Ranged {
  base: Base;
  path: readonly Stretch[];
  reach: Reach;
}

const ranged = (base: Base, archive: Archive): Ranged => {
  const path = newestPath(base, archive);
  return { base, path, reach: reachOf(base, archive, path) };
};

/** One way of recovery: its timelines, the numbers of its archived segments in order, and the names of both. */
interface Way {
  path: readonly Stretch[];
  segmentBytes: number;
  archived: readonly number[];
}

const wayOf = ({ path, base: { segmentBytes } }: Ranged, archive: Archive): Way => ({
  path,
  segmentBytes,
  archived: wholeIn(archive, segmentBytes)
    .filter(name => isOnPath(name, path, segmentBytes))
    .map(name => parseSegment(name, segmentBytes)!.number)
    .sort((a, b) => a - b),
});

/** What is not archived between two numbers, both included, as holes that break nothing yet. */
function missing({ path, segmentBytes, archived }: Way, from: number, upto: number): Omit<Hole, 'breaks'>[] {
  const nameOf = (number: number): string => segmentName({ timeline: timelineOf(path, number, segmentBytes), number }, segmentBytes);
  const holes: Omit<Hole, 'breaks'>[] = [];
  let next = from;
  for (const number of [...archived.filter(each => each >= from && each <= upto), upto + 1]) {
    const from = segmentStart(next, segmentBytes);
    if (number > next) holes.push({ first: nameOf(next), last: nameOf(number - 1), segments: number - next, from });
    next = number + 1;
  }
  return holes;
}

const lastInside = ({ to, segmentBytes }: Base): number => segmentAt(to - 1n, segmentBytes);

/** Bases of one way, by their ends, cut where one lies beyond what those before it reach. */
function runs(sorted: readonly Ranged[]): Ranged[][] {
  const found: Ranged[][] = [];
  for (const each of sorted) {
    const before = found.at(-1)?.at(-1);
    if (before && each.base.to <= before.reach.end && each.reach.end === before.reach.end) found.at(-1)!.push(each);
    else found.push([each]);
  }
  return found;
}

/** The part of a way that a window uses: a timeline that begins behind its end is none of it. */
const usedOf = (path: readonly Stretch[], first: Base, end: bigint): Stretch[] => {
  const used = path.slice(path.findIndex(({ timeline }) => timeline === first.timeline)).filter(({ from }) => from < end);
  return used.map((stretch, n) => {
    const { timeline, from } = stretch;
    return n === used.length - 1 ? { timeline, from } : stretch;
  });
};

/** Up to the base with which it goes on; without one, up to the last segment that is archived. */
function gapsOf(way: Way, bases: readonly Base[], end: bigint, next: Base | undefined): Hole[] {
  const upto = next ? lastInside(next) : (way.archived.at(-1) ?? -1);
  return missing(way, segmentAt(end, way.segmentBytes), upto).map(hole => ({
    ...hole,
    from: hole.from > end ? hole.from : end,
    breaks: bases,
    ...(next ? { next } : {}),
  }));
}

function windowOf(way: Way, run: readonly Ranged[], next: Ranged | undefined, archive: Archive): Omit<Window, 'open'> {
  const { base: first, reach } = run[0]!;
  const bases = run.map(({ base }) => base);
  return {
    bases,
    path: usedOf(way.path, first, reach.end),
    end: reach.end,
    segments: reach.segments.filter(name => coveredIn(archive, name, first.segmentBytes) > 0),
    gaps: gapsOf(way, bases, reach.end, next?.base),
  };
}

const compare = (a: Ranged, b: Ranged): number => (a.base.to < b.base.to ? -1 : a.base.to > b.base.to ? 1 : 0);

/** The windows of one way, and the holes before its oldest base. */
function along(bases: readonly Ranged[], archive: Archive, newest: boolean): { windows: Window[]; before: Hole[] } {
  const all = runs([...bases].sort(compare));
  const way = wayOf(bases[0]!, archive);
  const windows = all.map((run, n) => {
    const window = windowOf(way, run, all[n + 1]?.[0], archive);
    return { ...window, open: newest && n === all.length - 1 && window.gaps.length === 0 };
  });
  const oldest = Math.min(...bases.map(({ base }) => segmentAt(base.from, base.segmentBytes)));
  const first = way.archived[0] ?? oldest;
  return { windows, before: missing(way, first, oldest - 1).map(hole => ({ ...hole, breaks: [] })) };
}

const timelineOfEnd = ({ path }: Ranged): number => path.at(-1)!.timeline;

/**
 * From where to where a restore out of one lineage can choose any position: bases are grouped by the way that recovery takes from them, and
 * cut where WAL is missing. Bases on a timeline that was left behind have windows of their own. Pure.
 * @param bases of one lineage, in any order
 * @returns windows by way and position, and the holes before the oldest base, which nothing needs
 */
export function windowsOf(bases: readonly Base[], archive: Archive): { windows: Window[]; before: Hole[] } {
  const ways = new Map<number, Ranged[]>();
  for (const each of bases.map(base => ranged(base, archive))) {
    const way = ways.get(timelineOfEnd(each)) ?? [];
    way.push(each);
    ways.set(timelineOfEnd(each), way);
  }
  const timelines = [...ways.keys()].sort((a, b) => a - b);
  const found = timelines.map(timeline => along(ways.get(timeline)!, archive, timeline === timelines.at(-1)));
  const before = new Map(found.flatMap(each => each.before.map(hole => [hole.first, hole] as const)));
  return { windows: found.flatMap(({ windows }) => windows), before: [...before.values()] };
}
