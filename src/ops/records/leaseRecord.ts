import * as z from 'zod';
import type { Store, TargetContext } from '../../core/contracts.ts';
import { joinKey, sectionOf } from '../../core/key.ts';
import { instant, listed, plain, readRecord } from './entry.ts';

/** A lease that is older than this by its store's clock counts no longer: milliseconds. */
export const LEASE_TTL_MS = 180_000;

/** `asking` = written, and not yet known to be the only one. Only `holding` works. */
const shape = z.looseObject({
  version: z.literal(1),
  owner: plain,
  startedAt: instant,
  state: z.enum(['asking', 'holding']),
});

/** A lease of one store. `startedAt` is by its owner's clock, `beatAt` and `expiresAt` by the store's. */
export interface LeaseInfo {
  key: string;
  store: string;
  what: string;
  /** `<host>/<pid>`; undefined where the record cannot be read. */
  owner?: string;
  startedAt?: Date;
  beatAt: Date;
  expiresAt: Date;
  live: boolean;
  asking: boolean;
}

/** A lease as a listing shows it. */
export interface ListedLease {
  key: string;
  what: string;
  beatAt: Date;
}

/** Prefix of the leases of a target, without a slash at its end. */
export const leasesUnder = (ctx: TargetContext): string => sectionOf(ctx.base, 'leases');

export const leaseKey = (ctx: TargetContext, what: string, number: number, nonce: string): string =>
  joinKey(leasesUnder(ctx), what, `${number}-${nonce}.json`);

/** Where the store's clock is asked for; no lease. */
export const CLOCK = 'clock';

/** Every lease that a store lists, of one kind of work or of all. Whatever lies there counts as one. Throws what the store throws. */
export async function listLeases(ctx: TargetContext, store: Store, what?: string): Promise<ListedLease[]> {
  const root = `${leasesUnder(ctx)}/`;
  const found = await listed(store, what === undefined ? root : `${root}${what}/`);
  return found
    .map(({ key, modified }) => ({ key, what: key.slice(root.length).split('/')[0]!, beatAt: modified }))
    .filter(lease => lease.what !== CLOCK);
}

/** The number and the nonce in a key, by which leases are ordered; undefined for what bkp did not name. */
export function ticketOf(key: string): { number: number; nonce: string } | undefined {
  const [, number, nonce] = /\/(\d{1,9})-([0-9a-f]+)\.json$/.exec(key) ?? [];
  return nonce === undefined ? undefined : { number: Number(number), nonce };
}

/** Whether `key` comes after `other`: of two that ask at once the later one yields. What bkp did not name comes first. */
export function isAfter(key: string, other: string): boolean {
  const [a, b] = [ticketOf(key), ticketOf(other)];
  if (!a || !b) return a !== undefined;
  return a.number === b.number ? a.nonce > b.nonce : a.number > b.number;
}

/**
 * Reads what a listing showed.
 * @param storeNow time by the store's clock
 * @returns undefined when it is gone by now; a record that cannot be read counts as one that holds
 */
export async function readLease(store: Store, lease: ListedLease, storeNow: Date, ttlMs = LEASE_TTL_MS): Promise<LeaseInfo | undefined> {
  const found = await readRecord(store, lease.key, shape);
  if (found.state === 'gone') return undefined;
  const expiresAt = new Date(lease.beatAt.getTime() + ttlMs);
  const said = found.state === 'read' ? { owner: found.value.owner, startedAt: found.value.startedAt } : {};
  const asking = found.state === 'read' && found.value.state === 'asking';
  return { ...lease, store: store.name, ...said, expiresAt, live: expiresAt > storeNow, asking };
}

/**
 * Every lease on a target in one store.
 * @param storeNow time by the store's clock: a lease just written, or `storeClock`
 * @throws BkpError('storeUnreachable') when it cannot be listed
 */
export async function leasesIn(ctx: TargetContext, store: Store, storeNow: Date, ttlMs = LEASE_TTL_MS): Promise<LeaseInfo[]> {
  const read = await Promise.all((await listLeases(ctx, store)).map(lease => readLease(store, lease, storeNow, ttlMs)));
  return read.filter(lease => lease !== undefined);
}

/** `host/12 holds the lease on prune of postgres/app in store b2 since …, last heartbeat …` */
export const tellLease = (ctx: TargetContext, { store, what, owner, startedAt, beatAt }: LeaseInfo): string =>
  `${owner ?? 'somebody whose record cannot be read'} holds the lease on ${what} of ${ctx.kind}/${ctx.name} in store ${store}` +
  `${startedAt ? ` since ${startedAt.toISOString()}` : ''}, last heartbeat ${beatAt.toISOString()}`;
