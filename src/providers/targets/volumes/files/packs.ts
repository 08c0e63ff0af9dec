import type { Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { type Context, prefixOf, who } from './context.ts';
import { askRestic, reachFor } from './program.ts';
import { forget } from './repository.ts';

/** A file of many pieces, by `restic cat index`. */
interface Pack {
  id: string;
  blobs: readonly { offset: number; length: number }[];
}

/** What a run of restic says that it stored. */
export interface Claim {
  snapshots: readonly string[];
  /** Pieces that were new; undefined where it does not tell. */
  blobs?: number | undefined;
}

const AT_ONCE = 16;
const SHOWN = 3;

/** Names of the indexes that a repository has. Throws BkpError('storeUnreachable'). */
export async function indexesIn(ctx: Context, store: Store): Promise<Set<string>> {
  const start = `${prefixOf(ctx)}/index/`;
  const names = new Set<string>();
  for await (const { key } of store.list(start)) names.add(key.slice(start.length));
  return names;
}

async function packsOf(ctx: Context, store: Store, index: string): Promise<readonly Pack[]> {
  let text = '';
  for await (const line of askRestic(ctx, await reachFor(ctx, store), ['cat', 'index', index])) text += `${line}\n`;
  return (JSON.parse(text) as { packs?: Pack[] }).packs ?? [];
}

/** Packs that a store has not, or not to their end. Since an index goes for it, a listing has to say so as well: one answer of 404 may be wrong. */
async function lacking(ctx: Context, store: Store, packs: readonly Pack[]): Promise<string[]> {
  const lost: string[] = [];
  for (let at = 0; at < packs.length; at += AT_ONCE) {
    const some = packs.slice(at, at + AT_ONCE);
    const found = await Promise.all(some.map(({ id }) => store.stat(keyOf(ctx, id))));
    for (const [n, { id, blobs }] of some.entries()) {
      const isWhole = (bytes: number): boolean => bytes >= endOf(blobs);
      if (!isWhole(found[n]?.bytes ?? -1) && !isWhole(await listedBytes(store, keyOf(ctx, id)))) lost.push(id);
    }
  }
  return lost;
}

const keyOf = (ctx: Context, id: string): string => `${prefixOf(ctx)}/data/${id.slice(0, 2)}/${id}`;

async function listedBytes(store: Store, key: string): Promise<number> {
  for await (const found of store.list(key)) if (found.key === key) return found.bytes;
  return -1;
}

const endOf = (blobs: Pack['blobs']): number => blobs.reduce((end, { offset, length }) => Math.max(end, offset + length), 0);

/** Whether the indexes know all that snapshots are made of; what restic says where they do not. */
async function unknownIn(ctx: Context, store: Store, snapshots: readonly string[]): Promise<string | undefined> {
  try {
    for await (const _ of askRestic(ctx, await reachFor(ctx, store), ['stats', '--mode', 'raw-data', ...snapshots]));
    return undefined;
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (error instanceof BkpError && error.exit === 'storeUnreachable') throw error;
    return sentence(error);
  }
}

/** What a store has of the packs of a run. */
export interface Stored {
  /** Pieces in them, by the indexes. */
  blobs: number;
  /** In words, what is not there. */
  lost?: string;
}

/**
 * Looks whether a store has the packs that are new in its indexes: restic asks for none of them again, and takes any answer of 200 for a pack
 * that is stored (tried with 0.14). An index that names one which is not there is removed, whatever became of the run: the next one would
 * count on it. No `rebuild-index` for that: it removes the old indexes once it has written a new one, which such a store may lose as well.
 * @param before `indexesIn` from before the run
 * @throws BkpError when the store does not answer
 */
export async function storedSince(ctx: Context, store: Store, before: ReadonlySet<string>): Promise<Stored> {
  const fresh = [...(await indexesIn(ctx, store))].filter(name => !before.has(name));
  const lost: string[] = [];
  const broken: string[] = [];
  let [count, blobs] = [0, 0];
  for (const index of fresh) {
    const packs = await packsOf(ctx, store, index);
    const gone = await lacking(ctx, store, packs);
    if (gone.length > 0) broken.push(`${prefixOf(ctx)}/index/${index}`);
    lost.push(...gone);
    count += packs.length;
    blobs += packs.reduce((sum, pack) => sum + pack.blobs.length, 0);
  }
  if (lost.length === 0) return { blobs };
  const kept = (await store.remove(broken)).find(({ ok }) => !ok);
  if (kept) stillCounted(ctx, store, `${kept.key}: ${kept.reason}`);
  const more = lost.length > SHOWN ? ` and ${lost.length - SHOWN} more` : '';
  return { blobs, lost: `${lost.length} of ${count} new pack(s) of restic are not there: ${lost.slice(0, SHOWN).join(', ')}${more}` };
}

function stillCounted(ctx: Context, store: Store, why: string): void {
  const text = `store ${store.name}: restic still counts on what the store has lost: ${why} → bkp verify volumes ${ctx.name}`;
  ctx.report.emit({ type: 'warning', text });
}

/**
 * @throws BkpError('failed') when a store has not all that a run of restic says that it stored; the snapshots are gone then, and the next
 *   run stores it anew
 */
export async function refuseLost(ctx: Context, store: Store, stored: Stored, { snapshots, blobs }: Claim): Promise<void> {
  if (snapshots.length === 0) return;
  const all = blobs !== undefined && stored.blobs >= blobs;
  const lost = stored.lost ?? (all ? undefined : await unknownIn(ctx, store, snapshots));
  if (lost === undefined) return;
  const alive = { ...ctx, signal: new AbortController().signal };
  await forget(alive, store, snapshots).catch(error => stillCounted(ctx, store, sentence(error)));
  throw new BkpError('failed', `${who(ctx)}: store ${store.name} has not what it took from restic: ${lost}`, {
    next: `bkp doctor shows how the store answers; bkp verify volumes ${ctx.name} looks at what it has`,
  });
}
