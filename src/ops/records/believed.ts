import type { Reporter } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';

/** What is told of the records of one kind that were passed over on the way to one that can be believed; undefined where there are none. */
function passedOver(what: string, whys: readonly string[]): string | undefined {
  const [first, ...more] = whys;
  if (first === undefined) return undefined;
  if (more.length === 0) return `the record of a ${what} is passed over: ${first}`;
  return `${whys.length} records of a ${what} are passed over, the newest since ${first}`;
}

/**
 * The newest record that can be believed. One that is gone meanwhile is none; those that cannot be believed are one warning, and an older one
 * counts.
 * @param what a word for such a record: "run"
 * @param newestFirst what `read` takes, in that order
 * @param read one record. @throws BkpError where it cannot be believed
 * @throws BkpError('storeUnreachable') when the store does not answer, and whatever else is no BkpError
 */
export async function newestBelieved<T, R>(
  what: string,
  newestFirst: readonly T[],
  read: (each: T) => Promise<R>,
  report: Reporter,
): Promise<R | undefined> {
  const passed: string[] = [];
  try {
    for (const each of newestFirst)
      try {
        return await read(each);
      } catch (error) {
        if (!(error instanceof BkpError) || error.exit === 'storeUnreachable') throw error;
        if (error.exit !== 'notFound') passed.push(error.message);
      }
    return undefined;
  } finally {
    const text = passedOver(what, passed);
    if (text) report.emit({ type: 'warning', text });
  }
}
