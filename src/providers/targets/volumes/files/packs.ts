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

/** Packs that a store has not, or not to their end. */
async function lacking(ctx: Context, store: Store, packs: readonly Pack[]): Promise<string[]> {
  const lost: string[] = [];
  for (let at = 0; at < packs.length; at += AT_ONCE) {
    const some = packs.slice(at, at + AT_ONCE);
    const found = await Promise.all(some.map(({ id }) => store.stat(`${prefixOf(ctx)}/data/${id.slice(0, 2)}/${id}`)));
    lost.push(...some.filter(({ blobs }, n) => !found[n] || found[n].bytes < endOf(blobs)).map(({ id }) => id));
  }
  return lost;
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

/** What a store has lost of a run, in words, and which of the new indexes tell of it as if it were there. */
interface Lost {
  text: string;
  indexes: readonly string[];
}

async function lostOf(ctx: Context, store: Store, before: ReadonlySet<string>, { snapshots, blobs }: Claim): Promise<Lost | undefined> {
  const fresh = [...(await indexesIn(ctx, store))].filter(name => !before.has(name));
  const lost: string[] = [];
  const indexes: string[] = [];
  let [count, known] = [0, 0];
  for (const index of fresh) {
    const packs = await packsOf(ctx, store, index);
    const gone = await lacking(ctx, store, packs);
    if (gone.length > 0) indexes.push(index);
    lost.push(...gone);
    count += packs.length;
    known += packs.reduce((sum, pack) => sum + pack.blobs.length, 0);
  }
  if (lost.length > 0) {
    const more = lost.length > SHOWN ? ` and ${lost.length - SHOWN} more` : '';
    return { text: `${lost.length} of ${count} new pack(s) of restic are not there: ${lost.slice(0, SHOWN).join(', ')}${more}`, indexes };
  }
  if (blobs !== undefined && known >= blobs) return undefined;
  const text = await unknownIn(ctx, store, snapshots);
  return text === undefined ? undefined : { text, indexes };
}

/**
 * Takes out of the repository what would make the next backups believe that they need not store it. No `rebuild-index`: it removes the
 * old indexes once it has written a new one, which such a store may lose as well.
 */
async function takeBack(ctx: Context, store: Store, snapshots: readonly string[], { indexes }: Lost): Promise<void> {
  const alive = { ...ctx, signal: new AbortController().signal };
  try {
    await forget(alive, store, snapshots);
    const failed = (await store.remove(indexes.map(name => `${prefixOf(ctx)}/index/${name}`))).find(({ ok }) => !ok);
    if (failed) throw new Error(`${failed.key}: ${failed.reason}`);
  } catch (error) {
    const text = `store ${store.name}: restic still counts on what the store has lost: ${sentence(error)} → bkp verify volumes ${ctx.name}`;
    ctx.report.emit({ type: 'warning', text });
  }
}

/**
 * Looks whether a store has what a run of restic says that it stored: restic asks for none of it again, and takes any answer of 200 for a
 * pack that is stored (tried with 0.14).
 * @param before `indexesIn` from before the run
 * @throws BkpError('failed') when something of it is not there; the snapshots are gone then, and the next run stores it anew
 */
export async function refuseLost(ctx: Context, store: Store, before: ReadonlySet<string>, claim: Claim): Promise<void> {
  if (claim.snapshots.length === 0) return;
  const lost = await lostOf(ctx, store, before, claim);
  if (lost === undefined) return;
  await takeBack(ctx, store, claim.snapshots, lost);
  throw new BkpError('failed', `${who(ctx)}: store ${store.name} has not what it took from restic: ${lost.text}`, {
    next: `bkp doctor shows how the store answers; bkp verify volumes ${ctx.name} looks at what it has`,
  });
}
