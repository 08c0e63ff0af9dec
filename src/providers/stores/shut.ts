import type { Store } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';

/** Nothing is ever put there, so any size does. */
const BLOCK = 16 * 1024 * 1024;

/**
 * A store that cannot be opened on this host, as where its secret is not: whatever is asked of it ends with why, so that one such store
 * is told as one that does not answer, and the others are asked.
 * @param fault why it cannot be opened; every call throws a BkpError('storeUnreachable') that says so
 */
export function shutStore(name: string, fault: BkpError): Store {
  const why = new BkpError('storeUnreachable', fault.message, { next: fault.next, cause: fault });
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
