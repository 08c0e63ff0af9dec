import type { Bytes, HeldObject, Manifest, PieceRef, Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { OWN_MANIFEST } from '../../../core/postgres/increment.ts';
import type { PostgresConfig } from './config.ts';
import type { RestorePlan } from './plan.ts';
import type { Private } from './private.ts';
import type { Mapped } from './tablespaces.ts';
import { basePiece, extract } from './unpack.ts';

type Context = TargetContext<PostgresConfig>;

/** Reads the plain bytes of a piece out of one of some stores. */
export type Read = (piece: PieceRef, from: readonly Store[]) => Bytes;

/** Whether WAL-G took a backup; the entry may name another engine by now. */
export const isWalg = ({ engine }: Manifest): boolean => engine === 'wal-g';

/** Bytes that the data directory of a backup takes. */
export const baseBytes = (manifest: Manifest): number => (isWalg(manifest) ? (manifest.contentBytes ?? 0) : basePiece(manifest).bytes);

/** Pieces that a restore reads. */
const restored = ({ pieces }: Manifest): Manifest['pieces'] => pieces.filter(({ name }) => name !== OWN_MANIFEST);

async function refuseMissingObject(ctx: Context, id: string, { key, bytes }: HeldObject): Promise<void> {
  const seen = await Promise.allSettled(ctx.stores.map(store => store.stat(key)));
  if (seen.some(result => result.status === 'fulfilled' && result.value?.bytes === bytes)) return;
  const silent = seen.find(result => result.status === 'rejected');
  if (silent) throw silent.reason;
  throw new BkpError('verifyFailed', `backup ${id} cannot be restored: object ${key} is in no store at its size of ${bytes} bytes`, {
    next: 'restore another one: bkp list postgres',
  });
}

/**
 * Every object of the base has to be there at its size before the target is touched: in one store or another, and where WAL-G reads them all
 * in one.
 * @throws BkpError('verifyFailed') naming what is missing; what a store throws that could not be asked
 */
export async function refuseMissing(ctx: Context, plan: RestorePlan): Promise<void> {
  const { manifest } = plan.known;
  if (isWalg(manifest)) return (await import('./walg/unpack.ts')).refuseMissing(ctx, plan);
  const pieces = [...plan.parents.map(each => each.manifest), manifest].flatMap(each => restored(each));
  const objects = pieces.flatMap(piece => ('objects' in piece ? piece.objects : []));
  for (const object of objects) await refuseMissingObject(ctx, manifest.id, object);
}

/**
 * Puts the data directory of a backup into its place. WAL-G puts what is in its tablespaces into theirs, too.
 * @param spaces where they go; each place is there, and empty
 * @param holders stores that hold the backup
 * @throws BkpError when it did not come out whole
 */
export async function unpackBase(
  ctx: Context,
  place: Private,
  manifest: Manifest,
  spaces: readonly Mapped[],
  holders: readonly Store[],
  read: Read,
): Promise<void> {
  if (isWalg(manifest)) await (await import('./walg/unpack.ts')).unpack(ctx, place, manifest, spaces, holders);
  else await extract(ctx, place, read(basePiece(manifest), holders));
}
