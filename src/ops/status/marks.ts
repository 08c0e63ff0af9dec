import type { Target, TargetContext } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';
import type { Marks, StoreFacts } from '../../core/status/types.ts';

/** A record is there before the log that it is about. */
const UNDER_WAY_MS = 10_000;

/**
 * What the source is on record to have committed in the lineages of the newest backups. What was recorded while the stores were listed, or
 * just before, is left out: its log may still have been under way.
 * @param listed when the listing of the stores began
 * @returns undefined for a kind that records nothing
 */
export async function marksOf(target: Target, ctx: TargetContext, facts: readonly StoreFacts[], listed: Date): Promise<Marks | undefined> {
  const { log } = target;
  if (!log?.marks) return undefined;
  const lineages = new Set(facts.flatMap(({ copies }) => copies.at(-1)?.manifest.lineage ?? []));
  const before = listed.getTime() - UNDER_WAY_MS;
  const of = new Map<string, Awaited<ReturnType<typeof log.marks>>>();
  try {
    for (const lineage of lineages)
      of.set(
        lineage,
        (await log.marks(ctx, lineage)).filter(({ at }) => at.getTime() < before),
      );
    return { of };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return { of, error: sentence(error) };
  }
}
