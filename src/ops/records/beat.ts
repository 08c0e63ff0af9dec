import type { Clock } from '../../core/contracts.ts';

/** A heartbeat that runs until it is stopped. */
export interface Beat {
  /** Resolves when the last renewal has ended, so that what is removed then is not written again. */
  stop(): Promise<void>;
}

/**
 * Renews something again and again while work goes on.
 * @param everyMs pause between the end of one renewal and the next
 * @param renew must not throw; a renewal that fails is tried again after the next pause
 */
export function startBeat(clock: Clock, everyMs: number, renew: () => Promise<void>): Beat {
  const ended = new AbortController();
  const run = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(everyMs, ended.signal);
      if (ended.signal.aborted) return;
      await renew();
    }
  };
  const done = run().catch(error => {
    if (!ended.signal.aborted) throw error;
  });
  done.catch(() => {}); // It is thrown by `stop`; until then it must not end the process.
  return {
    stop() {
      ended.abort();
      return done;
    },
  };
}
