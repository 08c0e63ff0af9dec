import { timelineOf } from './history.ts';
import { segmentAt, segmentName, segmentStart } from './lsn.ts';
import { type Archive, type Base, coveredIn, newestPath, wholeIn, withoutHistory } from './plan.ts';

/** A run of WAL segments that a store lacks although it has later ones. */
export interface Hole {
  /** Names of the first and the last missing segment. */
  first: string;
  last: string;
  segments: number;
  /** First LSN that is gone. */
  from: bigint;
  /** Bases that cannot be rolled forward past it; none = an old gap before every base. */
  breaks: readonly Base[];
  /** The first base after it, from whose end on every instant can be reached again. */
  next?: Base;
}

const lastInside = (base: Base): number => segmentAt(base.to - 1n, base.segmentBytes);

/** `Math.min` takes no more arguments than fit on the stack, and an archive may hold a million files. */
const least = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);

/** Runs of numbers between the smallest and the largest of `present` that are not in it, as [first, last]. */
function runsMissing(present: readonly number[]): [number, number][] {
  const sorted = [...present].sort((a, b) => a - b);
  return sorted.flatMap((number, n): [number, number][] => {
    const before = sorted[n - 1];
    return before !== undefined && number > before + 1 ? [[before + 1, number - 1]] : [];
  });
}

/** The last segment that is begun counts as an end, where it lies beyond what is whole; one between those is a hole for its rest. */
function withNext(present: readonly number[], begun: readonly number[]): number[] {
  const last = present.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const next = begun.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return present.length > 0 && next > last ? [...present, next] : [...present];
}

/**
 * Every hole in the WAL of one lineage, along the newest timeline that goes through its oldest base. A base has its own WAL inside, so
 * a hole breaks it only where it reaches beyond that. The stretch between a base's own WAL and the first archived segment counts too.
 */
export function holesOf(bases: readonly Base[], archive: Archive): Hole[] {
  const byStart = [...bases].sort((a, b) => (a.from < b.from ? -1 : 1));
  const oldest = byStart[0];
  if (!oldest) return [];
  const size = oldest.segmentBytes;
  const path = newestPath(oldest, archive);
  const nameOf = (number: number): string => segmentName({ timeline: timelineOf(path, number, size), number }, size);
  const perFile = 0x100000000 / size;
  const numberOf = (name: string): number => Number.parseInt(name.slice(8, 16), 16) * perFile + Number.parseInt(name.slice(16), 16);
  const names = new Set(wholeIn(archive, size));
  const archived = [...names].map(numberOf).filter(number => names.has(nameOf(number)));
  // The beginning of a later segment, in chunks, shows as well that what lies before it is missing.
  const begun = [...(archive.open?.keys() ?? [])].map(numberOf).filter(number => coveredIn(archive, nameOf(number), size) > 0);
  // Bytes behind a hole in an open segment show that, as the next segment would.
  const torn = [...(archive.torn?.keys() ?? [])].filter(name => nameOf(numberOf(name)) === name).map(name => numberOf(name) + 1);
  const later = [...archived, ...torn];
  const first = least(byStart.map(lastInside));
  const present = later.length > 0 && first < least(later) ? [first, ...later] : later;
  return runsMissing(withNext(present, begun)).map(([first, last]) => {
    const breaks = byStart.filter(base => segmentAt(base.from, size) <= last && lastInside(base) < last);
    const next = byStart.find(base => lastInside(base) >= last && !breaks.includes(base));
    return {
      first: nameOf(first),
      last: nameOf(last),
      segments: last - first + 1,
      from: segmentStart(first, size) + BigInt(coveredIn(archive, nameOf(first), size)),
      breaks,
      ...(next ? { next } : {}),
    };
  });
}

/** A timeline of which there is WAL, and no history: nobody knows where it left the one before. */
export interface LostHistory {
  timeline: number;
  /** Bases of older timelines, which cannot be rolled forward into it. */
  breaks: readonly Base[];
}

/** The newest timeline of one lineage whose history is lost, where a base needs it; undefined = none. */
export function lostHistory(bases: readonly Base[], archive: Archive): LostHistory | undefined {
  const ends = bases.map(base => ({ base, timeline: withoutHistory(archive, newestPath(base, archive).at(-1)!.timeline) }));
  const timeline = ends.reduce((newest, each) => Math.max(newest, each.timeline ?? 0), 0);
  if (timeline === 0) return undefined;
  return { timeline, breaks: ends.filter(each => each.timeline === timeline).map(({ base }) => base) };
}
