import type { Id, Manifest } from './contracts.ts';

/** Ids of the backups that one cannot be restored without, as its manifest names them: what it was made from comes first. */
export const parentsOf = ({ needs }: Pick<Manifest, 'needs'>): Id[] => needs.flatMap(need => ('backup' in need ? [need.backup] : []));

/** Whether a backup holds only what changed since another one. */
export const isIncremental = ({ needs }: Pick<Manifest, 'needs'>): boolean => needs.some(need => 'backup' in need || 'held' in need);

/** All that a backup builds on. */
export interface Chain {
  /** Oldest first, without the backup itself; empty for a full one. */
  members: Manifest[];
  /** Ids of what is not there. */
  missing: Id[];
}

/**
 * Follows what a backup needs, over however many others. Pure.
 * @param find the manifest of an id, where it is there
 */
export function chainOf(manifest: Manifest, find: (id: Id) => Manifest | undefined): Chain {
  const chain: Chain = { members: [], missing: [] };
  const ids = new Set(parentsOf(manifest));
  // What is added on the way is visited too.
  for (const id of ids) {
    const member = id === manifest.id ? undefined : find(id);
    if (!member) chain.missing.push(id);
    else {
      chain.members.unshift(member);
      for (const next of parentsOf(member)) ids.add(next);
    }
  }
  return chain;
}

/** A function that finds manifests by their ids. */
export function finder(manifests: Iterable<Manifest>): (id: Id) => Manifest | undefined {
  const byId = new Map([...manifests].map(manifest => [manifest.id, manifest]));
  return id => byId.get(id);
}
