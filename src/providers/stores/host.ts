import type { Clock } from '../../core/contracts.ts';

/** What a store gets from the program, beside its own settings. */
export interface StoreHost {
  /** What every key of the environment begins with, without a slash at its end; may be empty. */
  prefix: string;
  clock: Clock;
  /** That many random bytes. */
  random(bytes: number): Buffer;
}
