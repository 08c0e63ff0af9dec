import { closest } from 'fastest-levenshtein';
import type * as z from 'zod';
import { meant, near } from '../near.ts';
import { NAME } from './fields.ts';
import type { Fault, Path } from './position.ts';
import { quoted } from './quoted.ts';
import { isSecretField } from './secrets.ts';

/** An address may carry a user and a password. */
const hasUser = (input: unknown): boolean => typeof input === 'string' && /:\/\/[^/\s]*@/.test(input);

/** A value in words; never the value of a secret field, nor an address with a password in it. */
const shown = (input: unknown, path: Path = []): string =>
  (input !== null && isSecretField(path)) || hasUser(input) ? 'this value' : quoted(input);

/** What was probably meant for a word; a map or a list is none. */
const wordOf = (value: unknown): string => (typeof value === 'object' ? '' : String(value));

/** `; did you mean "stores"? Allowed: …` */
export function hint(word: string, allowed: readonly string[]): string {
  return `${meant(word, allowed) || ';'} ${allowed.length ? `allowed: ${allowed.join(', ')}` : 'nothing is allowed here'}`;
}

const NAMES: Readonly<Record<string, string>> = {
  string: 'text (in quotes, where YAML would read something else)',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of settings',
  record: 'a map of names',
};

function range(low: unknown, high: unknown): string {
  const bounds = [Number(low), Number(high)];
  const [from, to] = bounds.map(bound => (Number.isFinite(bound) && Math.abs(bound) < Number.MAX_SAFE_INTEGER ? bound : undefined));
  if (from !== undefined && to !== undefined) return ` from ${from} to ${to}`;
  return from !== undefined ? ` of at least ${from}` : to !== undefined ? ` of at most ${to}` : '';
}

const wanted = (issue: any): string => {
  if (issue.expected === 'number' || issue.expected === 'int') return `a whole number${range(issue.inst?.minValue, issue.inst?.maxValue)}`;
  return NAMES[issue.expected] ?? String(issue.expected);
};

const size = (issue: any): string => {
  const [low, word] = [issue.code === 'too_small', issue.origin === 'array' ? 'items' : 'characters'];
  const bound = low ? issue.minimum : issue.maximum;
  if (issue.origin === 'number' || issue.origin === 'int')
    return `${shown(issue.input)} is not allowed; allowed is a whole number of at ${low ? 'least' : 'most'} ${bound}`;
  return `has too ${low ? 'few' : 'many'} ${word}; allowed are at ${low ? 'least' : 'most'} ${bound}`;
};

/** A word that is like one of those allowed is a slip; any other may be a secret that got the wrong key. */
const slip = (input: unknown, allowed: readonly string[], path?: Path): string =>
  near(wordOf(input), allowed) === undefined ? 'this value' : shown(input, path);

const choice = (issue: any): string => {
  if (issue.code === 'invalid_union' && issue.discriminator !== undefined) {
    const given = issue.input?.[issue.discriminator];
    const options: string[] = (issue.options ?? []).map(String);
    return given === undefined
      ? `is missing; allowed: ${options.join(', ')}`
      : `${slip(given, options)} is unknown${hint(wordOf(given), options)}`;
  }
  const options = (issue.values ?? []).map(String);
  return `${slip(issue.input, options, issue.path)} is unknown${hint(wordOf(issue.input), options)}`;
};

const missing = (issue: any): string =>
  issue.values ? `is missing; allowed: ${issue.values.join(', ')}` : `is missing; it must be ${wanted({ expected: 'a value', ...issue })}`;

/** Words for one raw issue of zod, which still knows its input and schema. Unknown keys come a line each. */
export function words(issue: any): string | undefined {
  if (issue.code === 'unrecognized_keys') {
    const allowed = Object.keys(issue.inst?.def?.shape ?? {});
    return issue.keys.map((key: string) => `unknown key ${JSON.stringify(key)}${hint(key, allowed)}`).join('\n');
  }
  if (issue.code === 'invalid_union') return choice(issue);
  if (issue.input === undefined) return missing(issue);
  if (issue.code === 'invalid_type') return `${shown(issue.input, issue.path)} is not allowed; it must be ${wanted(issue)}`;
  if (issue.code === 'invalid_value') return choice(issue);
  if (issue.code === 'too_small' || issue.code === 'too_big') return size(issue);
  if (issue.code === 'invalid_key') return `is no name; allowed: lower-case letters, digits and "-" inside, 1 to 63 (${NAME.source})`;
  if (issue.code === 'invalid_format') return `${shown(issue.input, issue.path)} is not allowed; allowed is what matches ${issue.pattern}`;
  return undefined;
}

const valueAt = (data: unknown, path: Path): unknown => path.reduce<any>((at, key) => at?.[key], data);

/**
 * The data with every engine or type that is not known replaced by the one that was probably meant, so that what else is wrong there can be
 * told as well; undefined when all are known.
 */
export function guessed(error: z.ZodError, data: unknown): unknown {
  const unknowns = error.issues.filter((issue: any) => issue.code === 'invalid_union' && issue.discriminator && issue.options?.length);
  if (unknowns.length === 0) return undefined;
  const copy = structuredClone(data);
  for (const { path, options } of unknowns as any[]) {
    const field = path.at(-1)!;
    const at: any = valueAt(copy, path.slice(0, -1));
    at[field] = closest(wordOf(at[field]), options.map(String));
  }
  return copy;
}

/** Faults of zod's issues, a fault for each unknown key. */
export const faultsOf = (error: z.ZodError, data: unknown): Fault[] =>
  error.issues.flatMap(issue => {
    if (issue.code === 'unrecognized_keys')
      return issue.message.split('\n').map((text, n) => ({ path: [...issue.path, issue.keys[n]!], text, key: true }));
    const text = issue.code === 'custom' ? `${shown(valueAt(data, issue.path), issue.path)} ${issue.message}` : issue.message;
    return [{ path: issue.path, text, key: issue.code === 'invalid_key' }];
  });
