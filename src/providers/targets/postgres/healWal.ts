import pMap from 'p-map';
import type { Known, Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { neededWal } from '../../../core/postgres/expiry.ts';
import { putBytes, readAll } from '../../../flow/bytes.ts';
import { holdingsOf, type WalObject, walStores } from './archive.ts';
import type { PostgresConfig } from './config.ts';
import { healRecord, knownLineages } from './lineage.ts';
import { keptBase } from './logKeep.ts';

type Context = TargetContext<PostgresConfig>;

const AT_ONCE = 4;
/** Files that one run copies at most: the next run goes on. */
const MOST = 500;

/** A file that some stores hold and one lacks. */
interface Lack {
  from: WalObject;
  to: Store;
}

/** The newest files first: what is young is what somebody will want back. */
export function lacks(copies: ReadonlyMap<string, readonly WalObject[]>, stores: readonly Store[]): Lack[] {
  return [...copies]
    .sort(([a], [b]) => (a < b ? 1 : -1))
    .flatMap(([, objects]) => stores.filter(to => !objects.some(({ store }) => store === to)).map(to => ({ from: objects[0]!, to })));
}

/** Byte for byte as it is stored: whoever reads it proves it by the signature inside. One that appeared meanwhile is fine. */
async function copy({ from, to }: Lack): Promise<void> {
  try {
    await putBytes(to, from.key, await readAll(from.store.get(from.key)), { ifAbsent: true, lasting: true });
  } catch (error) {
    if (!(error instanceof BkpError && error.exit === 'conflict')) throw error;
  }
}

/** Which files of a lineage a store should hold; all, where there is no window or no backup yet. */
function wantedIn(store: Store, lineage: string, { known, cutoff }: { known: readonly Known[]; cutoff?: Date }): (name: string) => boolean {
  const own = known.filter(({ manifest, stores }) => manifest.lineage === lineage && stores.includes(store.name));
  const bases = own.flatMap(({ manifest }) => keptBase({ manifest, guarded: false }));
  return cutoff && bases.length > 0 ? neededWal(bases, cutoff) : () => true;
}

/**
 * Gives the WAL of a lineage, and its record, to those of its stores that lack files which another one has: they were down while `wal push` archived, or
 * are new. What a store lacks because prune took it away is left so. What cannot be copied now is one warning, and the next run tries again.
 * @returns how many files were copied
 */
export async function healWal(ctx: Context, lineage: string, kept: { known: readonly Known[]; cutoff?: Date }): Promise<number> {
  const record = (await knownLineages(ctx)).get(lineage);
  if (record) await healRecord(ctx, record);
  const { copies, unreachable } = await holdingsOf(ctx, lineage);
  const reachable = walStores(ctx).filter(({ name }) => !unreachable.some(({ store }) => store === name));
  const failed: string[] = [];
  const wanted = new Map(reachable.map(store => [store, wantedIn(store, lineage, kept)]));
  const todo = lacks(copies, reachable)
    .filter(({ from, to }) => wanted.get(to)!(from.name))
    .slice(0, MOST);
  await pMap(todo, lack => copy(lack).catch(error => failed.push(`${lack.to.name}: ${sentence(error)}`)), { concurrency: AT_ONCE });
  if (failed.length > 0)
    ctx.report.emit({ type: 'warning', text: `${failed.length} file(s) of WAL are still missing, the first in ${failed[0]}` });
  return todo.length - failed.length;
}
