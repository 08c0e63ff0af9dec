import { isIncremental } from '../../core/chain.ts';
import type { Facts, Known, Manifest, Piece, Store, TargetContext } from '../../core/contracts.ts';
import { sealPiece } from '../../flow/seal.ts';
import { backupPrefix } from '../catalog.ts';

/** Stores that do not hold the backup, each with what happened. */
export type Failures = Map<Store, unknown>;

export type Pieces = Manifest['pieces'][number][];

/** Plain bytes of a piece in the backup before. */
type Before = (name: string) => number | undefined;

/** An increment and a full backup say nothing of each other's size. @param incremental which of them is being made, asked once a piece begins */
export function piecesBefore(known: readonly Known[], incremental: () => boolean): Before {
  const newestFirst = known.map(({ manifest }) => manifest).sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  return name => {
    const pieces = newestFirst.find(each => isIncremental(each) === incremental())?.pieces ?? [];
    return pieces.flatMap(piece => ('objects' in piece && piece.name === name ? [piece.bytes] : []))[0];
  };
}

/** Sends every piece down the line, into `pieces`; the capture is told when it is cut short, so that it lets go of what it holds. */
export async function takePieces(
  source: AsyncGenerator<Piece, Facts>,
  ctx: TargetContext,
  id: string,
  pieces: Pieces,
  failures: Failures,
  before: Before,
): Promise<Facts> {
  try {
    for (let step = await source.next(); ; step = await source.next()) {
      if (step.done) return step.value;
      pieces.push(await takePiece(step.value, ctx, id, failures, before(step.value.name)));
    }
  } finally {
    await source.return(undefined as never);
  }
}

async function takePiece(
  piece: Piece,
  ctx: TargetContext,
  id: string,
  failures: Failures,
  expected: number | undefined,
): Promise<Pieces[number]> {
  if ('held' in piece) {
    for (const { store, error } of piece.failed ?? []) failures.set(store, error);
    return { name: piece.name, held: piece.held };
  }
  const stores = ctx.stores.filter(store => !failures.has(store));
  const { ref, failed } = await sealPiece(piece.name, piece.bytes, {
    ...ctx,
    keyPrefix: backupPrefix(ctx.base, id),
    stores,
    recipients: ctx.keys.recipients,
    sealed: piece.sealed ?? false,
    ...(expected === undefined ? {} : { expected }),
  });
  for (const { store, error } of failed) failures.set(store, error);
  return ref;
}
