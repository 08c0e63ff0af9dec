import type { Known, Store, TargetContext } from '../core/contracts.ts';
import { catalog, lacking, type Problem, type Shown, storedBytes } from './catalog.ts';

/** `whole` = signed manifest and every object at its size in the listing; `damaged` = an object is missing; `absent` = no manifest; `unknown` = no answer. */
export type Copy = 'whole' | 'damaged' | 'absent' | 'unknown';

export interface Row {
  id: string;
  kind: string;
  name: string;
  startedAt: string;
  recoveryPointAt: string;
  /** Stored bytes in one store. */
  bytes: number;
  copies: Record<string, Copy>;
  lineage?: string;
  warnings: readonly string[];
  /** Why it counts as failed although it is whole. */
  anomaly?: string;
}

function copyIn(known: Known, store: Store, shown: readonly Shown[]): Copy {
  const listing = shown.find(each => each.store === store);
  if (!listing) return 'unknown';
  if (!known.stores.includes(store.name)) return 'absent';
  return lacking(known.manifest, listing.sizes).length === 0 ? 'whole' : 'damaged';
}

/** Every backup of one target, oldest first, with the state of each copy, and what keeps others from counting. Throws when no store answers. */
export async function listTarget(ctx: TargetContext): Promise<{ rows: Row[]; problems: Problem[] }> {
  const { known, problems, shown } = await catalog(ctx.stores, ctx.base, ctx.keys, ctx.cache);
  const rows = known.map(each => {
    const { id, kind, name, startedAt, recoveryPointAt, lineage, warnings, anomaly } = each.manifest;
    const copies = Object.fromEntries(ctx.stores.map(store => [store.name, copyIn(each, store, shown)]));
    const bytes = storedBytes(each.manifest);
    return {
      id,
      kind,
      name,
      startedAt,
      recoveryPointAt,
      bytes,
      copies,
      warnings,
      ...(lineage ? { lineage } : {}),
      ...(anomaly ? { anomaly } : {}),
    };
  });
  return { rows, problems };
}
