import { createServer } from 'node:net';

/** Waits `ms` milliseconds. */
export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** What no machine is too slow for, in milliseconds: what takes longer hangs. */
export const PATIENCE_MS = 120_000;

/**
 * Asks again every `every` ms until the answer is neither false, null nor undefined, and returns it.
 * @param ask throwing counts as "not yet"
 * @param what a function where it tells how things stand at the end
 * @throws after two minutes, naming `what` and the last error: long enough for any machine, since no test is to fail for
 *   being slow
 */
export async function waitFor<T>(
  ask: () => T | Promise<T>,
  what: string | (() => string) = 'the condition',
  every = 50,
): Promise<Exclude<T, false | null | undefined>> {
  const end = Date.now() + PATIENCE_MS;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== false && answer !== null && answer !== undefined) return answer as Exclude<T, false | null | undefined>;
    } catch (error) {
      last = error;
    }
    if (Date.now() >= end)
      throw new Error(`${typeof what === 'string' ? what : what()} did not come true in ${PATIENCE_MS} ms`, { cause: last });
    await pause(every);
  }
}

/** A TCP port on loopback that nobody listened on a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
