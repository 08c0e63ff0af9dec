import type { Problem } from './catalog.ts';

/** What is wrong, without which object it is of. */
const reasonOf = ({ store, key, error }: Problem): string => JSON.stringify([store, key === undefined ? error : error.replaceAll(key, '')]);

/**
 * Problems as they are told: those of one store with one reason are one, with their number. After a new signing key alone, every backup of a
 * store has the same.
 */
export function gathered(problems: readonly Problem[]): Problem[] {
  const groups = new Map<string, Problem[]>();
  for (const problem of problems) groups.set(reasonOf(problem), [...(groups.get(reasonOf(problem)) ?? []), problem]);
  return [...groups.values()].map(([first, ...more]) =>
    more.length === 0 ? first! : { ...first!, error: `${first!.error}; so it is with ${more.length} more there` },
  );
}
