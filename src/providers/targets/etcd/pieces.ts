import { join } from 'node:path';
import type { Bytes, Manifest, PieceRef, Store } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { readAll } from '../../../flow/bytes.ts';
import type { Context } from './config.ts';
import { checkSnapshot } from './snapshotFile.ts';
import { keep } from './take.ts';

/** Reads the plain bytes of a piece, throwing at their end when they are not those of the manifest. */
export type ReadPiece = (piece: PieceRef) => Bytes;

export const pieceOf = (manifest: Manifest, name: string): PieceRef | undefined =>
  manifest.pieces.find((piece): piece is PieceRef => piece.name === name && 'objects' in piece);

/** What a backup holds: the datastore, and for K3s its token and configuration. */
export interface Contents {
  manifest: Manifest;
  k3s: boolean;
  data: PieceRef;
  sqlite: boolean;
  token?: PieceRef;
  config?: PieceRef;
}

/** Throws BkpError('verifyFailed') for a backup that lacks what it cannot come back without. */
export function contentsOf(manifest: Manifest): Contents {
  const lacks = (what: string): BkpError =>
    new BkpError('verifyFailed', `backup ${manifest.id} has no ${what}`, { next: 'restore another one: bkp list etcd' });
  const sqlite = manifest.baseline['datastore'] === 'sqlite';
  const name = sqlite ? 'state.db' : 'snapshot.db';
  const data = pieceOf(manifest, name);
  if (!data) throw lacks(name);
  const k3s = manifest.baseline['flavor'] === 'k3s';
  const [token, config] = [pieceOf(manifest, 'token'), pieceOf(manifest, 'config.tar')];
  if (k3s && !token) throw lacks('server token');
  return { manifest, k3s, data, sqlite, ...(token ? { token } : {}), ...(config ? { config } : {}) };
}

/**
 * Every object has to be in a store at its size before anything is touched.
 * @throws BkpError('verifyFailed') naming what is missing; what a store throws that could not be asked
 */
export async function refuseMissing(stores: readonly Store[], { manifest }: Contents): Promise<void> {
  for (const { key, bytes } of manifest.pieces.flatMap(piece => ('objects' in piece ? piece.objects : []))) {
    const seen = await Promise.allSettled(stores.map(store => store.stat(key)));
    if (seen.some(result => result.status === 'fulfilled' && result.value?.bytes === bytes)) continue;
    const silent = seen.find(result => result.status === 'rejected');
    if (silent) throw silent.reason;
    throw new BkpError('verifyFailed', `backup ${manifest.id} cannot be restored: ${key} is in no store at its size of ${bytes} bytes`, {
      next: 'restore another one: bkp list etcd',
    });
  }
}

/** A backup on this host, every byte of it proven against the manifest. */
export interface Here {
  file: string;
  token?: Buffer;
  config?: string;
}

/** Brings all of a backup to this host before anything there is touched: what was cut or changed on the way ends here. */
export async function bring(ctx: Context, contents: Contents, dir: string, read: ReadPiece): Promise<Here> {
  const file = join(dir, contents.data.name);
  await keep(ctx, file, read(contents.data));
  if (!contents.sqlite) await checkSnapshot(file, `the snapshot of backup ${contents.manifest.id}`);
  const config = contents.config ? join(dir, 'config.tar') : undefined;
  if (config) await keep(ctx, config, read(contents.config!));
  return { file, ...(contents.token ? { token: await readAll(read(contents.token)) } : {}), ...(config ? { config } : {}) };
}
