import type { Store, TargetContext } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';
import { joinKey } from '../../core/key.ts';
import { putBytes } from '../../flow/bytes.ts';
import { encode, listed, removeRecord } from './entry.ts';
import { CLOCK, leasesUnder } from './leaseRecord.ts';
import { ownerOf } from './owner.ts';

/**
 * What time it is by a store's own clock, read from an object that is written for it and removed again.
 * @param random at least eight bytes
 * @throws what the store throws, BkpError('failed') when it does not list what was written
 */
export async function storeClock(ctx: TargetContext, store: Store, random: Uint8Array): Promise<Date> {
  const key = joinKey(leasesUnder(ctx), CLOCK, `${Buffer.from(random.subarray(0, 8)).toString('hex')}.json`);
  await putBytes(store, key, encode({ version: 1, owner: ownerOf() }), { ifAbsent: true });
  try {
    const [seen] = (await listed(store, key)).filter(info => info.key === key);
    if (seen) return seen.modified;
    throw new BkpError('failed', `store ${store.name} does not list ${key}, which was just written there`);
  } finally {
    const why = await removeRecord(store, key);
    if (why) ctx.report.emit({ type: 'note', text: `store ${store.name} keeps ${key}, which is nothing any more: ${why}` });
  }
}
