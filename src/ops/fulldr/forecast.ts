import type { StackContext, Store } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';
import { forecastOf, lastRto } from '../../core/forecast.ts';
import { readDrills } from '../report/drills.ts';
import type { Part } from './part.ts';

/** How long it takes by the drills on record, seconds, and the parts that were never drilled. */
export type Forecast = ReturnType<typeof forecastOf>;

/**
 * What the drills that the stores have on record say of these parts.
 * @returns undefined where there is none, or no store says
 */
export async function forecast(stack: StackContext, parts: readonly Part[]): Promise<Forecast | undefined> {
  const opened = parts.flatMap(({ opened }) => ('error' in opened ? [] : [opened.ctx]));
  const [first] = opened;
  if (!first) return undefined;
  const stores = new Map<string, Store>(opened.flatMap(ctx => ctx.stores.map(store => [store.name, store])));
  try {
    const { drills } = await readDrills([...stores.values()], first.base, stack.keys);
    return drills.length === 0 ? undefined : forecastOf(parts, lastRto(drills.map(({ evidence }) => evidence)));
  } catch (error) {
    stack.signal.throwIfAborted();
    if (!(error instanceof BkpError)) throw error;
    return undefined;
  }
}
