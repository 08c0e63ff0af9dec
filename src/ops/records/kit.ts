import type { Keys, Reporter, StackContext, Store } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { isId } from '../../core/id.ts';
import { joinKey } from '../../core/key.ts';
import { decodeKit, encodeKit, KIT_DEEDS, type KitDeed, type KitRecord } from '../../core/kit/record.ts';
import type { LastKits } from '../../core/status/kit.ts';
import { putBytes, readAll } from '../../flow/bytes.ts';
import type { Problem } from '../catalog.ts';
import { assertTrusted } from '../signer.ts';
import { newestBelieved } from './believed.ts';
import { listed } from './entry.ts';

/** Where an environment's records of kits are, and who is believed. */
export interface KitRecords {
  /** Key prefix: `environmentSection(base, 'kits')`. */
  section: string;
  keys: Keys;
  report: Reporter;
}

export const kitRecords = ({ base, keys, report }: Pick<StackContext, 'base' | 'keys' | 'report'>): KitRecords => ({
  section: joinKey(base, 'kits'),
  keys,
  report,
});

/** Deed and id in the key of a record; undefined for every other key. */
function placeOf(section: string, key: string): { did: KitDeed; id: string; env: string } | undefined {
  const [, word, id] = /^([a-z]+)\/([^/]+)\.json$/.exec(key.slice(section.length + 1)) ?? [];
  const did = KIT_DEEDS.find(each => each === word);
  return did && id && isId(id) && key.startsWith(`${section}/`) ? { did, id, env: section.split('/').at(-2)! } : undefined;
}

/**
 * Writes down, signed, that a kit was exported or checked, in every store of the environment.
 * @returns stores that did not take it, each with why; undefined where this host cannot sign, which is told as a warning
 */
export async function keepKit(stack: StackContext, record: KitRecord): Promise<Problem[] | undefined> {
  let bytes: Buffer;
  try {
    assertTrusted(stack.keys);
    bytes = encodeKit(record, stack.keys.sign);
  } catch (error) {
    stack.report.emit({ type: 'warning', text: `this kit is recorded in no store, so status does not know of it: ${sentence(error)}` });
    return undefined;
  }
  const key = joinKey(stack.base, 'kits', record.did, `${record.id}.json`);
  const asked = await Promise.all(
    stack.stores.map(async (store): Promise<Problem[]> => {
      try {
        await putBytes(store, key, bytes, { ifAbsent: true });
        return [];
      } catch (error) {
        stack.signal.throwIfAborted();
        const why = sentence(error);
        stack.report.emit({ type: 'warning', text: `store ${store.name} did not take the record of this kit: ${why}` });
        return [{ store: store.name, error: why }];
      }
    }),
  );
  return asked.flat();
}

const read = async (store: Store, key: string, { section, keys }: KitRecords): Promise<KitRecord> =>
  decodeKit(await readAll(store.get(key)), keys.verify, `${key} in store ${store.name}`, placeOf(section, key)!);

/** The newest record of a deed that can be believed. */
function newest(store: Store, keysOfStore: readonly string[], did: KitDeed, records: KitRecords): Promise<KitRecord | undefined> {
  const of = keysOfStore.filter(key => placeOf(records.section, key)?.did === did).sort();
  return newestBelieved('kit', of.reverse(), key => read(store, key, records), records.report);
}

async function lastIn(store: Store, records: KitRecords): Promise<(KitRecord | undefined)[]> {
  const keys = (await listed(store, `${records.section}/`)).map(({ key }) => key);
  return Promise.all((['exported', 'proven', 'failed'] as const).map(did => newest(store, keys, did, records)));
}

/** The newest export and the newest check of either end that any of some stores has on record. Throws nothing. */
export async function lastKits(stores: readonly Store[], records: KitRecords): Promise<LastKits> {
  const asked = await Promise.allSettled(stores.map(store => lastIn(store, records)));
  const told = asked.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []));
  const best = (n: number): KitRecord | undefined => told.flatMap(found => found[n] ?? []).sort((a, b) => b.at.localeCompare(a.at))[0];
  const [exported, proven, failed] = [best(0), best(1), best(2)];
  return {
    ...(exported ? { exported } : {}),
    ...(proven ? { proven } : {}),
    ...(failed ? { failed } : {}),
    silent: asked.flatMap(each => (each.status === 'rejected' ? [sentence(each.reason)] : [])),
    told: told.length,
  };
}

/**
 * Every record of kits in the stores of an environment that can be believed; what cannot, and a store that does not answer, are told in
 * `problems`.
 */
export async function readKits(stack: StackContext): Promise<{ kits: KitRecord[]; problems: Problem[] }> {
  const records = kitRecords(stack);
  const found = new Map<string, KitRecord>();
  const problems: Problem[] = [];
  for (const store of stack.stores) {
    try {
      for (const { key } of await listed(store, `${records.section}/`)) {
        if (!placeOf(records.section, key)) continue;
        try {
          const each = await read(store, key, records);
          found.set(each.id, each);
        } catch (error) {
          if (error instanceof BkpError && error.exit === 'storeUnreachable') throw error;
          problems.push({ store: store.name, key, error: sentence(error) });
        }
      }
    } catch (error) {
      stack.signal.throwIfAborted();
      problems.push({ store: store.name, error: sentence(error) });
    }
  }
  return { kits: [...found.values()], problems };
}
