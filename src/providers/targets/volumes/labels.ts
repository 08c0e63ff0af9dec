import { createHash } from 'node:crypto';
import type { Id } from '../../../core/contracts.ts';

/** The marks by which bkp knows a snapshot as its own, and as this entry's: a name or a prefix proves nothing. */
export interface Marks {
  id: Id;
  server: number;
  at: Date;
}

const OWNER = 'bkp-owner';
const ID = 'bkp-id';
const SERVER = 'bkp-server';
const EPOCH = 'bkp-epoch';

/** What tells entries apart, whatever their names are: 63 letters and digits is all that a label holds. */
export const ownerOf = (base: string): string => createHash('sha256').update(base).digest('hex').slice(0, 32);

/** Labels of a snapshot (at most 63 of `[A-Za-z0-9._-]` each, so the instant stands as seconds). */
export const labelsOf = (base: string, { id, server, at }: Marks): Record<string, string> => ({
  [OWNER]: ownerOf(base),
  [ID]: id,
  [SERVER]: String(server),
  [EPOCH]: String(Math.floor(at.getTime() / 1000)),
});

/** Selector of all snapshots of an entry, or of one of its backups. */
export const selectorOf = (base: string, id?: Id): string => [`${OWNER}=${ownerOf(base)}`, ...(id ? [`${ID}=${id}`] : [])].join(',');

/**
 * The marks of a snapshot that is this entry's: every label is there, and the server that it was made from is the one that they name.
 * Anything else belongs to somebody else, and is undefined.
 */
export function marksOf(base: string, labels: Readonly<Record<string, string>>, madeFrom: number | undefined): Marks | undefined {
  const [owner, id, server, epoch] = [OWNER, ID, SERVER, EPOCH].map(key => labels[key]);
  if (owner !== ownerOf(base) || !id || !/^\d+$/.test(server ?? '') || !/^\d+$/.test(epoch ?? '')) return undefined;
  // The server may be gone by now; then the snapshot no longer says what it was made from.
  if (madeFrom !== undefined && madeFrom !== Number(server)) return undefined;
  return { id, server: Number(server), at: new Date(Number(epoch) * 1000) };
}
