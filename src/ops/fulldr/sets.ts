import type { StackContext } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { isId } from '../../core/id.ts';
import { joinKey } from '../../core/key.ts';
import { type BackupSet, decodeSet, encodeSet } from '../../core/set.ts';
import { putBytes, readAll } from '../../flow/bytes.ts';
import type { Problem } from '../catalog.ts';

const setKey = (stack: StackContext, id: string): string => joinKey(stack.base, 'sets', `${id}.json`);

/**
 * Writes a signed set into every store of the environment.
 * @returns stores that did not take it, each with why
 */
export async function writeSet(stack: StackContext, set: BackupSet): Promise<Problem[]> {
  const bytes = encodeSet(set, stack.keys.sign);
  const problems: Problem[] = [];
  for (const store of stack.stores) {
    try {
      await putBytes(store, setKey(stack, set.id), bytes, { ifAbsent: true, lasting: true });
    } catch (error) {
      stack.signal.throwIfAborted();
      problems.push({ store: store.name, error: sentence(error) });
    }
  }
  return problems;
}

/** Sets by id as the stores show them, and what kept others from being read. */
export interface Sets {
  /** Oldest first; `stores` = names of those that have it. */
  sets: { set: BackupSet; stores: string[] }[];
  problems: Problem[];
}

/**
 * Every set of an environment whose signature is trusted.
 * @throws BkpError('storeUnreachable') when no store answers
 */
export async function readSets(stack: StackContext): Promise<Sets> {
  const found = new Map<string, { set: BackupSet; stores: string[] }>();
  const problems: Problem[] = [];
  let silent = 0;
  for (const store of stack.stores) {
    try {
      const root = `${joinKey(stack.base, 'sets')}/`;
      for await (const { key } of store.list(root)) {
        const id = key.slice(root.length).replace(/\.json$/, '');
        if (!isId(id)) continue;
        try {
          const what = `${key} in store ${store.name}`;
          const set = decodeSet(await readAll(store.get(key)), stack.keys.verify, what, { id, env: stack.env });
          const seen = found.get(id);
          if (seen) seen.stores.push(store.name);
          else found.set(id, { set, stores: [store.name] });
        } catch (error) {
          if (error instanceof BkpError && error.exit === 'storeUnreachable') throw error;
          problems.push({ store: store.name, key, error: sentence(error) });
        }
      }
    } catch (error) {
      stack.signal.throwIfAborted();
      silent += 1;
      problems.push({ store: store.name, error: sentence(error) });
    }
  }
  if (silent === stack.stores.length)
    throw new BkpError('storeUnreachable', `no store of ${stack.env} answers: ${problems.map(({ error }) => error).join('; ')}`);
  return { sets: [...found.values()].sort((a, b) => a.set.id.localeCompare(b.set.id)), problems };
}

/**
 * What of a set can no longer be brought back, each with why; empty = the set is complete.
 * @param whole by `kind/name` of the entries of the config: ids of what is whole, or why nobody could look
 */
export function lacksOf(set: BackupSet, whole: ReadonlyMap<string, ReadonlySet<string> | string>): string[] {
  return set.members.flatMap(({ kind, name, backup, error }) => {
    const what = `${kind}/${name}`;
    const found = whole.get(what);
    if (backup === undefined) return [`${what}: ${error ?? 'no backup of it was taken'}`];
    if (found === undefined) return [`${what}: it is no part of full-dr in the config, so backup ${backup} was not looked for`];
    if (typeof found === 'string') return [`${what}: backup ${backup} could not be looked for: ${found}`];
    return found.has(backup) ? [] : [`${what}: backup ${backup} is in no store any more, or is not whole`];
  });
}
