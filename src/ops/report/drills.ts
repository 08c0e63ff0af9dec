import pMap from 'p-map';
import type { Keys, ObjectInfo, Store } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { decodeEvidence, type Evidence } from '../../core/evidence.ts';
import { isId } from '../../core/id.ts';
import { environmentSection } from '../../core/key.ts';
import { readAll } from '../../flow/bytes.ts';
import type { Problem } from '../catalog.ts';
import { listed } from '../records/entry.ts';

/** A record of a drill as it was read and believed. */
export interface Drilled {
  evidence: Evidence;
  /** The signed bytes. */
  raw: Buffer;
}

/** What is larger is no record of bkp's. */
const LIMIT = 16 * 1024 * 1024;

/** Records read at once from one store. */
const AT_ONCE = 20;

/** The id of the drill whose record lies under a key; undefined for every other key. */
function idOf(section: string, key: string): string | undefined {
  const id = /\/([^/]+)\.json$/.exec(key)?.[1];
  return id && isId(id) && key === `${section}/${id}.json` ? id : undefined;
}

/** One record: signed, of this environment, and under its own name. Throws only when the store no longer answers. */
async function look(store: Store, { key, bytes }: ObjectInfo, section: string, keys: Keys): Promise<Drilled | Problem> {
  const what = `${key} in store ${store.name}`;
  try {
    if (bytes > LIMIT) throw new BkpError('verifyFailed', `${what} has ${bytes} bytes, which no record of a drill has`);
    const raw = await readAll(store.get(key, { from: 0, to: LIMIT }));
    const evidence = decodeEvidence(raw, keys.verify, what);
    const env = section.split('/').at(-2);
    if (evidence.id !== idOf(section, key) || evidence.env !== env)
      throw new BkpError('verifyFailed', `${what} is the record of drill ${evidence.id} of ${evidence.env}: it was moved or copied there`);
    return { evidence, raw };
  } catch (error) {
    if (error instanceof BkpError && error.exit === 'storeUnreachable') throw error;
    return { store: store.name, key, error: sentence(error) };
  }
}

async function readStore(store: Store, section: string, keys: Keys): Promise<(Drilled | Problem)[]> {
  const records = (await listed(store, `${section}/`)).filter(({ key }) => idOf(section, key) !== undefined);
  return pMap(records, info => look(store, info, section, keys), { concurrency: AT_ONCE });
}

/** Puts a record among those found; of two that differ the first stays, and that is a problem. */
function place(found: Map<string, Drilled>, store: string, each: Drilled, problems: Problem[]): void {
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
export async function readDrills(stores: readonly Store[], base: string, keys: Keys): Promise<{ drills: Drilled[]; problems: Problem[] }> {
  const section = environmentSection(base, 'drills');
  const found = new Map<string, Drilled>();
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
