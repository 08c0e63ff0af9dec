import type { Store, TargetContext } from '../../core/contracts.ts';
import { BkpError, isFull } from '../../core/errors.ts';
import { startBeat } from './beat.ts';
import { removeRecord } from './entry.ts';
import { isAfter, type LeaseInfo, type ListedLease, listLeases, readLease, tellLease, ticketOf } from './leaseRecord.ts';
import { LEASE, type LeaseTiming, type OwnLease, ownLease } from './ownLease.ts';

/** What a holder has to hand while it works. */
export interface Held {
  key: string;
  /** Time by the store's own clock when the lease was last seen there: never later than now. */
  readonly storeNow: Date;
  /** The store has no room for a lease: its clock is not known then, and `storeNow` is earlier than it can be. */
  readonly unwritten?: true;
  /**
   * To be called before each deletion; what follows has to be sent within a minute.
   * @throws BkpError('conflict') when the lease was lost: it could not be renewed for so long that another run may have taken it over, or
   *   one has. 'storeUnreachable' when the store cannot be asked.
   */
  check(): Promise<void>;
}

interface Look {
  mine?: ListedLease;
  rivals: LeaseInfo[];
  expired: ListedLease[];
}

/** Ages are differences within one listing, so that only the store's clock counts. */
async function look(ctx: TargetContext, store: Store, what: string, own: OwnLease, timing: LeaseTiming): Promise<Look> {
  const all = await listLeases(ctx, store, what);
  const mine = all.find(({ key }) => key === own.key);
  if (!mine) return { rivals: [], expired: [] };
  const others = all.filter(({ key }) => key !== own.key);
  const isOld = ({ beatAt }: ListedLease): boolean => mine.beatAt.getTime() - beatAt.getTime() >= timing.ttlMs;
  const read = await Promise.all(others.filter(each => !isOld(each)).map(each => readLease(store, each, mine.beatAt, timing.ttlMs)));
  return { mine, rivals: read.filter(lease => lease !== undefined), expired: others.filter(isOld) };
}

const busy = (ctx: TargetContext, rival: LeaseInfo, timing: LeaseTiming): BkpError =>
  new BkpError('conflict', tellLease(ctx, rival), {
    next: [
      `bkp locks list ${ctx.kind} ${ctx.name}`,
      `it is free when that run ends; where it died, ${timing.ttlMs / 1000} s after its last heartbeat`,
    ],
  });

/** Resolves to what the store showed when ours was the only live one. */
async function take(ctx: TargetContext, store: Store, what: string, own: OwnLease, timing: LeaseTiming): Promise<Look> {
  let rival: LeaseInfo | undefined;
  for (let tries = 0; tries < timing.tries; tries += 1) {
    ctx.signal.throwIfAborted();
    if (!own.fresh()) await own.write();
    const seen = await look(ctx, store, what, own, timing);
    if (!seen.mine) own.forget();
    else if (seen.rivals.length === 0 && own.fresh()) return seen;
    const ahead = seen.rivals.find(each => !each.asking || isAfter(own.key, each.key));
    if (ahead) throw busy(ctx, ahead, timing);
    rival = seen.rivals[0];
    if (rival) await ctx.clock.sleep(timing.pollMs, ctx.signal);
  }
  if (rival) throw busy(ctx, rival, timing);
  throw new BkpError('conflict', `store ${store.name} does not list the lease that was just written there, or takes minutes for it`, {
    next: 'bkp doctor shows what this store does; nothing was changed there',
  });
}

/** Takes it, and says that it is held: a store may have room for the first word of it only. */
async function hold(ctx: TargetContext, store: Store, what: string, own: OwnLease, timing: LeaseTiming): Promise<Look> {
  const seen = await take(ctx, store, what, own, timing);
  own.state = 'holding';
  await own.write();
  return seen;
}

async function removeExpired(ctx: TargetContext, store: Store, expired: readonly ListedLease[]): Promise<void> {
  for (const { key, what, beatAt } of expired) {
    const why = await removeRecord(store, key);
    const end = why ? ` (its lease stays: ${why})` : '';
    const text = `store ${store.name}: a ${what} whose last heartbeat was ${beatAt.toISOString()} is dead, and was taken over${end}`;
    ctx.report.emit({ type: 'note', text });
  }
}

function held(ctx: TargetContext, store: Store, what: string, own: OwnLease, timing: LeaseTiming, first: Look): Held {
  let storeNow = first.mine!.beatAt;
  let lost: string | undefined;
  const late = `it could not be renewed for ${(timing.ttlMs - timing.marginMs) / 1000} s, or this host slept`;
  const why = async (): Promise<string | undefined> => {
    if (!own.fresh()) return late;
    const { mine, rivals } = await look(ctx, store, what, own, timing);
    if (!mine) return 'it is no longer in the store';
    storeNow = mine.beatAt;
    const other = rivals.find(({ asking }) => !asking);
    if (other) return tellLease(ctx, other);
    return own.fresh() ? undefined : late;
  };
  return {
    key: own.key,
    get storeNow() {
      return storeNow;
    },
    async check() {
      lost ??= await why();
      if (lost === undefined) return;
      throw new BkpError('conflict', `the lease on ${what} of ${ctx.kind}/${ctx.name} in store ${store.name} was lost: ${lost}`, {
        next: 'run it again: what this run did until now stays done',
      });
    },
  };
}

