import type { Store, TargetContext } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { removeRecord } from './entry.ts';
import { type LeaseInfo, leasesIn, leasesUnder, tellLease } from './leaseRecord.ts';
import { storeClock } from './storeClock.ts';

/** The leases on one target, and the stores that could not be asked. */
export interface Locks {
  leases: LeaseInfo[];
  problems: { store: string; error: string }[];
}

/** A key without write access may look too: then ages are by this host's clock, which is said. */
async function clockOf(ctx: TargetContext, store: Store, random: Uint8Array): Promise<Date> {
  try {
    return await storeClock(ctx, store, random);
  } catch (error) {
    const text = `store ${store.name} takes no write (${sentence(error)}): whether its locks are live is judged by this host's clock`;
    ctx.report.emit({ type: 'note', text });
    return ctx.clock.now();
  }
}

/**
 * Every lease on a target, in all of its stores.
 * @param random that many random bytes
 */
export async function locksOf(ctx: TargetContext, random: (bytes: number) => Uint8Array): Promise<Locks> {
  const locks: Locks = { leases: [], problems: [] };
  for (const store of ctx.stores) {
    try {
      // What is old by a time before the listing is old; one that is renewed in between is seen renewed.
      const now = await clockOf(ctx, store, random(8));
      locks.leases.push(...(await leasesIn(ctx, store, now)));
    } catch (error) {
      locks.problems.push({ store: store.name, error: sentence(error) });
    }
  }
  return locks;
}

/**
 * Removes a lease whose owner is dead.
 * @param random at least eight bytes
 * @returns what was removed; undefined when the store has no such lease
 * @throws BkpError('conflict') for a live one, whoever asks; 'failed' when the store does not remove it
 */
export async function releaseLease(ctx: TargetContext, store: Store, key: string, random: Uint8Array): Promise<LeaseInfo | undefined> {
  if (!key.startsWith(`${leasesUnder(ctx)}/`) || !(await store.stat(key))) return undefined;
  const now = await storeClock(ctx, store, random);
  const lease = (await leasesIn(ctx, store, now)).find(each => each.key === key);
  if (!lease) return undefined;
  if (lease.live) {
    const until = `it is live until ${lease.expiresAt.toISOString()} by the store's clock, now ${now.toISOString()}, and longer if it is renewed`;
    throw new BkpError('conflict', `${tellLease(ctx, lease)}; ${until}`, { next: 'end that run; a live lease is never taken away' });
  }
  const why = await removeRecord(store, key);
  if (why) throw new BkpError('failed', `store ${store.name} does not remove ${key}: ${why}`);
  return lease;
}

/**
 * Removes a lease whose owner is dead from whichever store of a target has it.
 * @param random that many random bytes
 * @returns undefined when none has it
 * @throws BkpError('conflict') for a live one, 'storeUnreachable' when a store that may have it does not answer
 */
export async function releaseAnywhere(
  ctx: TargetContext,
  key: string,
  random: (bytes: number) => Uint8Array,
): Promise<LeaseInfo | undefined> {
  let silent: unknown;
  for (const store of ctx.stores) {
    try {
      const lease = await releaseLease(ctx, store, key, random(8));
      if (lease) return lease;
    } catch (error) {
      if (!(error instanceof BkpError && error.exit === 'storeUnreachable')) throw error;
      silent = error;
    }
  }
  if (silent) throw silent;
  return undefined;
}
