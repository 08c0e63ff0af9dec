import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CaptureOptions, Known, LineageId, Manifest, Need, PieceRef, Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { chooseBase, type IncrementPolicy, OWN_MANIFEST, type Parent } from '../../../core/postgres/increment.ts';
import { readBlock } from '../../../flow/open.ts';
import { openOwn, sealOwn } from '../../../flow/ownSeal.ts';
import { refuseApartParent } from './apart.ts';
import type { PostgresConfig } from './config.ts';
import type { Live } from './live.ts';
import { sql } from './sql.ts';

type Context = TargetContext<PostgresConfig>;

/** What pg_basebackup is told beside the rest, and what a restore will need. */
export interface Increment {
  /** Path of the backup_manifest of the backup before. */
  manifest: string;
  parent: Manifest;
  needs: readonly Need[];
}

export interface Decided {
  increment?: Increment;
  /** Why a full one is taken although an increment was due. */
  warnings: string[];
}

/** How an entry wants its increments; undefined = every backup is a full one. */
export const incrementsOf = ({ incremental, full, maxChain }: PostgresConfig): IncrementPolicy | undefined =>
  incremental === undefined ? undefined : { full: full ?? 'weekly', maxChain: maxChain ?? 32 };

/** The sentence of a fallback. */
export const fellBack = (reason: string): string => `a full backup was taken although an incremental one was due: ${reason}`;

const purposeOf = (ctx: Context, id: string): string => `${ctx.base}/backups/${id}/${OWN_MANIFEST}`;

/** What a backup keeps of its backup_manifest for the next one. */
export async function ownPiece(ctx: Context, id: string, manifest: Uint8Array) {
  const sealed = await sealOwn(manifest, ctx.keys, purposeOf(ctx, id));
  return {
    name: OWN_MANIFEST,
    bytes: (async function* () {
      yield sealed;
    })(),
    sealed: true as const,
  };
}

/** Whether the server writes down which blocks its WAL changes: summarize_wal, absent before PostgreSQL 17. */
export async function summarizes(ctx: Context): Promise<boolean> {
  return (await sql(ctx, `select current_setting('summarize_wal', true)`)) === 'on';
}

async function readOwn(ctx: Context, { id }: Manifest, { objects, blockBytes }: PieceRef, store: Store): Promise<Buffer> {
  const blocks: Buffer[] = [];
  for (const object of objects) for (const n of object.blocks.keys()) blocks.push(await readBlock(store, object, n, blockBytes));
  return openOwn(Buffer.concat(blocks), ctx.keys, purposeOf(ctx, id));
}

/** Out of the first store that has it whole. Throws BkpError with every reason. */
async function fetchManifest(ctx: Context, { parent, piece }: Parent, holders: readonly Store[]): Promise<Buffer> {
  const reasons: string[] = [];
  for (const store of holders) {
    try {
      return await readOwn(ctx, parent, piece, store);
    } catch (error) {
      ctx.signal.throwIfAborted();
      reasons.push(`store ${store.name}: ${sentence(error)}`);
    }
  }
  throw new BkpError('verifyFailed', `the backup_manifest of backup ${parent.id} cannot be read: ${reasons.join('; ')}`);
}

const holdersOf = (ctx: Context, known: readonly Known[], manifest: Manifest): Store[] => {
  const names = known.find(each => each.manifest === manifest)!.stores;
  return ctx.stores.filter(({ name }) => names.includes(name));
};

/** What a store lacks of a backup; undefined = nothing. */
async function lackIn(store: Store, { pieces }: Manifest): Promise<string | undefined> {
  for (const { key, bytes } of pieces.flatMap(piece => ('objects' in piece ? piece.objects : [])))
    if ((await store.stat(key))?.bytes !== bytes) return key;
  return undefined;
}

/** A chain with a lost member can be restored no more, so nothing is put on top of it. Throws BkpError('verifyFailed') naming the member. */
async function refuseDamaged(ctx: Context, known: readonly Known[], members: readonly Manifest[]): Promise<void> {
  for (const member of members) {
    const lost: string[] = [];
    const holders = holdersOf(ctx, known, member);
    for (const store of holders) {
      const key = await lackIn(store, member);
      if (key === undefined) break;
      lost.push(`store ${store.name} lacks ${key}`);
    }
    if (lost.length === holders.length)
      throw new BkpError('verifyFailed', `backup ${member.id}, which it would build on, is whole in no store: ${lost.join('; ')}`);
  }
}

/** Nearest first, so that the parent is the first and the full one the last. */
const needsOf = (members: readonly Manifest[]): Need[] => members.map(({ id }) => ({ backup: id })).reverse();

async function prepared(ctx: Context, known: readonly Known[], choice: Parent): Promise<Increment> {
  await refuseApartParent(ctx, choice.parent);
  await refuseDamaged(ctx, known, choice.members);
  const bytes = await fetchManifest(ctx, choice, holdersOf(ctx, known, choice.parent));
  const manifest = join(await ctx.scratch(), 'backup_manifest');
  await writeFile(manifest, bytes, { mode: 0o600 });
  return { manifest, parent: choice.parent, needs: needsOf(choice.members) };
}

/**
 * Decides whether this backup is an increment, and brings what it is made from. Whatever stands in its way is a warning, and then the
 * backup is a full one.
 */
export async function incrementFor(ctx: Context, live: Live, lineage: LineageId, { known, full }: CaptureOptions): Promise<Decided> {
  const policy = incrementsOf(ctx.config);
  if (!policy) return { warnings: [] };
  const source = { lineage, major: Math.floor(live.versionNum / 10000), summarizes: await summarizes(ctx) };
  const frame = { now: ctx.clock.now(), zone: ctx.timezone, weekStart: ctx.weekStart };
  const choice = chooseBase(source, known, policy, frame, full);
  if (choice.base === 'full') return { warnings: choice.fallback ? [fellBack(choice.reason)] : [] };
  try {
    return { increment: await prepared(ctx, known, choice), warnings: [] };
  } catch (error) {
    ctx.signal.throwIfAborted();
    return { warnings: [fellBack(sentence(error))] };
  }
}