/** A lease whose last heartbeat is so long ago is dead by any clock that is not wrong by hours: milliseconds. */
const LONG_MS = 3_600_000;
/** Farther than a store's clock is behind ours: what counts by it counts as live. */
const DAY_MS = 86_400_000;

/**
 * A store without room takes no lease, and would never have room again if nothing might be removed without one. So a run that sees no lease of
 * another goes on without; it writes its own as soon as that is taken, and ends where another's shows up.
 */
function heldUnwritten(ctx: TargetContext, store: Store, what: string, own: OwnLease): Held {
  return {
    key: own.key,
    unwritten: true,
    get storeNow() {
      return new Date(ctx.clock.now().getTime() - DAY_MS);
    },
    async check() {
      if (!own.fresh())
        await own.write().catch(error => {
          if (!isFull(error)) throw error;
        });
      const other = await otherOf(ctx, store, what, own);
      if (!other) return;
      throw new BkpError(
        'conflict',
        `another run took a lease on ${what} of ${ctx.kind}/${ctx.name} in store ${store.name}: ${other.key}`,
        {
          next: 'run it again: what this run did until now stays done',
        },
      );
    },
  };
}

const otherOf = async (ctx: TargetContext, store: Store, what: string, own: OwnLease): Promise<ListedLease | undefined> =>
  (await listLeases(ctx, store, what)).find(({ key, beatAt }) => key !== own.key && ctx.clock.now().getTime() - beatAt.getTime() < LONG_MS);

/** @returns what to go on with where the store has no room for a lease; throws what kept it from being written otherwise */
async function goOnWithout(ctx: TargetContext, store: Store, what: string, own: OwnLease, error: unknown): Promise<Held> {
  if (!isFull(error) || (await otherOf(ctx, store, what, own))) throw error;
  own.state = 'holding';
  const text = `store ${store.name} is full, and takes no lease on ${what} of ${ctx.kind}/${ctx.name}: nobody else holds one, so it goes on without`;
  ctx.report.emit({ type: 'warning', text });
  return heldUnwritten(ctx, store, what, own);
}

/**
 * Works while no other run does the same on the same target in the same store; the lease is renewed meanwhile and removed at the end,
 * whatever the end.
 *
 * Why that is exclusive, with nothing but a store that lists at once what was written (no conditional write is needed):
 * - Each run writes a lease under a key of its own, and works only after a listing, made after that write, that shows no other live
 *   lease. Of two runs whose listings were both clean, the one that wrote later wrote after the other's listing; its own listing came
 *   later still, and would have shown the other's lease, which stands until its run ends. How slow a write is changes nothing: a
 *   listing comes only after the store has answered it.
 * - Which one goes on when both see each other is not a matter of safety: the one with the higher number yields, the other waits until
 *   it has. A run that holds pays no heed to one that only asks, since that one will see it and yield.
 * - A lease is live for `ttlMs` after its last write by the store's clock, for everybody. Its holder counts from before it sent that
 *   write, by its own clock, and gives up `marginMs` earlier. So when a holder was put to sleep, or its write was on its way for
 *   minutes, `check` throws before anybody else can have taken over; it also looks whether the lease still stands. What the holder sends
 *   within `marginMs` after a check arrives while the lease is still its own.
 * - A store without room is the exception: see `heldUnwritten`.
 * - A fixed name, written on condition that it is absent, would bring nothing more, and less safety: a removal or a renewal that a
 *   sleeper sends too late would hit the lease of its successor.
 *
 * @param random at least eight bytes
 * @throws BkpError('conflict') naming owner, start and last heartbeat of the run that is at it; what the store throws; what `work` throws
 */
export async function withLease<T>(
  ctx: TargetContext,
  store: Store,
  what: 'prune',
  random: Uint8Array,
  work: (lease: Held) => Promise<T>,
  timing: LeaseTiming = LEASE,
): Promise<T> {
  const present = await listLeases(ctx, store, what);
  const number = 1 + Math.max(0, ...present.map(({ key }) => ticketOf(key)?.number ?? 0));
  const own = ownLease(ctx, store, what, number, random, timing);
  try {
    const seen = await hold(ctx, store, what, own, timing).catch(error => goOnWithout(ctx, store, what, own, error));
    if ('key' in seen) return await work(seen);
    const beat = startBeat(ctx.clock, timing.beatMs, () => own.renew());
    try {
      await removeExpired(ctx, store, seen.expired);
      return await work(held(ctx, store, what, own, timing, seen));
    } finally {
      await beat.stop();
    }
  } finally {
    await own.remove();
  }
}
