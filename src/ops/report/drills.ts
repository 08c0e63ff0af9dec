import pMap from 'p-map';
import type { Keys, ObjectInfo, Store } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import type { Evidence } from '../../core/evidence.ts';
import { environmentSection } from '../../core/key.ts';
import type { Problem } from '../catalog.ts';
import { drillIdOf, type KeptDrill, readDrill } from '../records/drill.ts';
import { listed } from '../records/entry.ts';

/** Records read at once from one store. */
const AT_ONCE = 20;

/** One record, or why it is not believed. Throws only when the store no longer answers. */
async function look(store: Store, info: ObjectInfo, section: string, keys: Keys): Promise<KeptDrill | Problem> {
  try {
    return await readDrill(store, info, section, keys);
  } catch (error) {
    if (error instanceof BkpError && error.exit === 'storeUnreachable') throw error;
    return { store: store.name, key: info.key, error: sentence(error) };
  }
}

async function readStore(store: Store, section: string, keys: Keys): Promise<(KeptDrill | Problem)[]> {
  const records = (await listed(store, `${section}/`)).filter(({ key }) => drillIdOf(section, key) !== undefined);
  return pMap(records, info => look(store, info, section, keys), { concurrency: AT_ONCE });
}

/** Puts a record among those found; of two that differ the first stays, and that is a problem. */
function place(found: Map<string, KeptDrill>, store: string, each: KeptDrill, problems: Problem[]): void {
  const { id } = each.evidence;
  const first = found.get(id);
  if (!first) found.set(id, each);
  else if (!first.raw.equals(each.raw))
    problems.push({ store, key: id, error: `drill ${id} has another record in store ${store} than elsewhere` });
}

/**
 * Every drill of an environment that its stores have on record, each believed: signed by a trusted key, and in its place. What is not, and
 * a store that does not answer, are told in `problems`.
 * @param base `<prefix>/<env>/<kind>/<name>` of any of its targets
 * @returns `drills` oldest first
 * @throws BkpError('storeUnreachable') when no store answers
 */
export async function readDrills(
  stores: readonly Store[],
  base: string,
  keys: Keys,
): Promise<{ drills: KeptDrill[]; problems: Problem[] }> {
  const section = environmentSection(base, 'drills');
  const found = new Map<string, KeptDrill>();
  const problems: Problem[] = [];
  const results = await Promise.allSettled(stores.map(store => readStore(store, section, keys)));
  for (const [n, result] of results.entries()) {
    const store = stores[n]!.name;
    if (result.status === 'rejected') problems.push({ store, error: sentence(result.reason) });
    else for (const each of result.value) 'evidence' in each ? place(found, store, each, problems) : problems.push(each);
  }
  if (results.every(({ status }) => status === 'rejected'))
    throw new BkpError('storeUnreachable', `no store of ${section} answers: ${problems.map(({ error }) => error).join('; ')}`);
  const drills = [...found.values()].sort((a, b) => order(a.evidence, b.evidence));
  return { drills, problems };
}

const order = (a: Evidence, b: Evidence): number => Date.parse(a.startedAt) - Date.parse(b.startedAt) || a.id.localeCompare(b.id);
