import { closest, distance } from 'fastest-levenshtein';

/**
 * What was probably meant by a word that is none of those allowed: the one that is like it but for a third of its letters, or for two.
 * @returns undefined where nothing is like it
 */
export function near(word: string, allowed: readonly string[]): string | undefined {
  const found = word && allowed.length ? closest(word, allowed) : '';
  return found && distance(word, found) <= Math.max(2, Math.floor(word.length / 3)) ? found : undefined;
}

/**
 * The end of a sentence about a word that is none of those allowed.
 * @returns `; did you mean "postgres"?`, or nothing where nothing is like it
 */
export function meant(word: string, allowed: readonly string[]): string {
  const found = near(word, allowed);
  return found === undefined ? '' : `; did you mean "${found}"?`;
}
