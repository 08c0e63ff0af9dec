import * as z from 'zod';
import type { Store, TargetContext } from '../../core/contracts.ts';
import { isId } from '../../core/id.ts';
import { joinKey, sectionOf } from '../../core/key.ts';
import { instant, listed, plain, readRecord } from './entry.ts';

const shape = z.looseObject({
  version: z.literal(1),
  until: z.union([z.null(), instant]),
  reason: plain,
  by: plain,
  at: instant,
});

/** A hold on one backup in one store. `until` null = until it is released; so is what cannot be read. */
export interface Hold {
  id: string;
  until: Date | null;
  reason: string;
  /** Who put it there, and when; undefined where the record cannot be read. */
  by?: string;
  at?: Date;
}

const holdsUnder = (ctx: TargetContext): string => sectionOf(ctx.base, 'holds');

export const holdKey = (ctx: TargetContext, id: string): string => joinKey(holdsUnder(ctx), `${id}.json`);

/** The hold on one backup as its record says; undefined when there is none. What cannot be read holds too. */
export async function readHold(ctx: TargetContext, store: Store, id: string): Promise<Hold | undefined> {
  const found = await readRecord(store, holdKey(ctx, id), shape);
  if (found.state === 'gone') return undefined;
  if (found.state === 'unreadable') return { id, until: null, reason: `its record cannot be read: ${found.why}` };
  const { until, reason, by, at } = found.value;
  return { id, until, reason, by, at };
}

/** Whether it holds at a time. */
export const holdsAt = ({ until }: Hold, now: Date): boolean => until === null || until > now;

/**
 * Every hold of one store, those that ended too, by id.
 * @param id only of this backup
 * @throws BkpError('storeUnreachable') when they cannot be listed
 */
export async function readHolds(ctx: TargetContext, store: Store, id?: string): Promise<Hold[]> {
  const root = `${holdsUnder(ctx)}/`;
  const keys = (await listed(store, id === undefined ? root : holdKey(ctx, id))).map(({ key }) => key);
  const ids = keys.filter(key => key.endsWith('.json')).map(key => key.slice(root.length, -'.json'.length));
  const holds = await Promise.all(ids.filter(isId).map(each => readHold(ctx, store, each)));
  return holds.filter(hold => hold !== undefined);
}

/** `held until 2027-01-01T00:00:00.000Z (audit)` */
export const tellHold = ({ until, reason }: Hold): string =>
  `held ${until ? `until ${until.toISOString()}` : 'until it is released'} (${reason})`;
