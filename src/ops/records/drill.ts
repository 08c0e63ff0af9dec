import type { Keys, Reporter, Store } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { decodeEvidence, type Evidence, encodeEvidence } from '../../core/evidence.ts';
import { isId } from '../../core/id.ts';
import { joinKey } from '../../core/key.ts';
import { putBytes, readAll } from '../../flow/bytes.ts';
import { assertTrusted } from '../signer.ts';
import { listed } from './entry.ts';
import { mapTexts } from './run.ts';

/** What keeping and reading the records of drills needs. */
export interface DrillRecords {
  /** Key prefix of the environment's drills: `environmentSection(base, 'drills')`. */
  section: string;
  keys: Keys;
  report: Reporter;
  /** Takes secrets out of a text: what is in a store stays there. */
  redact?: ((text: string) => string) | undefined;
}

/**
 * Keeps a drill's record, signed, in each of the stores. Never throws: a store that does not take it is a warning, and so is a host that
 * cannot sign it.
 * @returns names of the stores that have it
 */
export async function keepDrill(stores: readonly Store[], evidence: Evidence, records: DrillRecords): Promise<string[]> {
  const warn = (text: string): void => records.report.emit({ type: 'warning', text });
  let bytes: Buffer;
  try {
    assertTrusted(records.keys);
    bytes = encodeEvidence(mapTexts(evidence, records.redact ?? (text => text)) as Evidence, records.keys.sign);
  } catch (error) {
    warn(`this drill is recorded in no store, so status does not know of it: ${sentence(error)}`);
    return [];
  }
  const key = joinKey(records.section, `${evidence.id}.json`);
  const taken = await Promise.all(
    stores.map(async store => {
      try {
        await putBytes(store, key, bytes, { ifAbsent: true });
        return [store.name];
      } catch (error) {
        warn(`store ${store.name} did not take the record of this drill: ${sentence(error)}`);
        return [];
      }
    }),
  );
  return taken.flat();
}

/** A record that cannot be believed is a warning, and an older one counts. */
async function read(store: Store, id: string, { section, keys, report }: DrillRecords): Promise<Evidence | undefined> {
  const key = joinKey(section, `${id}.json`);
  const what = `object ${key} in store ${store.name}`;
  try {
    const evidence = decodeEvidence(await readAll(store.get(key)), keys.verify, what);
    if (evidence.id !== id) throw new BkpError('verifyFailed', `${what} is the record of another drill, ${evidence.id}`);
    return evidence;
  } catch (error) {
    if (!(error instanceof BkpError) || error.exit === 'storeUnreachable') throw error;
    if (error.exit !== 'notFound') report.emit({ type: 'warning', text: `the record of a drill is passed over: ${error.message}` });
    return undefined;
  }
}

/**
 * The newest drill that one store has on record.
 * @throws BkpError('storeUnreachable') when the store does not answer
 */
export async function newestDrill(store: Store, records: DrillRecords): Promise<Evidence | undefined> {
  const root = `${records.section}/`;
  const ids = (await listed(store, root)).map(({ key }) => key.slice(root.length).replace(/\.json$/, '')).filter(isId);
  for (const id of ids.sort().reverse()) {
    const evidence = await read(store, id, records);
    if (evidence) return evidence;
  }
  return undefined;
}
