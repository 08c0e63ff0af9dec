import type { Clock } from '../../../core/contracts.ts';
import type { Again } from './fault.ts';

const FIRST = 200;
const LONGEST = 20_000;
/** Tries after the first one at an address where nobody answers. */
const FEW = 2;

export interface RetryOptions {
  retries: number;
  clock: Clock;
  random(bytes: number): Buffer;
  /** How often an error deserves another try. */
  again(error: unknown): Again;
  signal?: AbortSignal;
}

/** Between half of the doubled wait and all of it: milliseconds. */
export function backOff(attempt: number, random: RetryOptions['random']): number {
  const ceiling = Math.min(LONGEST, FIRST * 2 ** attempt);
  return Math.round(ceiling * (0.5 + random(4).readUInt32BE() / 2 ** 33));
}

const most = (again: Again, retries: number): number => ({ never: 0, few: Math.min(FEW, retries), many: retries })[again];

/**
 * Works until it works, or until the error does not deserve another try. Waits longer each time, by chance, so that many do not come
 * back at once.
 * @throws the last error
 */
export async function retrying<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= most(options.again(error), options.retries)) throw error;
      await options.clock.sleep(backOff(attempt, options.random), options.signal).catch(() => Promise.reject(error));
    }
  }
}
