import * as z from 'zod';
import type { StackContext, Store } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { joinKey } from '../../core/key.ts';
import { putBytes } from '../../flow/bytes.ts';
import { encode, instant, plain, readRecord, removeRecord } from './entry.ts';
import { ownerOf } from './owner.ts';

/** `endedAt`: it is over, and the store did not let the record go. */
const shape = z.looseObject({ version: z.literal(1), id: plain, owner: plain, startedAt: instant, endedAt: instant.optional() });

/** @param base `<prefix>/<env>` */
export const restoringKey = (base: string): string => joinKey(base, 'restoring');

/** A restore of the whole stack that is not over, as a store tells it. */
export interface Restoring {
  store: string;
  key: string;
  /** Absent where the record cannot be read: it stands in the way all the same. */
  id?: string;
  owner?: string;
  startedAt?: Date;
}

/** What one store says. Throws what the store throws when it does not answer. */
export async function restoringIn(store: Store, base: string): Promise<Restoring | undefined> {
  const key = restoringKey(base);
  if (!(await store.stat(key))) return undefined;
  const found = await readRecord(store, key, shape);
  if (found.state === 'gone' || (found.state === 'read' && found.value.endedAt)) return undefined;
  const { id, owner, startedAt } = found.state === 'read' ? found.value : {};
  return { store: store.name, key, ...(id ? { id } : {}), ...(owner ? { owner } : {}), ...(startedAt ? { startedAt } : {}) };
}

/**
 * Says in every store that takes it that this environment is being restored: until it is gone, backups and prune there wait. A restored
 * CronJob must not prune the production that it was copied from. A store that takes no write is told, and stops nothing.
 */
export async function markRestoring(stack: StackContext, id: string, at: Date): Promise<void> {
  const bytes = encode({ version: 1, id, owner: ownerOf(), startedAt: at.toISOString() });
  for (const store of stack.stores) {
    await putBytes(store, restoringKey(stack.base), bytes).catch(error => {
      stack.signal.throwIfAborted();
      stack.report.emit({
        type: 'warning',
        text: `store ${store.name} does not take the mark that ${stack.env} is being restored, so backups and prune there are not held back: ${sentence(error)}`,
      });
    });
  }
}

/** A store that lets nobody delete may still take a record: the mark says itself that it is over. @returns whether one was there */
async function markOver({ base, clock }: StackContext, store: Store): Promise<boolean> {
  const there = await restoringIn(store, base);
  if (!there) return false;
  const now = clock.now();
  const { id = '', owner = ownerOf(), startedAt = now } = there;
  const record = { version: 1, id, owner, startedAt: startedAt.toISOString(), endedAt: now.toISOString() };
  await putBytes(store, there.key, encode(record));
  return true;
}

/** Takes the mark away. What keeps it is told with its key. */
export async function unmarkRestoring(stack: StackContext): Promise<void> {
  const key = restoringKey(stack.base);
  for (const store of stack.stores) {
    const why = await removeRecord(store, key);
    if (!why) continue;
    try {
      const over = await markOver(stack, store);
      if (over)
        stack.report.emit({ type: 'note', text: `store ${store.name} keeps ${key}, which says now that the restore is over: ${why}` });
    } catch {
      const text = `store ${store.name} keeps ${key}, so backups of ${stack.env} go on waiting: ${why}; bkp locks release ${key}`;
      stack.report.emit({ type: 'warning', text });
    }
  }
}

/**
 * Refuses while the environment is being restored, as any store tells it. A store that does not answer has no say.
 * @param base `<prefix>/<env>`
 * @throws BkpError('conflict')
 */
export async function refuseRestoring(stores: readonly Store[], base: string): Promise<void> {
  const answers = await Promise.all(stores.map(store => restoringIn(store, base).catch(() => undefined)));
  const found = answers.find(each => each !== undefined);
  if (!found) return;
  const since = found.startedAt ? ` since ${found.startedAt.toISOString()}` : '';
  const by = found.owner ? ` by ${found.owner}` : '';
  throw new BkpError(
    'conflict',
    `${base.split('/').at(-1)} is being restored${since}${by}, as ${found.key} in store ${found.store} says: nothing is backed up or pruned meanwhile`,
    {
      next: ['once the restore is over this goes on by itself', `if it never will be: bkp locks release ${found.key}`],
    },
  );
}
