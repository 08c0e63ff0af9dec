import { formatDuration } from '../age.ts';
import type { Dated, Frame, Policy, Why } from './types.ts';

/** What of one lineage the window looks at. */
interface Reach {
  /** The newest that had ended at or before the cut-off. */
  before?: Dated & { endedAt: Date };
  /** The first to end after it. */
  first?: Dated & { endedAt: Date };
  /** One that ended after it stays. */
  later: boolean;
}

const hasEnd = (each: Dated): each is Dated & { endedAt: Date } => each.endedAt !== undefined && !Number.isNaN(each.endedAt.getTime());

function lineages(pool: readonly Dated[], cutoff: number, stays: (id: string) => boolean): Map<string, Reach> {
  const found = new Map<string, Reach>();
  for (const each of pool) {
    if (each.lineage === undefined || !hasEnd(each)) continue;
    const reach = found.get(each.lineage) ?? { later: false };
    found.set(each.lineage, reach);
    const ended = each.endedAt.getTime();
    if (ended > cutoff) reach.later ||= stays(each.id);
    if (ended > cutoff && !(reach.first && reach.first.endedAt.getTime() <= ended)) reach.first = each;
    if (ended <= cutoff && !(reach.before && reach.before.endedAt.getTime() > ended)) reach.before = each;
  }
  return found;
}

/**
 * What a window of `policy.window` ms needs as its starting point, with the reason: of each lineage the newest that had ended at or before
 * the cut-off, or where none had, the first of all. A lineage without anything after the cut-off to roll forward over (a part of its log,
 * or a later backup that stays) needs none.
 *
 * So every instant of the window that could be reached still can be, as the log is kept from the oldest such start on. Let s be where it
 * ended: an instant t of the window at or after s is s and the log from s to t. Between the cut-off and an s after it nothing could be
 * reached before either: no good backup of the lineage had ended by then. Backups that end inside the window only shorten the replay, so
 * the counts alone decide on them; but instants behind a hole in the log are reached only from a backup behind it, and not every such one
 * is kept: `verify` names holes.
 * @param pool oldest first
 * @param stays whether a backup is kept for other reasons
 */
export function windowOf(pool: readonly Dated[], policy: Policy, frame: Frame, stays: (id: string) => boolean): Why {
  if (policy.window === undefined) return [];
  const cutoff = frame.now.getTime() - policy.window;
  const span = `the ${formatDuration(policy.window)} window`;
  return [...lineages(pool, cutoff, stays)].flatMap(([lineage, { before, first, later }]) => {
    const start = before ?? first;
    const goesOn = later || (frame.logUntil.get(lineage)?.getTime() ?? Number.NEGATIVE_INFINITY) > cutoff;
    if (!start || !goesOn) return [];
    return [[start.id, before ? `reaches back to the start of ${span}` : `the first of its lineage, inside ${span}`] as const];
  });
}
