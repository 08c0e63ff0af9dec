/** One entry as the order of full-dr sees it; `after` names kinds or `kind/name`. */
export interface Member {
  kind: string;
  name: string;
  after: readonly string[];
}

const isMeant = (name: string, { kind, name: own }: Member): boolean => name === kind || name === `${kind}/${own}`;

/** What a member waits for. A kind does not wait for itself: it names its fellows one by one, if at all. */
export const needsOf = <T extends Member>(member: T, all: readonly T[]): T[] =>
  all.filter(other => other !== member && member.after.some(name => isMeant(name, other) && name !== member.kind));

/** One way round a circle among members that all wait for one another. */
function circleOf<T extends Member>(left: readonly T[]): T[] {
  const path: T[] = [];
  for (let at = left[0]; at !== undefined; at = needsOf(at, left)[0]) {
    const seen = path.indexOf(at);
    if (seen >= 0) return path.slice(seen);
    path.push(at);
  }
  return path;
}

/**
 * Members in the order in which they come back: each wave needs only what stands before it, and all of it can be worked at side by side.
 * @returns `circle`: members that wait for one another, each after the next; they and what waits for them are in no wave
 */
export function wavesOf<T extends Member>(members: readonly T[]): { waves: T[][]; circle: T[] } {
  const waves: T[][] = [];
  let left = [...members];
  while (left.length > 0) {
    const free = left.filter(member => needsOf(member, left).length === 0);
    if (free.length === 0) return { waves, circle: circleOf(left) };
    waves.push(free);
    left = left.filter(member => !free.includes(member));
  }
  return { waves, circle: [] };
}

/** What cannot come back once some have failed: all that waits for them, whether at once or by others. `failed` are not among them. */
export function blockedBy<T extends Member>(failed: readonly T[], all: readonly T[]): T[] {
  const stopped = new Set<T>(failed);
  for (let size = -1; size !== stopped.size; ) {
    size = stopped.size;
    for (const member of all) if (needsOf(member, all).some(need => stopped.has(need))) stopped.add(member);
  }
  return all.filter(member => stopped.has(member) && !failed.includes(member));
}
