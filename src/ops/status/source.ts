import type { Target, TargetContext } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import type { SourceFacts } from '../../core/status/types.ts';

/** A server that takes a connection and says nothing more must not hold up what the stores tell. */
const PATIENCE_MS = 30_000;

/**
 * Asks the running source how it is.
 * @param ms patience, in milliseconds
 * @returns undefined for a kind that cannot be asked; `error` when there was no answer, whatever the reason
 */
export async function askSource(target: Target, ctx: TargetContext, ms = PATIENCE_MS): Promise<SourceFacts | undefined> {
  if (!target.live) return undefined;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new BkpError('failed', `it gave no answer in ${ms / 1000} s`)), ms);
  try {
    return await target.live({ ...ctx, signal: AbortSignal.any([ctx.signal, late.signal]) });
  } catch (error) {
    ctx.signal.throwIfAborted();
    return { error: sentence(error), checks: [] };
  } finally {
    clearTimeout(timer);
  }
}
