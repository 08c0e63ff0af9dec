import type { HeldElsewhere, Known, Manifest, PieceRef, Store } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import type { KitMeta } from '../../core/kit/types.ts';
import { openPiece } from '../../flow/open.ts';
import { type Catalog, catalog, heldBy, heldOf, lackingChain, streamed } from '../catalog.ts';
import { findingsOf, isProven, newestGood, proveBackup } from '../prove.ts';
import { sealedForOthers } from '../sealedFor.ts';
import type { OpenedTarget } from './source.ts';

/**
 * One entry in one store, tried with nothing but the kit. `ok` = it can be restored from there, `partly` = so can its newest backup, and
 * older ones are sealed for keys that are not in the kit.
 */
export interface Tryout {
  target: string;
  store: string;
  state: 'ok' | 'partly' | 'bad' | 'silent';
  backups: number;
  backup?: string;
  text: string;
}

export interface TryoutOptions {
  /** The newest backup of each store is restored and tried, where its kind can be. */
  deep: boolean;
  /** At least eight bytes, anew at each call. */
  random(): Uint8Array;
}

/** Plain bytes after which a piece counts as opened. */
const ENOUGH = 16 << 20;

const smallest = (pieces: readonly PieceRef[]): PieceRef | undefined => [...pieces].sort((a, b) => a.bytes - b.bytes)[0];

/** Opens the smallest piece, whole or its first 16 MiB. @returns what was read, in words */
async function sample({ ctx }: OpenedTarget, store: Store, manifest: Manifest, piece: PieceRef): Promise<string> {
  let bytes = 0;
  for await (const chunk of openPiece(piece, manifest.line, [store], { ...ctx, recipients: manifest.recipients })) {
    bytes += chunk.length;
    if (bytes >= ENOUGH) return `the first ${bytes} bytes of ${piece.name} were opened`;
  }
  return `${piece.name} was opened whole, ${bytes} bytes`;
}

/** Another tool's name of a thing is what the manifest calls it, or all that was made for a backup goes by the backup's id. */
const isThere = (id: string, named: number, listed: readonly HeldElsewhere[]): boolean =>
  listed.some(each => each.id === id) || listed.filter(({ backup }) => backup === id).length >= named;

/** What another service keeps has to be there still; what it keeps in a store, in this one. */
async function heldThere({ target, ctx }: OpenedTarget, store: Store, manifest: Manifest): Promise<string> {
  const held = heldOf(manifest);
  const holder = target.holder?.(ctx);
  if (!holder) return `${held.length} things of ${[...new Set(held.map(({ by }) => by))].join(', ')} are there`;
  const listed = (await holder.list()).filter(each => each.store === undefined || each.store === store.name);
  const gone = held.find(({ id }) => !isThere(id, held.filter(each => each.id === id).length, listed));
  if (gone) throw new BkpError('verifyFailed', `${holder.name} has no ${gone.id} any more`);
  return `${held.length} things are there at ${holder.name}`;
}

async function opened(each: OpenedTarget, store: Store, manifest: Manifest): Promise<string> {
  const piece = smallest(streamed(manifest));
  return piece ? sample(each, store, manifest, piece) : heldThere(each, store, manifest);
}

async function proven(each: OpenedTarget, store: Store, manifest: Manifest, random: Uint8Array): Promise<string> {
  const proof = await proveBackup(each.target, each.ctx, store, manifest, random);
  if (isProven(proof)) return `restored and tried in ${proof.seconds} s`;
  throw new BkpError(
    'verifyFailed',
    findingsOf(store.name, proof)
      .map(({ text }) => text)
      .join('; '),
  );
}

function wholeIn(base: string, { known, shown }: Catalog): Known[] {
  const { store, sizes } = shown[0]!;
  const find = heldBy(known, store.name);
  return known.filter(({ manifest }) => lackingChain(base, manifest, find, sizes).length === 0);
}

/** What a store shows and a restore with the kit could not take, such as backups that are signed by a newer key. */
function beside({ known, problems }: Catalog, whole: readonly Known[]): string | undefined {
  const [problem] = problems;
  if (problem) return `${problems.length} of its backups count for nothing: ${problem.error}`;
  const broken = known.length - whole.length;
  return broken > 0 ? `${broken} of its backups are not whole` : undefined;
}

async function tried(each: OpenedTarget, store: Store, options: TryoutOptions): Promise<Omit<Tryout, 'target' | 'store'>> {
  const found = await catalog([store], each.ctx.base, each.ctx.keys);
  const whole = wholeIn(each.ctx.base, found);
  const [newest, other] = [newestGood(whole), beside(found, whole)];
  if (!newest) return { backups: 0, state: 'bad', text: other ?? 'there is no backup of it' };
  const deep = options.deep && each.target.prove !== undefined;
  try {
    const text = deep ? await proven(each, store, newest, options.random()) : await opened(each, store, newest);
    const shut = await sealedForOthers(each.ctx, whole, 'the identity in the kit');
    const but = [other, shut && `${shut} → put that identity into keys.identity too, a line each, and make a new kit`].filter(Boolean);
    return {
      backups: whole.length,
      backup: newest.id,
      state: other ? 'bad' : shut ? 'partly' : 'ok',
      text: [text, ...but].join('; but '),
    };
  } catch (error) {
    each.ctx.signal.throwIfAborted();
    return { backups: whole.length, backup: newest.id, state: stateOf(error), text: sentence(error) };
  }
}

const stateOf = (error: unknown): Tryout['state'] => (error instanceof BkpError && error.exit === 'storeUnreachable' ? 'silent' : 'bad');

async function inStore(each: OpenedTarget, store: Store, options: TryoutOptions): Promise<Tryout> {
  const base = { target: `${each.ctx.kind}/${each.ctx.name}`, store: store.name };
  try {
    return { ...base, ...(await tried(each, store, options)) };
  } catch (error) {
    each.ctx.signal.throwIfAborted();
    return { ...base, backups: 0, state: stateOf(error), text: sentence(error) };
  }
}

/**
 * Tries one entry in each of its stores: its backups are listed, signatures checked, and the newest good whole one is opened.
 * @param each opened with nothing but the kit
 */
export async function tryTarget(each: OpenedTarget, options: TryoutOptions): Promise<Tryout[]> {
  const results: Tryout[] = [];
  for (const store of each.ctx.stores) results.push(await inStore(each, store, options));
  return results;
}

/**
 * Tokens of the newest backup that are other ones than in the kit, a sentence each; read with nothing but the kit. What cannot be read is
 * told by `tryTarget`.
 */
export async function tokensSince({ target, ctx }: OpenedTarget, meta: KitMeta): Promise<string[]> {
  if (!target.kit?.secrets) return [];
  const id = `${ctx.kind}/${ctx.name}`;
  const { known } = await catalog(ctx.stores, ctx.base, ctx.keys);
  const newest = newestGood(known);
  if (!newest) return [];
  const read = (piece: PieceRef) => openPiece(piece, newest.line, ctx.stores, { ...ctx, recipients: newest.recipients });
  const found: string[] = [];
  for await (const { name, fingerprint } of target.kit.secrets(ctx, newest, read)) {
    const held = meta.tokens.find(token => token.target === id && token.file.endsWith(`/${name}`));
    if (held?.fingerprint !== fingerprint)
      found.push(`the ${name} of ${id} is another one since (${fingerprint}): backup ${newest.id} wants it`);
  }
  return found;
}
