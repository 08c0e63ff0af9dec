import { chainOf, finder, isIncremental, parentsOf } from '../core/chain.ts';
import type { Id, Known, Manifest, Store, TargetContext } from '../core/contracts.ts';
import { catalog, heldBy, heldObjects, lacking, lackingChain, type Problem, type Shown, storedBytes } from './catalog.ts';

/**
 * `whole` = signed manifest and every object at its size in the listing, of all that it builds on too; `damaged` = one is missing;
 * `absent` = no manifest; `unknown` = no answer.
 */
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
  /** Whole in none of them, and a restore that is let take each object from whichever has it brings it back: the stores that it takes. */
  spread?: readonly string[];
  lineage?: string;
  warnings: readonly string[];
  /** Why it counts as failed although it is whole. */
  anomaly?: string;
  base: 'full' | 'incremental';
  /** Of an incremental one: what it was made from, and all that a restore reads beside it, oldest first, with the bytes of the whole chain. */
  parent?: Id;
  chain?: readonly Id[];
  chainBytes?: number;
}

function copyIn(base: string, known: Known, store: Store, shown: readonly Shown[], held: ReturnType<typeof heldBy>): Copy {
  const listing = shown.find(each => each.store === store);
  if (!listing) return 'unknown';
  if (!known.stores.includes(store.name)) return 'absent';
  return lackingChain(base, known.manifest, held, listing.sizes).length === 0 ? 'whole' : 'damaged';
}

/** Each object of a stream is taken from whichever store has it; what another tool holds comes out of one store. */
function comesBack({ manifest, stores }: Known, shown: readonly Shown[]): boolean {
  const held = new Set(heldObjects(manifest).map(({ key }) => key));
  const lacks = shown.filter(({ store }) => stores.includes(store.name)).map(({ sizes }) => lacking(manifest, sizes));
  const isNowhere = (key: string): boolean => lacks.every(missing => missing.includes(key));
  return lacks.some(missing => !missing.some(key => held.has(key))) && !lacks[0]?.some(isNowhere);
}

function spreadOf(known: Known, all: readonly Known[], copies: Row['copies'], shown: readonly Shown[]): Pick<Row, 'spread'> {
  if (Object.values(copies).includes('whole')) return {};
  const { members, missing } = chainOf(known.manifest, finder(all.map(({ manifest }) => manifest)));
  const chain = all.filter(each => each === known || members.includes(each.manifest));
  if (missing.length > 0 || !chain.every(each => comesBack(each, shown))) return {};
  const names = new Set(chain.flatMap(({ stores }) => stores));
  return { spread: shown.map(({ store }) => store.name).filter(name => names.has(name)) };
}

function kindOf(manifest: Manifest, find: (id: Id) => Manifest | undefined): Pick<Row, 'base' | 'parent' | 'chain' | 'chainBytes'> {
  const [parent] = parentsOf(manifest);
  if (parent === undefined) return { base: isIncremental(manifest) ? 'incremental' : 'full' };
  const { members, missing } = chainOf(manifest, find);
  const chainBytes = [...members, manifest].reduce((sum, each) => sum + storedBytes(each), 0);
  return { base: 'incremental', parent, chain: [...missing, ...members.map(({ id }) => id)], chainBytes };
}

/** Every backup of one target, oldest first, with the state of each copy, and what keeps others from counting. Throws when no store answers. */
export async function listTarget(ctx: TargetContext): Promise<{ rows: Row[]; problems: Problem[] }> {
  const { known, problems, shown } = await catalog(ctx.stores, ctx.base, ctx.keys, ctx.cache);
  const find = finder(known.map(({ manifest }) => manifest));
  const held = new Map(ctx.stores.map(({ name }) => [name, heldBy(known, name)]));
  const rows = known.map((each): Row => {
    const { id, kind, name, startedAt, recoveryPointAt, lineage, warnings, anomaly } = each.manifest;
    const copies = Object.fromEntries(ctx.stores.map(store => [store.name, copyIn(ctx.base, each, store, shown, held.get(store.name)!)]));
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
      ...kindOf(each.manifest, find),
      ...spreadOf(each, known, copies, shown),
    };
  });
  return { rows, problems };
}
