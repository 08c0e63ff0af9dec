import type { Known, Store, TargetContext } from '../core/contracts.ts';

import { catalog, missingObjects, type Problem, storedBytes } from './catalog.ts';

/** `whole` = signed manifest and every object at its size; `damaged` = an object is missing; `absent` = no manifest; `unknown` = no answer. */
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
}

async function copyIn(known: Known, store: Store, silent: ReadonlySet<string>): Promise<Copy> {
  if (silent.has(store.name)) return 'unknown';
  if (!known.stores.includes(store.name)) return 'absent';
  try {
    return (await missingObjects(known.manifest, store)).length === 0 ? 'whole' : 'damaged';
  } catch {
    // The store answered the listing and not this: what it holds cannot be told, which is what the table says.
    return 'unknown';
  }
}

/** Every backup of one target, oldest first, with the state of each copy, and what keeps others from counting. Throws when no store answers. */
export async function listTarget(ctx: TargetContext): Promise<{ rows: Row[]; problems: Problem[] }> {
  const { known, problems } = await catalog(ctx.stores, ctx.base, ctx.keys);
  const silent = new Set(problems.filter(problem => problem.key === undefined).map(problem => problem.store));
  const rows: Row[] = [];
  for (const each of known) {
    const copies: Record<string, Copy> = {};
    for (const store of ctx.stores) copies[store.name] = await copyIn(each, store, silent);
    const { id, kind, name, startedAt, recoveryPointAt, lineage, warnings } = each.manifest;
    rows.push({
      id,
      kind,
      name,
      startedAt,
      recoveryPointAt,
      bytes: storedBytes(each.manifest),
      copies,
      warnings,
      ...(lineage ? { lineage } : {}),
    });
  }
  return { rows, problems };
}
