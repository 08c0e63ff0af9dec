import { BkpError, EXIT } from '../../src/core/errors.ts';

/** How often a property is tried; `FUZZ_RUNS=20000` looks longer than `npm test` has time for. */
export const RUNS = Number(process.env['FUZZ_RUNS'] ?? 400);

/** What came of it: a value, or the sentence of a BkpError that says something. Any other error is a crash, and goes on. */
export type Outcome<T> = { value: T } | { error: BkpError };

/** Whether it is a refusal that a person can read: an exit that is one, words, and no stack or `undefined` among them. */
function judged(error: unknown): BkpError {
  if (!(error instanceof BkpError)) throw error;
  const { exit, message } = error;
  if (!Object.hasOwn(EXIT, exit) || message.trim() === '' || /\bundefined\b|\[object |\n {4}at /.test(message))
    throw new Error(`${exit}: "${message}" is no sentence for a person`, { cause: error });
  return error;
}

export function told<T>(work: () => T): Outcome<T> {
  try {
    return { value: work() };
  } catch (error) {
    return { error: judged(error) };
  }
}

export async function toldLater<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: judged(error) };
  }
}
