import type { Id, Known, Store } from '../../../../core/contracts.ts';
import { type Listing, readBackup } from './backups.ts';
import { type Context, walgOf } from './program.ts';

/** The chain of a backup by its sentinels, itself first; undefined where a link is missing. */
export interface Links {
  name: string;
  deltaFrom?: string;
}

/** How many deltas lie below a backup; undefined when its chain is broken. Pure. */
export function depthOf(name: string, links: ReadonlyMap<string, Links>): number | undefined {
  let depth = 0;
  for (let at = links.get(name); at; at = links.get(at.deltaFrom)) {
    if (at.deltaFrom === undefined) return depth;
    depth += 1;
    if (depth > links.size) return undefined;
  }
  return undefined;
}

const nameOf = ({ manifest }: Known, prefix: string): string | undefined =>
  manifest.pieces.flatMap(piece => ('held' in piece && piece.held.detail?.['prefix'] === prefix ? [piece.held.id] : []))[0];

/**
 * What the next delta is made from: the newest backup of ours in that store that is whole, no anomaly, and has fewer deltas below it than
 * allowed. WAL-G by itself takes whatever sentinel was modified last.
 * @returns our id and WAL-G's name of it; undefined where a full one is due
 */
export async function parentOf(
  ctx: Context,
  { store, prefix, before }: { store: Store; prefix: string; before: Listing },
  known: readonly Known[],
): Promise<{ id: Id; name: string } | undefined> {
  const most = walgOf(ctx).deltaMaxSteps;
  if (most === 0) return undefined;
  const newest = known
    .filter(each => each.stores.includes(store.name) && each.manifest.anomaly === undefined && nameOf(each, prefix) !== undefined)
    .sort((a, b) => b.manifest.recoveryPointAt.localeCompare(a.manifest.recoveryPointAt))[0];
  if (!newest) return undefined;
  const links = new Map<string, Links>();
  for (let name: string | undefined = nameOf(newest, prefix); name !== undefined; ) {
    const shown = before.backups.get(name);
    if (!shown?.sentinel) return undefined;
    const backup = await readBackup(store, prefix, shown);
    if (backup.missing.length > 0 || (backup.permanent && links.size === 0)) return undefined;
    links.set(name, backup);
    name = backup.deltaFrom;
  }
  const parent = { id: newest.manifest.id, name: nameOf(newest, prefix)! };
  const depth = depthOf(parent.name, links);
  return depth !== undefined && depth < most ? parent : undefined;
}
