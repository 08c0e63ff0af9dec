import pMap from 'p-map';
import type { Known, Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { neededWal } from '../../../core/postgres/expiry.ts';
import { spent } from '../../../core/spent.ts';
import { putBytes, readAll } from '../../../flow/bytes.ts';
import { holdingsOf, openWal, type WalObject, walStores } from './archive.ts';
import type { PostgresConfig } from './config.ts';
import { healRecord, knownLineages } from './lineage.ts';
import { keptBase } from './logKeep.ts';

type Context = TargetContext<PostgresConfig>;

const AT_ONCE = 4;
/** Files that one run copies at most: the next run goes on. */
const MOST = 500;

/** A file that some stores hold and one lacks. */
interface Lack {
  name: string;
  /** Its copies, at least one, in the order of the stores. */
  held: readonly WalObject[];
  to: Store;
}

/** The newest files first: what is young is what somebody will want back. */
export function lacks(copies: ReadonlyMap<string, readonly WalObject[]>, stores: readonly Store[]): Lack[] {
  return [...copies]
    .sort(([a], [b]) => (a < b ? 1 : -1))
    .flatMap(([name, held]) => stores.filter(to => !held.some(({ store }) => store === to)).map(to => ({ name, held, to })));
}

/** A copy as it is stored, proven where an identity of this host opens it; WAL-G reads its own. @throws BkpError('verifyFailed') for damage */
async function sealedBytes(ctx: Context, lineage: string, object: WalObject): Promise<Buffer> {
  const bytes = await readAll(object.store.get(object.key));
  if (object.walg) return bytes;
  try {
    spent(await openWal(ctx, lineage, object, bytes));
  } catch (error) {
    if (!(error instanceof BkpError && error.exit === 'usage')) throw error;
  }
  return bytes;
}

async function firstWhole(ctx: Context, lineage: string, held: readonly WalObject[]): Promise<{ key: string; bytes: Buffer }> {
  const faults: unknown[] = [];
  for (const object of held)
    try {
      return { key: object.key, bytes: await sealedBytes(ctx, lineage, object) };
    } catch (error) {
      ctx.signal.throwIfAborted();
      faults.push(error);
    }
  throw faults[0];
}

/**
 * Byte for byte as it is stored. A damaged one does not go on its way: where it stands, the good one that a stream may still have in its spool
 * would be taken for stored. One that appeared meanwhile is fine.
 */
async function copy(ctx: Context, lineage: string, { held, to }: Lack): Promise<void> {
  const { key, bytes } = await firstWhole(ctx, lineage, held);
  try {
    await putBytes(to, key, bytes, { ifAbsent: true, lasting: true });
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
    .filter(({ name, to }) => wanted.get(to)!(name))
    .slice(0, MOST);
  await pMap(todo, lack => copy(ctx, lineage, lack).catch(error => failed.push(`${lack.to.name}: ${sentence(error)}`)), {
    concurrency: AT_ONCE,
  });
  if (failed.length > 0)
    ctx.report.emit({ type: 'warning', text: `${failed.length} file(s) of WAL are still missing, the first in ${failed[0]}` });
  return todo.length - failed.length;
}
