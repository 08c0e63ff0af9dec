import type { Id, Manifest, Store } from '../../../../core/contracts.ts';
import { BkpError } from '../../../../core/errors.ts';
import { withSource } from './bridge.ts';
import { type Context, prefixOf, who } from './context.ts';
import { refuseFailed } from './faults.ts';
import { indexesIn, refuseLost, storedSince } from './packs.ts';
import { type Ended, fromEnvironment } from './program.ts';
import { onRepository, ready, snapshotsIn } from './repository.ts';

/** A snapshot by its id in the store that it is copied from. */
interface Original {
  id: string;
  paths: readonly string[];
  /** Pieces that were new where it was made, where that was now. */
  blobs?: number;
}

const key = (paths: readonly string[]): string => JSON.stringify([...paths].sort());

async function pathsIn(ctx: Context, store: Store, id: Id): Promise<Set<string>> {
  return new Set((await snapshotsIn(ctx, store, id)).map(({ paths }) => key(paths)));
}

/** The snapshots that restic says it saved. */
const savedBy = ({ lines }: Ended): string[] => lines.flatMap(line => /^\s*snapshot ([0-9a-f]{8,}) saved/.exec(line)?.[1] ?? []);

/** Whether the store shows each of them, as many as were copied. */
async function areShown(ctx: Context, store: Store, saved: readonly string[], count: number): Promise<boolean> {
  if (saved.length < count) return false;
  const there: string[] = [];
  const start = `${prefixOf(ctx)}/snapshots/`;
  for await (const { key: name } of store.list(start)) there.push(name.slice(start.length));
  return saved.every(each => there.some(name => name.startsWith(each)));
}

/** @throws BkpError when the store does not show all of them afterwards: an exit code proves nothing */
async function copy(ctx: Context, id: Id, from: Store, to: Store, missing: readonly Original[]): Promise<void> {
  const before = await indexesIn(ctx, to);
  const ended = await withSource(ctx, from, to, source =>
    onRepository(ctx, to, ['copy', ...missing.map(snapshot => snapshot.id)], { env: fromEnvironment(ctx, source) }),
  );
  const stored = await storedSince(ctx, to, before);
  refuseFailed(ctx, to, `copy from store ${from.name}`, ended);
  const saved = savedBy(ended);
  if (!(await areShown(ctx, to, saved, missing.length))) await refuseUnshown(ctx, id, to, missing);
  const blobs = missing.reduce((sum, each) => sum + (each.blobs ?? Number.NaN), 0);
  await refuseLost(ctx, to, stored, { snapshots: saved, blobs: Number.isNaN(blobs) ? undefined : blobs });
}

async function refuseUnshown(ctx: Context, id: Id, to: Store, missing: readonly Original[]): Promise<void> {
  const shown = await pathsIn(ctx, to, id);
  const lost = missing.find(({ paths }) => !shown.has(key(paths)));
  if (lost)
    throw new BkpError(
      'failed',
      `${who(ctx)}: restic copy ended with exit code 0, and store ${to.name} shows no snapshot of ${lost.paths.join(', ')}`,
    );
}

/** Gives a store snapshots that were made just now, so that it cannot have them. Throws BkpError. */
export async function copyFresh(ctx: Context, id: Id, from: Store, to: Store, snapshots: readonly Original[]): Promise<void> {
  await ready(ctx, to);
  await copy(ctx, id, from, to, snapshots);
}

/**
 * Gives a store the snapshots that another one has of a backup; what is there already stays as it is. `heal` asks for it before it copies
 * a manifest.
 * @throws BkpError when the store does not show all of them afterwards
 */
export async function copyHeld(ctx: Context, { id, pieces }: Manifest, from: Store, to: Store): Promise<void> {
  if (!pieces.some(piece => 'held' in piece && piece.held.by === 'restic')) return;
  const wanted = await snapshotsIn(ctx, from, id);
  if (wanted.length === 0)
    throw new BkpError('verifyFailed', `${who(ctx)}: store ${from.name} has no snapshot of backup ${id}`, { next: 'bkp verify volumes' });
  await ready(ctx, to);
  const there = await pathsIn(ctx, to, id);
  const missing = wanted.filter(({ paths }) => !there.has(key(paths)));
  if (missing.length > 0) await copy(ctx, id, from, to, missing);
}
