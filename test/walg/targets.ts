import { type Candidate, notFound, type Order } from './candidates.ts';
import { fatal } from './log.ts';

export type Modifier = 'FULL' | 'FIND_FULL' | undefined;

const newestFirst = (all: readonly Candidate[], { compare }: Order): Candidate[] => [...all].sort((a, b) => compare(b, a));

function beforeName(all: readonly Candidate[], order: Order, name: string, modifier: Modifier): Candidate {
  const sorted = newestFirst(all, order);
  const at = sorted.findIndex(one => `${one.name}_backup_stop_sentinel.json`.startsWith(name));
  if (at < 0) return notFound();
  return (modifier === 'FIND_FULL' ? sorted.slice(at).find(({ full }) => full) : sorted[at]) ?? notFound();
}

const isTime = (text: string): boolean => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);

/** What `delete before [FIND_FULL] NAME|TIME` keeps, with all that is newer; undefined when no backup is that new. @throws Fatal */
export function beforeTarget(all: readonly Candidate[], order: Order, what: string, modifier: Modifier): Candidate | undefined {
  if (modifier === 'FULL') return fatal('unsupported moodifier for delete before command');
  if (!isTime(what)) return beforeName(all, order, what, modifier);
  const time = Date.parse(what);
  if (time > Date.now()) return fatal('cannot delete before future date');
  const first = newestFirst(all, order)
    .reverse()
    .find(one => one.time >= time);
  return first && beforeName(all, order, first.name, modifier);
}

/** What `delete retain [FULL|FIND_FULL] COUNT` keeps, with all that is newer; undefined when there are not so many. */
export function retainTarget(all: readonly Candidate[], order: Order, count: number, modifier: Modifier): Candidate | undefined {
  const names = new Set<string>();
  return newestFirst(all, order).find(one => {
    if (modifier !== 'FULL' || one.full) names.add(one.name);
    return modifier === 'FIND_FULL' ? names.size >= count && one.full : names.size === count;
  });
}

/** With `retain --after`: what was chosen, or the first backup since then if that is older. */
export function retainAfter(
  all: readonly Candidate[],
  order: Order,
  chosen: Candidate | undefined,
  after: string,
  modifier: Modifier,
): Candidate | undefined {
  const oldestFirst = newestFirst(all, order).reverse();
  const from = isTime(after)
    ? oldestFirst.findIndex(({ time }) => time >= Date.parse(after))
    : oldestFirst.findIndex(({ name }) => name.startsWith(after));
  const since = from < 0 ? undefined : oldestFirst.slice(from).find(({ full }) => !modifier || full);
  if (!chosen || !since) return chosen ?? since;
  return order.compare(since, chosen) > 0 ? chosen : since;
}

/** A backup and every delta that was made from it, or from one of those. */
export function dependants(all: readonly Candidate[], target: Candidate): Candidate[] {
  const from = all.filter(({ deltaFrom }) => deltaFrom === target.name);
  return [target, ...from.flatMap(one => dependants(all, one))];
}

/** With FIND_FULL: the full backup below the target, and every delta on that one. */
export function relatives(all: readonly Candidate[], target: Candidate): Candidate[] {
  const full = target.deltaFullName ?? target.name;
  return all.filter(({ name, deltaFullName }) => name === full || deltaFullName === full);
}
