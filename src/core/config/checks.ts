import * as z from 'zod';
import type { Trial } from '../contracts.ts';

/** What a person's own check of a restored copy has to find: a text, or a number that it does not fall below. */
export interface Expectation {
  name?: string | undefined;
  expect?: string | undefined;
  atLeast?: number | undefined;
}

/** What every check has beside what it asks. */
export const expectation = {
  name: z.string().min(1).max(80).optional().describe('what it is called in results; default: what it asks'),
  expect: z.union([z.string(), z.number()]).transform(String).optional().describe('what has to come out, compared as text'),
  atLeast: z.number().optional().describe('the number that comes out must not be smaller'),
};

const hasOneAnswer = ({ expect, atLeast }: Expectation): boolean => (expect === undefined) !== (atLeast === undefined);

/**
 * Schema of the checks of an entry, which prove and drill try on the restored copy.
 * @param check what this kind can be asked, with `expectation`; exactly one of `expect` and `atLeast` has to be there
 */
export const checksOf = <Check extends z.ZodType<Expectation>>(check: Check) =>
  z
    .array(check.refine(hasOneAnswer, { error: 'needs either expect or atLeast' }))
    .default([])
    .describe('questions to a restored copy, each with the answer that it must give');

/** A check as it stands among other trials. @param asks what it asks, for one without a name */
export const checkName = ({ name }: Expectation, asks: string): string => `check: ${name ?? asks.replace(/\s+/g, ' ').trim().slice(0, 80)}`;

/** What a value that was found means to whoever wrote the check. */
export function judgeFound(found: string, { expect, atLeast }: Expectation): Pick<Trial, 'state' | 'text'> {
  const shown = found.length > 200 ? `${found.slice(0, 200)}…` : found;
  if (expect !== undefined)
    return found === expect
      ? { state: 'ok', text: `it is ${JSON.stringify(shown)}` }
      : { state: 'fail', text: `it is ${JSON.stringify(shown)}, and ${JSON.stringify(expect)} was expected` };
  const number = found.trim() === '' ? Number.NaN : Number(found);
  if (Number.isNaN(number)) return { state: 'fail', text: `it is ${JSON.stringify(shown)}, which is no number` };
  return number >= atLeast!
    ? { state: 'ok', text: `${number}` }
    : { state: 'fail', text: `${number}, and at least ${atLeast} were expected` };
}
