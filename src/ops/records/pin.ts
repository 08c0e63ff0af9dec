import * as z from 'zod';
import type { ObjectInfo, Store, TargetContext } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';
import { isId } from '../../core/id.ts';
import { joinKey, sectionOf } from '../../core/key.ts';
import { putBytes } from '../../flow/bytes.ts';
import { startBeat } from './beat.ts';
import { encode, instant, listed, plain, readRecord, removeRecord } from './entry.ts';
import { ownerOf } from './owner.ts';

const shape = z.looseObject({ version: z.literal(1), purpose: plain, owner: plain, startedAt: instant });

/** Milliseconds. A pin is renewed every `beatMs`, protects for `ttlMs` after that, and for `unreadableMs` when nobody can tell what it is. */
export const PIN = { beatMs: 180_000, ttlMs: 900_000, unreadableMs: 86_400_000 } as const;

export type PinTiming = { [K in keyof typeof PIN]: number };

const pinsUnder = (ctx: TargetContext): string => sectionOf(ctx.base, 'pins');

/** Writes one pin; what fails is a warning, the first time in a row. */
function ownPin(ctx: TargetContext, store: Store, key: string, bytes: Buffer) {
  let written = false;
  let failing = false;
  const warn = (text: string): void => ctx.report.emit({ type: 'warning', text });
  return {
    async write() {
      try {
        await putBytes(store, key, bytes);
        written = true;
        failing = false;
      } catch (error) {
        if (!failing) warn(`store ${store.name} takes no pin, so a prune there could remove what is being read: ${sentence(error)}`);
        failing = true;
      }
    },
    async remove(ttlMs: number) {
      const why = await removeRecord(store, key);
      if (why && written) warn(`store ${store.name} keeps the pin of this run, which protects for ${ttlMs / 60_000} min more: ${why}`);
    },
  };
}

/**
 * Works while a pin in every store of `ctx` tells prune to leave a backup alone. A store that takes none is a warning: reading never
 * needs to write.
 * @param purpose a word for people, such as `restore`
 * @param random at least eight bytes
 */
export async function withPin<T>(
  ctx: TargetContext,
  backupId: string,
  purpose: string,
  random: Uint8Array,
  work: () => Promise<T>,
  timing: PinTiming = PIN,
): Promise<T> {
  const key = joinKey(pinsUnder(ctx), backupId, `${Buffer.from(random.subarray(0, 8)).toString('hex')}.json`);
  const bytes = encode({ version: 1, purpose, owner: ownerOf(), startedAt: ctx.clock.now().toISOString() });
  const pins = ctx.stores.map(store => ownPin(ctx, store, key, bytes));
  const write = async (): Promise<void> => void (await Promise.all(pins.map(pin => pin.write())));
  await write();
  const beat = startBeat(ctx.clock, timing.beatMs, write);
  try {
    return await work();
  } finally {
    await beat.stop();
    await Promise.all(pins.map(pin => pin.remove(timing.ttlMs)));
  }
}

/**
 * A pin that begins when it is known what is read: `begin` writes it, once, and answers when it is written; `end` takes it back.
 * @param random at least eight bytes
 */
export function pinning(ctx: TargetContext, purpose: string, random: Uint8Array) {
  let end = () => {};
  const ended = new Promise<void>(resolve => {
    end = resolve;
  });
  let pin: Promise<void> = Promise.resolve();
  let begun: Promise<void> | undefined;
  return {
    begin(id: string): Promise<void> {
      begun ??= new Promise(ready => {
        pin = withPin(ctx, id, purpose, random, async () => {
          ready();
          await ended;
        });
      });
      return begun;
    },
    async end(): Promise<void> {
      end();
      await pin;
    },
  };
}

/** Why a pin protects; undefined when it does not, or not any more. */
async function reasonOf(store: Store, info: ObjectInfo, storeNow: Date, timing: PinTiming): Promise<string | undefined> {
  const age = storeNow.getTime() - info.modified.getTime();
  if (age >= timing.unreadableMs) return undefined;
  const found = await readRecord(store, info.key, shape);
  if (found.state === 'gone') return undefined;
  if (found.state === 'unreadable') return `pinned by a record of ${info.modified.toISOString()} that cannot be read: ${found.why}`;
  if (age >= timing.ttlMs) return undefined;
  const { purpose, owner, startedAt } = found.value;
  return `being read: ${purpose} by ${owner} since ${startedAt.toISOString()}`;
}

/**
 * What is being read just now in one store, why by backup id. A pin that cannot be read protects for a day.
 * @param storeNow time by the store's clock, or earlier (then more is protected)
 * @param id only of this backup
 * @throws BkpError('storeUnreachable') when the pins cannot be listed
 */
export async function pinsIn(
  ctx: TargetContext,
  store: Store,
  storeNow: Date,
  id?: string,
  timing: PinTiming = PIN,
): Promise<Map<string, string>> {
  const root = `${pinsUnder(ctx)}/`;
  const pins = new Map<string, string>();
  for (const info of await listed(store, id === undefined ? root : `${root}${id}/`)) {
    const backup = info.key.slice(root.length).split('/')[0]!;
    if (!isId(backup) || pins.has(backup)) continue;
    const why = await reasonOf(store, info, storeNow, timing);
    if (why) pins.set(backup, why);
  }
  return pins;
}

/** Removes the pins of runs that died more than a day ago by the store's clock. What a store does not remove harms nothing. */
export async function sweepPins(ctx: TargetContext, store: Store, storeNow: Date, timing: PinTiming = PIN): Promise<void> {
  const dead = (await listed(store, `${pinsUnder(ctx)}/`)).filter(
    ({ modified }) => storeNow.getTime() - modified.getTime() >= timing.unreadableMs,
  );
  if (dead.length > 0) await store.remove(dead.map(({ key }) => key));
}
