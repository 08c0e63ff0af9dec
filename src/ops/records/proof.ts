import * as z from 'zod';
import type { Store, TargetContext } from '../../core/contracts.ts';
import { checkId, isId } from '../../core/id.ts';
import { joinKey, sectionOf } from '../../core/key.ts';
import { putBytes } from '../../flow/bytes.ts';
import { encode, instant, listed, readRecord } from './entry.ts';

const shape = z.looseObject({ version: z.literal(1), at: instant });

const proofsUnder = (ctx: TargetContext): string => sectionOf(ctx.base, 'proofs');

/**
 * Records in a store that a restore of a backup from there was rehearsed and came out right.
 * @param by what proved it, such as `drill`
 * @throws what the store throws: the caller decides whether that is a warning
 */
export async function prove(ctx: TargetContext, store: Store, id: string, at: Date, by: string): Promise<void> {
  const key = joinKey(proofsUnder(ctx), `${checkId(id)}.json`);
  await putBytes(store, key, encode({ version: 1, id, store: store.name, at: at.toISOString(), by }));
}

/**
 * What was proven from one store, by the time of the proof, oldest first. A record that cannot be read counts, as of when it was written.
 * @throws BkpError('storeUnreachable') when they cannot be listed
 */
export async function proofsIn(ctx: TargetContext, store: Store): Promise<{ id: string; at: Date }[]> {
  const root = `${proofsUnder(ctx)}/`;
  const proofs: { id: string; at: Date }[] = [];
  for (const { key, modified } of await listed(store, root)) {
    const id = key.slice(root.length).replace(/\.json$/, '');
    if (!isId(id)) continue;
    const found = await readRecord(store, key, shape);
    if (found.state !== 'gone') proofs.push({ id, at: found.state === 'read' ? found.value.at : modified });
  }
  return proofs.sort((a, b) => a.at.getTime() - b.at.getTime());
}
