import type { TargetEntry } from '../../core/config/types.ts';
import type { Target, TargetContext } from '../../core/contracts.ts';
import { parseDuration } from '../../core/duration.ts';
import { sourceStatus } from '../../core/status/source.ts';
import { storeStatus } from '../../core/status/store.ts';
import type { Rules, TargetStatus } from '../../core/status/types.ts';
import { partsOf, worstState } from '../../core/status/verdict.ts';
import { lookIntoStores } from './look.ts';
import { marksOf } from './marks.ts';
import { askSource } from './source.ts';

/**
 * How one target is, by what its stores hold; what only the source can tell is asked of it and may stay unknown.
 *
 * The source is asked first: what it writes while the stores are listed must not look as if a store lacked it.
 * @param entry schedule and RPO of the target, as the config has them
 */
export async function statusTarget(
  target: Target,
  ctx: TargetContext,
  entry: Pick<TargetEntry, 'schedule' | 'rpo'>,
  options: { hidden: boolean },
): Promise<TargetStatus> {
  const asked = await askSource(target, ctx);
  const began = ctx.clock.now();
  const facts = await lookIntoStores(target, ctx, options.hidden);
  const marks = await marksOf(target, ctx, facts, began);
  const now = ctx.clock.now();
  const rules: Rules = {
    schedule: entry.schedule,
    zone: ctx.timezone,
    rpoMs: parseDuration(entry.rpo),
    ...(target.log ? { distance: target.log.distance } : {}),
    ...(marks ? { marks } : {}),
  };
  const source = asked && sourceStatus(asked);
  const stores = facts.map(each => storeStatus(each, asked, rules, now));
  return {
    kind: ctx.kind,
    name: ctx.name,
    state: worstState(partsOf({ stores, ...(source ? { source } : {}) }).map(({ state }) => state)),
    schedule: entry.schedule,
    rpoSeconds: rules.rpoMs / 1000,
    ...(source ? { source } : {}),
    stores,
  };
}
