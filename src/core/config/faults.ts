import { closest } from 'fastest-levenshtein';
import type { Document, LineCounter, Node, Pair } from 'yaml';
import { isMap } from 'yaml';
import type { z } from 'zod';
import { BkpError } from '../errors.ts';

/** Something wrong with a config, and where: `at` is an offset into the text. */
export interface Fault {
  at: number;
  text: string;
}

type Path = readonly PropertyKey[];

/** The offset of what `path` names: the key of a map, the item of a list; the nearest thing around it where it is missing. */
export function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true) as Node | undefined;
    const last = path[length - 1];
    const pair = isMap(parent) ? parent.items.find(item => String((item as Pair<Node>).key) === String(last)) : undefined;
    const key = pair?.key as Node | undefined;
    if (key?.range) return key.range[0];
    const node = document.getIn(path.slice(0, length), true) as Node | undefined;
    if (node?.range) return node.range[0];
  }
  return 0;
}

const dotted = (path: Path): string => path.map(String).join('.') || 'the file';

const nearest = (key: string, allowed: readonly string[]): string => {
  const near = allowed.length > 0 ? closest(key, [...allowed]) : '';
  return near && !near.includes(key) && Math.abs(near.length - key.length) > 3 ? '' : near;
};

const unknownKey = (key: string, path: Path, allowed: readonly string[]): string => {
  const near = nearest(key, allowed);
  return `unknown key "${key}" in ${dotted(path)}${near ? `, did you mean "${near}"?` : ''} (allowed: ${allowed.join(', ')})`;
};

/** The keys that the schema allows at a path; records allow any name and answer with none. */
export type AllowedAt = (path: Path) => readonly string[];

function faultsOf(issue: z.core.$ZodIssue, document: Document, allowed: AllowedAt): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({
      at: offsetOf(document, [...issue.path, key]),
      text: unknownKey(key, issue.path, allowed(issue.path)),
    }));
  }
  const at = offsetOf(document, issue.path);
  if (issue.code === 'invalid_key') return [{ at, text: `${dotted(issue.path)}: ${issue.issues[0]?.message ?? issue.message}` }];
  const value = document.getIn(issue.path);
  if (value === undefined) return [{ at, text: `${dotted(issue.path)} is missing: ${issue.message}` }];
  const shown = typeof value === 'string' || typeof value === 'number' ? ` is "${value}"` : '';
  const secret = /password|secret|token|identity|signing/i.test(String(issue.path.at(-1)));
  return [{ at, text: `${dotted(issue.path)}${secret ? '' : shown}: ${issue.message}` }];
}

export const zodFaults = (error: z.ZodError, document: Document, allowed: AllowedAt): Fault[] =>
  error.issues.flatMap(issue => faultsOf(issue, document, allowed));

/** One error of all faults, a line each, in the order of the file. */
export function refusal(file: string, faults: readonly Fault[], lines: LineCounter): BkpError {
  const told = [...faults]
    .sort((a, b) => a.at - b.at)
    .map(({ at, text }) => {
      const { line, col } = lines.linePos(at);
      return `${file}:${line}:${col}: ${text}`;
    });
  return new BkpError('usage', told.join('\n'), { next: 'bkp config schema prints everything that is allowed' });
}
