import type { Store } from '../../core/contracts.ts';
import type { BkpError } from '../../core/errors.ts';

/** Nothing is ever put there, so any size does. */
const BLOCK = 16 * 1024 * 1024;

/**
 * A store that cannot be opened on this host, as where its secret is not: whatever is asked of it ends with why, so that one such store
 * is told as one that does not answer, and the others are asked.
 * @param why what every call throws
 */
export function shutStore(name: string, why: BkpError): Store {
  const refuse = async (): Promise<never> => {
    throw why;
  };
  return {
    name,
    blockBytes: BLOCK,
    powers: refuse,
    open: refuse,
    get: () => ({ [Symbol.asyncIterator]: () => ({ next: refuse }) }),
    stat: refuse,
    list: () => ({ [Symbol.asyncIterator]: () => ({ next: refuse }) }),
    remove: refuse,
    access() {
      throw why;
    },
    withstand: async () => ({ name: `store ${name}: immutability`, state: 'fail', text: why.message, mend: why.next.join('\n') }),
  };
}
