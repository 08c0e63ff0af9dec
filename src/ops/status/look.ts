import type { ObjectInfo, Store, Target, TargetContext } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';
import { isId } from '../../core/id.ts';
import type { StoreFacts } from '../../core/status/types.ts';
import { allObjects, type Catalog, catalog, heldBy, lackingChain, type Problem, storedBytes } from '../catalog.ts';
import { lastRuns } from '../records/run.ts';

/** Every object of a target in one store, or why the store does not tell. */
interface Listed {
  store: Store;
  objects: readonly ObjectInfo[];
  silent?: string;
}

async function listed(target: Target, ctx: TargetContext, store: Store): Promise<Listed> {
  try {
    return { store, objects: await allObjects(target, ctx, store) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return { store, objects: [], silent: sentence(error) };
  }
}

/** The backups of the stores that answered; what fell silent since is told in `problems`. */
async function backupsIn(ctx: TargetContext, stores: readonly Store[]): Promise<Catalog> {
  try {
    return stores.length > 0 ? await catalog(stores, ctx.base, ctx.keys, ctx.cache) : { known: [], problems: [], shown: [] };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return { known: [], problems: stores.map(store => ({ store: store.name, error: sentence(error) })), shown: [] };
  }
}

/** A problem names a key, or the id alone. */
const unreadOf = ({ key, error }: Problem & { key: string }): StoreFacts['unread'][number] => {
  const id = key.split('/').find(isId);
  return { text: error, ...(id ? { id } : {}) };
};

const withKey = (problem: Problem): problem is Problem & { key: string } => problem.key !== undefined;

async function runsOf(ctx: TargetContext, store: Store): Promise<Pick<StoreFacts, 'runs' | 'runsError'>> {
  try {
    return { runs: await lastRuns(ctx, store) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return { runs: {}, runsError: sentence(error) };
  }
}

const quiet = (store: Store, reason: string): StoreFacts => ({
  store: store.name,
  silent: reason,
  copies: [],
  unread: [],
  log: [],
  runs: {},
  bytes: 0,
});

async function factsOf(
  target: Target,
  ctx: TargetContext,
  { store, objects, silent }: Listed,
  all: Catalog,
  hidden: boolean,
): Promise<StoreFacts> {
  const problems = all.problems.filter(problem => problem.store === store.name);
  const reason = silent ?? problems.find(({ key }) => key === undefined)?.error;
  if (reason !== undefined) return quiet(store, reason);
  const sizes = all.shown.find(shown => shown.store === store)!.sizes;
  const held = all.known.filter(({ stores }) => stores.includes(store.name));
  const find = heldBy(held, store.name);
  const below = hidden ? await store.hidden?.(`${ctx.base}/`) : undefined;
  return {
    store: store.name,
    copies: held.map(({ manifest }) => ({
      manifest,
      whole: lackingChain(ctx.base, manifest, find, sizes).length === 0,
      bytes: storedBytes(manifest),
    })),
    unread: problems.filter(withKey).map(unreadOf),
    log: target.log?.state(ctx, objects, all.known) ?? [],
    ...(target.log && !target.log.stores(ctx).includes(store) ? { unlogged: true } : {}),
    ...(await runsOf(ctx, store)),
    bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
    ...(below ? { hidden: below } : {}),
  };
}

/**
 * What every store of a target shows: its backups, its log, its bytes and what ran. A store that does not answer is told and the others
 * are looked at all the same.
 * @param hidden asks for old versions too, which means another and longer listing
 */
export async function lookIntoStores(target: Target, ctx: TargetContext, hidden: boolean): Promise<StoreFacts[]> {
  const listings = await Promise.all(ctx.stores.map(store => listed(target, ctx, store)));
  const answering = listings.filter(({ silent }) => silent === undefined).map(({ store }) => store);
  const all = await backupsIn(ctx, answering);
  return Promise.all(
    listings.map(each =>
      factsOf(target, ctx, each, all, hidden).catch(error => {
        ctx.signal.throwIfAborted();
        return quiet(each.store, sentence(error));
      }),
    ),
  );
}
