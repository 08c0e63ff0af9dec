import type { Store, TargetContext } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';
import { putBytes } from '../../flow/bytes.ts';
import { encode, removeRecord } from './entry.ts';
import { LEASE_TTL_MS, leaseKey } from './leaseRecord.ts';
import { ownerOf } from './owner.ts';

/** All of them milliseconds, but `tries`. */
export interface LeaseTiming {
  /** Pause between two renewals. */
  beatMs: number;
  /** Age by the store's clock at which others take a lease over. */
  ttlMs: number;
  /** How much earlier the holder itself gives up: room for clocks that run unevenly, whole seconds in listings, and a deletion on its way. */
  marginMs: number;
  /** Pause before looking again whether one that asked too has yielded. */
  pollMs: number;
  tries: number;
}

export const LEASE: LeaseTiming = { beatMs: 30_000, ttlMs: LEASE_TTL_MS, marginMs: 60_000, pollMs: 1000, tries: 30 };

/** The lease of this run. Its key is nobody else's, ever: what a run that slept writes or removes too late hits no other's lease. */
export interface OwnLease {
  readonly key: string;
  state: 'asking' | 'holding';
  /**
   * Writes it, or renews it. A renewal that took so long that a holder's lease may have lapsed meanwhile does not count.
   * Throws what the store throws.
   */
  write(): Promise<void>;
  /** Renews it; what fails is a warning, the first time in a row. Does nothing once the lease is no longer `fresh`. */
  renew(): Promise<void>;
  /** Whether others are sure to take it for live, and will for `marginMs` more. */
  fresh(): boolean;
  /** Forgets that it was ever written. */
  forget(): void;
  /** Removes it; what fails is a warning. */
  remove(): Promise<void>;
}

/** @param random at least eight bytes; @param number one higher than the highest present */
export function ownLease(
  ctx: TargetContext,
  store: Store,
  what: string,
  number: number,
  random: Uint8Array,
  timing: LeaseTiming,
): OwnLease {
  const key = leaseKey(ctx, what, number, Buffer.from(random.subarray(0, 8)).toString('hex'));
  const record = { version: 1, what, owner: ownerOf(), startedAt: ctx.clock.now().toISOString() };
  let sentAt: number | undefined;
  let tried = false;
  let failing = false;
  const warn = (text: string): void => ctx.report.emit({ type: 'warning', text: `store ${store.name}: ${text}` });
  const own: OwnLease = {
    key,
    state: 'asking',
    async write() {
      const at = ctx.clock.now().getTime();
      const ifAbsent = !tried;
      tried = true;
      await putBytes(store, key, encode({ ...record, state: own.state }), { ifAbsent });
      const lapsed = own.state === 'holding' && !own.fresh();
      sentAt = lapsed ? undefined : at;
    },
    async renew() {
      if (!own.fresh()) return;
      try {
        await own.write();
        failing = false;
      } catch (error) {
        if (!failing) warn(`the lease on ${what} could not be renewed: ${sentence(error)}`);
        failing = true;
      }
    },
    fresh: () => sentAt !== undefined && ctx.clock.now().getTime() - sentAt < timing.ttlMs - timing.marginMs,
    forget: () => {
      sentAt = undefined;
    },
    async remove() {
      const why = tried ? await removeRecord(store, key) : undefined;
      if (why && sentAt !== undefined)
        warn(`the lease on ${what} could not be removed (${why}); it counts no longer after ${timing.ttlMs / 1000} s`);
    },
  };
  return own;
}
