import type { Trial } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import type { Context } from './config.ts';

/** Which exits speak of the backup; every other one tells of this host. */
function judged(name: string, error: unknown): Trial {
  if (!(error instanceof BkpError) || error.exit === 'storeUnreachable') throw error;
  const state = error.exit === 'verifyFailed' ? 'fail' : 'unproven';
  return { name, state, text: sentence(error), ...(error.next[0] ? { mend: error.next[0] } : {}) };
}

const seconds = (ctx: Context, began: number): number => Math.round((ctx.clock.now().getTime() - began) / 100) / 10;

/** What a trial found. */
export type Found = Omit<Trial, 'name'>;

/** Runs one trial, timed. What goes wrong is judged. Throws BkpError('storeUnreachable'); the signal's reason. */
export async function trial(ctx: Context, name: string, work: () => Promise<Found>): Promise<Trial> {
  ctx.report.emit({ type: 'started', what: name });
  const began = ctx.clock.now().getTime();
  try {
    return { name, ...(await work()), seconds: seconds(ctx, began) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return judged(name, error);
  }
}

export const isGood = ({ state }: Trial): boolean => state === 'ok' || state === 'note';
