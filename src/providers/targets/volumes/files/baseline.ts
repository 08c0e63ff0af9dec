import { resolve } from 'node:path';
import type { Manifest } from '../../../../core/contracts.ts';
import type { Place } from './paths.ts';

/** A file with holes: bytes that it has, and bytes that it takes. */
export interface Sparse {
  path: string;
  bytes: number;
  allocated: number;
}

/** What a manifest records of the files, for the comparison after a restore and with the backup before. */
export interface Baseline {
  files: number;
  bytes: number;
  /** Bytes that the files take on their disk, holes left out; absent where that was not looked at. */
  allocated?: number;
  /** Bytes that were new in the repository of the first store. */
  added: number;
  places: readonly Place[];
  /** Those with the largest holes. */
  sparse: readonly Sparse[];
  /** Sum of names, kinds, owners, modes, sizes and times, where none of the files changed meanwhile: a restore with the same is the same. */
  picture?: string;
}

/** What is in a backup of this engine: one snapshot of restic for each piece. */
export interface Part {
  name: string;
  paths: readonly string[];
}

/** Paths as restic names them in its snapshot: `/srv//data/./x`, which an entry or a variable may hold, would not be found there. */
export const cleaned = (paths: readonly string[]): string[] => paths.map(path => resolve(path));

export const partsOf = (manifest: Manifest): Part[] =>
  manifest.pieces.flatMap(piece =>
    'held' in piece && piece.held.by === 'restic'
      ? [{ name: piece.name, paths: cleaned(JSON.parse(piece.held.detail?.['paths'] ?? '[]') as string[]) }]
      : [],
  );

export const baselineOf = (manifest: Manifest): Baseline => manifest.baseline as unknown as Baseline;
