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

/** What is told of the records of one kind that were passed over on the way to one that can be believed; undefined where there are none. */
export function passedOver(what: string, whys: readonly string[]): string | undefined {
  const [first, ...more] = whys;
  if (first === undefined) return undefined;
  if (more.length === 0) return `the record of a ${what} is passed over: ${first}`;
  return `${whys.length} records of a ${what} are passed over, the newest since ${first}`;
}
