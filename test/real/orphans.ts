import { readFileSync } from 'node:fs';
import { type BkpOptions, childrenOf, isAlive, startBkp, waitFor } from './rig/index.ts';

const argumentsOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
};

/**
 * Kills a bkp as soon as it has started a program, and waits until that is gone as well.
 * @param what matches the command line of the program
 * @throws Error when the program goes on
 */
export async function killedBeside(what: RegExp, args: readonly string[], run: BkpOptions): Promise<void> {
  const bkp = startBkp(args, run);
  // What binds it to its parent has done so once it is the program itself.
  const isIt = (words: string): boolean => what.test(words) && !words.includes('--pdeathsig');
  let pid: number | undefined;
  await waitFor(
    () => {
      pid = childrenOf(bkp.pid).find(each => isIt(argumentsOf(each)));
      return pid !== undefined;
    },
    `a child of bkp by ${what}`,
    5,
  );
  bkp.kill('SIGKILL');
  await bkp.ended;
  await waitFor(() => !isAlive(pid!), 'the end of what bkp had started');
}
