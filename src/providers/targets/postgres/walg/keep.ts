import type { Manifest, ObjectInfo, Store, TargetContext } from '../../../../core/contracts.ts';
import { readAll } from '../../../../flow/bytes.ts';
import { listed, readBackup, sorted } from './backups.ts';
import { exactJson } from './json.ts';
import { BACKUPS, SENTINEL } from './layout.ts';
import { heldBy } from './unpack.ts';

/** Digits that say where a segment lies, whatever its timeline. */
const numberOf = (name: string): string => name.slice(8, 24);

const namesOf = (manifests: readonly Manifest[]): Set<string> =>
  new Set(manifests.flatMap(({ pieces }) => pieces.flatMap(piece => ('held' in piece ? [piece.held.id] : []))));

/**
 * Which archived files no unsigned backup of WAL-G needs: what nobody has signed is unknown, and what is unknown is never deletable. Each needs
 * everything from its start on, and histories.
 * @param prefix key prefix of WAL-G's archive of one lineage
 * @param all manifests of the store
 */
export function unneededByOthers(prefix: string, objects: readonly ObjectInfo[], all: readonly Manifest[]): (name: string) => boolean {
  const signed = namesOf(all);
  const { backups } = sorted(prefix, objects);
  const starts = [...backups.values()]
    .filter(({ name, sentinel }) => sentinel && !signed.has(name))
    .map(({ name }) => numberOf(name.slice(5)));
  const first = starts.sort()[0];
  return name => first === undefined || (!name.endsWith('.history') && numberOf(name) < first);
}

/** Parts without a sentinel that were stored before an instant: of a run of WAL-G that is dead. */
export function orphans(
  ctx: Pick<TargetContext, 'base'>,
  objects: readonly ObjectInfo[],
  before: Date,
): { key: string; bytes: number; reason: string }[] {
  const start = `${ctx.base}/walg/`;
  const lineages = new Set(objects.flatMap(({ key }) => (key.startsWith(start) ? [key.slice(start.length).split('/')[0]!] : [])));
  return [...lineages].flatMap(lineage =>
    [...sorted(`${start}${lineage}`, objects).backups.values()]
      .filter(({ sentinel, objects: parts }) => !sentinel && parts.every(({ modified }) => modified < before))
      .flatMap(({ objects: parts }) => parts.map(({ key, bytes }) => ({ key, bytes, reason: 'of a run of WAL-G that did not end' }))),
  );
}

/**
 * Why a backup stays in WAL-G's archive, read from there right before it would go: somebody marked it as permanent, or a delta builds on it,
 * signed or not.
 */
export async function guard(_ctx: unknown, store: Store, manifest: Manifest): Promise<string | undefined> {
  if (manifest.engine !== 'wal-g') return undefined;
  const { id: name, prefix } = heldBy(manifest);
  const { backups } = await listed(store, prefix);
  const shown = backups.get(name);
  if (shown?.sentinel && (await readBackup(store, prefix, shown)).permanent)
    return 'WAL-G has it marked as permanent; `wal-g backup-mark -i` takes that back';
  for (const each of backups.values()) {
    if (!each.sentinel || each.name === name || !each.name.includes('_D_')) continue;
    const key = `${prefix}/${BACKUPS}/${each.name}${SENTINEL}`;
    const sentinel = exactJson((await readAll(store.get(key))).toString('utf8'), `${key} in store ${store.name}`);
    if (sentinel.DeltaFrom === name || sentinel.DeltaFullName === name) return `needed by ${each.name} of WAL-G, which builds on it`;
  }
  return undefined;
}
