import { instantOf } from '../id.ts';
import { byAge, isDated } from './good.ts';
import type { Candidate } from './types.ts';

/**
 * Where backups build on others: what cannot be read may build on the newest one before it that can be, by the time in its id. That one is
 * guarded, and what it needs stays with it: whoever reads the other one, such as a newer bkp, still restores it.
 */
export function guardUnread(candidates: readonly Candidate[]): Candidate[] {
  const parents = candidates.filter(isDated).filter(({ state, anomalous }) => state !== 'unreadable' && !anomalous);
  const parentOf = ({ id }: Candidate): string | undefined => {
    const at = instantOf(id)?.getTime() ?? Number.NEGATIVE_INFINITY;
    return parents
      .filter(({ startedAt }) => startedAt.getTime() <= at)
      .sort(byAge)
      .at(-1)?.id;
  };
  const why = new Map<string, string[]>();
  for (const unread of candidates.filter(({ state }) => state === 'unreadable')) {
    const parent = parentOf(unread);
    if (parent) why.set(parent, [...(why.get(parent) ?? []), `${unread.id} cannot be read, and may build on it`]);
  }
  return candidates.map(each => (why.has(each.id) ? { ...each, guards: [...each.guards, ...why.get(each.id)!] } : each));
}
