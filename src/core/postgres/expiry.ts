import { parseSegment, segmentAt } from './lsn.ts';
import { type Base, baseForTime } from './plan.ts';

/** A base that stays. */
export interface KeptBase extends Base {
  /** Something rolls it forward just now, or somebody wants to be able to: the WAL from its start on stays, however old. */
  guarded: boolean;
  /** Not trusted as the base with which the window begins; an older one then has to serve. */
  anomalous: boolean;
}

/** A file of the archive of one lineage; `modified` is when the store got it. */
export interface WalFile {
  name: string;
  modified: Date;
}

/**
 * The bases that are rolled forward: those that any instant from `cutoff` on is restored from, and the guarded ones. That is the newest
 * trusted base that had ended at the cutoff and all that ended later. Without one that old, it is every base.
 * @param bases kept bases of one lineage
 */
export function rollingBases(bases: readonly KeptBase[], cutoff: Date): KeptBase[] {
  const trusted = bases.filter(base => !base.anomalous);
  const since = baseForTime(trusted, cutoff)?.endedAt.getTime() ?? Number.NEGATIVE_INFINITY;
  return bases.filter(base => base.guarded || base.endedAt.getTime() >= since);
}

/**
 * The LSN from which on the WAL of a lineage stays on every timeline: the smallest start of the bases that are rolled forward; after a
 * failover or a slow base, a later one may begin at a smaller LSN. A lineage that has ended keeps what follows its last base, whatever its
 * age: it is the last state of that cluster.
 * @param bases kept bases of one lineage
 * @returns undefined where none is kept
 */
export function oldestNeed(bases: readonly KeptBase[], cutoff: Date): bigint | undefined {
  return rollingBases(bases, cutoff)
    .map(base => base.from)
    .reduce<bigint | undefined>((least, from) => (least === undefined || from < least ? from : least), undefined);
}

const numberIn = (name: string, segmentBytes: number): number | undefined => parseSegment(name.slice(0, 24), segmentBytes)?.number;

/** What bases of one segment size need, in numbers of segments: all from `from` on, and what lies inside a base, ends included. */
interface Needed {
  segmentBytes: number;
  from: number;
  inside: readonly { first: number; last: number }[];
}

/** By every segment size that the bases of the lineage know of: it is one, unless pg_resetwal changed it. */
const neededBySize = (bases: readonly Base[], need: bigint): Needed[] =>
  [...new Set(bases.map(({ segmentBytes }) => segmentBytes))].map(segmentBytes => ({
    segmentBytes,
    from: segmentAt(need, segmentBytes),
    inside: bases
      .filter(base => base.segmentBytes === segmentBytes)
      .map(({ from, to }) => ({ first: segmentAt(from, segmentBytes), last: segmentAt(to - 1n, segmentBytes) })),
  }));

/** What is named as no segment of that size may be anything. */
function isNeededBy(name: string, { segmentBytes, from, inside }: Needed): boolean {
  const number = numberIn(name, segmentBytes);
  return number === undefined || number >= from || inside.some(({ first, last }) => number >= first && number <= last);
}

/**
 * Whether a WAL segment, or its `.partial` or `.backup`, is needed by kept bases of its lineage: from the oldest need on, and from start to
 * stop of each base. Every base has that stretch inside as well; the copy in the archive costs little and is what WAL is checked against.
 */
export function neededWal(bases: readonly KeptBase[], cutoff: Date): (name: string) => boolean {
  const need = oldestNeed(bases, cutoff);
  if (need === undefined) return () => false;
  const sizes = neededBySize(bases, need);
  return name => sizes.some(size => isNeededBy(name, size));
}

/**
 * The files of one lineage that may go: stored before `cutoff` and needed by nothing. Histories are small and every timeline needs them:
 * they go with the last file of a lineage of which no base is kept. Bases of other lineages do not count, not even of a cluster that was
 * restored from this one: a restore reads the WAL of its base's own lineage only, and that base began after the fork. Pure.
 * @param files every archived file of the lineage in one store
 * @param bases the kept bases of the lineage
 * @param cutoff begin of the window from which on every instant is to be reachable
 */
export function expiredWal<T extends WalFile>(files: readonly T[], bases: readonly KeptBase[], cutoff: Date): T[] {
  const old = files.filter(({ modified }) => modified.getTime() < cutoff.getTime());
  if (bases.length === 0 && old.length === files.length) return old;
  const isNeeded = neededWal(bases, cutoff);
  return old.filter(({ name }) => !name.endsWith('.history') && !isNeeded(name));
}
