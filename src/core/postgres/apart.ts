import type { LineageId } from '../contracts.ts';
import { segmentAt, segmentName } from './lsn.ts';
import type { Base, Contents } from './plan.ts';

/** The last segment that a backup has inside. The end of a backup closes it, so it is archived just as it is. */
export const lastSegment = ({ timeline, to, segmentBytes }: Pick<Base, 'timeline' | 'to' | 'segmentBytes'>): string =>
  segmentName({ timeline, number: segmentAt(to - 1n, segmentBytes) }, segmentBytes);

/**
 * Whether a base is of another history than the WAL of its lineage: its last segment is archived with another content. A copy of the
 * server's disk that was started, or a server that was set back, goes on under the same system identifier and timeline, so that nothing
 * else tells. Such a base restores to its own end; the WAL there does not go on from it. Pure.
 */
export function isApart(base: Base, contents: Contents): boolean {
  const archived = contents.get(lastSegment(base));
  return base.hash !== undefined && archived !== undefined && !archived.has(base.hash);
}

/** The bases that the WAL of their lineage goes on from, and the others. */
export function parted<T extends Base>(bases: readonly T[], contents: Contents = new Map()): { own: T[]; apart: T[] } {
  return { own: bases.filter(base => !isApart(base, contents)), apart: bases.filter(base => isApart(base, contents)) };
}

/** What to say of such a base. */
export const tellApart = (base: Base, lineage: LineageId): string =>
  `backup ${base.id} is of another history than the WAL of lineage ${lineage}, in which ${lastSegment(base)} has another content`;
