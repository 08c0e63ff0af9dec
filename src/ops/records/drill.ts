import type { Keys, ObjectInfo, Reporter, Store } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { decodeEvidence, type Evidence, encodeEvidence } from '../../core/evidence.ts';
import { isId } from '../../core/id.ts';
import { joinKey } from '../../core/key.ts';
import { putBytes, readAll } from '../../flow/bytes.ts';
import { assertTrusted } from '../signer.ts';
import { newestBelieved } from './believed.ts';
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

/** A record of a drill as it was read and believed. */
export interface KeptDrill {
  evidence: Evidence;
  /** The signed bytes. */
  raw: Buffer;
}

/** What is larger is no record of bkp's. */
const LIMIT = 16 * 1024 * 1024;

/** The id of the drill whose record lies under a key; undefined for every other key. */
export function drillIdOf(section: string, key: string): string | undefined {
  const id = /\/([^/]+)\.json$/.exec(key)?.[1];
  return id && isId(id) && key === `${section}/${id}.json` ? id : undefined;
}

/**
 * One record: signed, of this environment, and under its own name.
 * @throws BkpError('verifyFailed') for any other; what the store throws
 */
export async function readDrill(store: Store, { key, bytes }: ObjectInfo, section: string, keys: Keys): Promise<KeptDrill> {
  const what = `${key} in store ${store.name}`;
  if (bytes > LIMIT) throw new BkpError('verifyFailed', `${what} has ${bytes} bytes, which no record of a drill has`);
  const raw = await readAll(store.get(key, { from: 0, to: LIMIT }));
  const evidence = decodeEvidence(raw, keys.verify, what);
  if (evidence.id === drillIdOf(section, key) && evidence.env === section.split('/').at(-2)) return { evidence, raw };
  throw new BkpError('verifyFailed', `${what} is the record of drill ${evidence.id} of ${evidence.env}: it was moved or copied there`);
}

/**
 * The newest drill that one store has on record; one that cannot be believed is a warning, and an older one counts.
 * @throws BkpError('storeUnreachable') when the store does not answer
 */
export async function newestDrill(store: Store, { section, keys, report }: DrillRecords): Promise<Evidence | undefined> {
  const records = (await listed(store, `${section}/`)).filter(({ key }) => drillIdOf(section, key) !== undefined);
  const newestFirst = records.sort((a, b) => b.key.localeCompare(a.key));
  return newestBelieved('drill', newestFirst, async info => (await readDrill(store, info, section, keys)).evidence, report);
}
