import type { Manifest, PieceRef } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { PIECE } from './capture.ts';
import { decodeFormat, type Format, type Version } from './formats.ts';

/** What a backup of this kind says of itself. */
export interface Backup {
  manifest: Manifest;
  piece: PieceRef;
  format: Format;
  source: Version;
}

/** Reads a manifest. Throws BkpError('verifyFailed') when it lacks what a restore needs. */
export function backupOf(manifest: Manifest): Backup {
  const piece = manifest.pieces.find((each): each is PieceRef => each.name === PIECE && 'objects' in each);
  const format = decodeFormat(manifest.versions['rdb']);
  if (!piece || !format) throw new BkpError('verifyFailed', `the manifest of backup ${manifest.id} names no dump, or not its format`);
  const flavor = manifest.versions['flavor'] === 'valkey' ? 'valkey' : 'redis';
  return { manifest, piece, format, source: { flavor, version: manifest.versions['server'] ?? '0' } };
}
