import type { Check } from '../../../core/contracts.ts';
import type { Caller } from './caller.ts';

/** Clocks may differ by this much without a word: milliseconds. Stores refuse 15 minutes. */
const MUCH = 60_000;

/** How far this machine's clock is from the store's, by the last answer; said before a store refuses. */
export function clockCheck(caller: Caller): Check {
  const name = `store ${caller.name}: clock`;
  const { ahead = 0 } = caller;
  if (Math.abs(ahead) <= MUCH) return { name, state: 'ok', text: "this machine's agrees with the store's" };
  const side = ahead > 0 ? 'behind' : 'ahead of';
  return {
    name,
    state: 'warn',
    text: `the clock of this machine is ${Math.round(Math.abs(ahead) / 1000)} s ${side} the store's; at 15 minutes stores refuse`,
    mend: 'timedatectl set-ntp true   # on the side that is wrong',
  };
}
