import { describe, expect, it } from '@jest/globals';
import { BkpError } from '../../../src/core/errors.ts';
import { putBytes } from '../../../src/flow/bytes.ts';
import { manifestKey } from '../../../src/ops/catalog.ts';
import { hold, holdsIn, holdsOf, release } from '../../../src/ops/records/hold.ts';
import { BASE } from '../rig.ts';
import type { Memory } from './sim.ts';
import { type World, world } from './world.ts';

const ID = '20260115T020000Z-4f2a1c';
const OTHER = '20260116T020000Z-4f2a1c';
const KEY = `prod/holds/fake/app/${ID}.json`;
const day = (n: number): Date => new Date(Date.UTC(2026, 3, n));

/** A world in whose stores that backup is. */
async function withBackup(stores: 'one' | 'both' = 'both', options = {}): Promise<World> {
  const w = world(options);
  for (const store of stores === 'both' ? [w.store, w.other] : [w.store]) await putBytes(store, manifestKey(BASE, ID), Buffer.from('x'));
  return w;
}

const held = async (w: World, store: Memory = w.store, now = w.ctx.clock.now()) => [...(await holdsIn(w.ctx, store, now))];
const ok = (store: string) => ({ store, ok: true });

const failing = (store: Memory, calls: readonly string[]): void => {
  store.options.fail = call => {
    if (calls.includes(call)) throw new BkpError('storeUnreachable', `store ${store.name} fell over at ${call}`);
  };
};

describe('hold', () => {
  it('stands in every store that has the backup, with its end and the reason; it ends by itself', async () => {
    const w = await withBackup();
    expect(await hold(w.ctx, ID, { until: day(10), reason: 'audit' })).toEqual({ id: ID, exit: 'done', stores: [ok('one'), ok('two')] });
    for (const store of [w.store, w.other]) {
      expect(await held(w, store)).toEqual([[ID, 'held until 2026-04-10T00:00:00.000Z (audit)']]);
      expect(await held(w, store, day(10))).toEqual([]);
      expect(await held(w, store, new Date(day(10).getTime() - 1))).toHaveLength(1);
    }
    expect(await holdsIn(w.ctx, w.store, w.ctx.clock.now(), OTHER)).toEqual(new Map());
    expect((await holdsIn(w.ctx, w.store, w.ctx.clock.now(), ID)).size).toBe(1);
  });

  it('without an end stands until it is released', async () => {
    const w = await withBackup();
    await hold(w.ctx, ID, { reason: 'lawsuit' });
    expect(await held(w, w.store, new Date('2099-01-01'))).toEqual([[ID, 'held until it is released (lawsuit)']]);
    expect(await release(w.ctx, ID)).toEqual({ id: ID, exit: 'done', stores: [ok('one'), ok('two')] });
    expect(await held(w)).toEqual([]);
    expect(await release(w.ctx, ID)).toBeUndefined();
  });

  it('is written only where the backup is; a backup that is nowhere is not found', async () => {
    const w = await withBackup('one');
    expect(await hold(w.ctx, ID, { reason: 'audit' })).toEqual({ id: ID, exit: 'done', stores: [ok('one')] });
    expect(w.keys(w.other)).toEqual([]);
    expect(await hold(w.ctx, OTHER, { reason: 'audit' })).toBeUndefined();
    expect(await hold({ ...w.ctx, base: 'prod/fake/app-two' }, ID, { reason: 'audit' })).toBeUndefined();
  });

  it.each([
    ['longer', day(11), day(10)],
    ['until it is released', undefined, day(10)],
    ['as long, with another reason', day(10), day(10)],
  ])('may be extended: %s', async (_, until, before) => {
    const w = await withBackup();
    await hold(w.ctx, ID, { until: before, reason: 'first' });
    expect(await hold(w.ctx, ID, { ...(until ? { until } : {}), reason: 'second' })).toMatchObject({ exit: 'done' });
    expect(await held(w)).toEqual([[ID, expect.stringContaining('second')]]);
  });

  it.each([
    ['earlier', day(9), day(10)],
    ['an end where there was none', day(9), undefined],
  ])('is never shortened silently: %s', async (_, until, before) => {
    const w = await withBackup();
    await hold(w.ctx, ID, { ...(before ? { until: before } : {}), reason: 'first' });
    const shorter = hold(w.ctx, ID, { until, reason: 'second' });
    await expect(shorter).rejects.toMatchObject({
      exit: 'refused',
      message: expect.stringContaining('(first)'),
      next: [expect.stringContaining('--release')],
    });
    expect(await held(w)).toEqual([[ID, expect.stringContaining('first')]]);
    await release(w.ctx, ID);
    expect(await hold(w.ctx, ID, { until, reason: 'second' })).toMatchObject({ exit: 'done' });
  });

  it('one that ended hinders no new one', async () => {
    const w = await withBackup();
    await hold(w.ctx, ID, { until: day(10), reason: 'first' });
    await w.sim.run(w.sim.sleep(60 * 86_400_000));
    expect(await hold(w.ctx, ID, { until: new Date('2026-05-01'), reason: 'second' })).toMatchObject({ exit: 'done' });
  });

  it('that cannot be read holds, and is not replaced by one with an end', async () => {
    const w = await withBackup();
    await putBytes(w.store, KEY, Buffer.from('{"version":9}'));
    expect(await held(w)).toEqual([[ID, expect.stringMatching(/^held until it is released \(its record cannot be read/)]]);
    await expect(hold(w.ctx, ID, { until: day(10), reason: 'second' })).rejects.toMatchObject({ exit: 'refused' });
    expect(await hold(w.ctx, ID, { reason: 'second' })).toMatchObject({ exit: 'done' });
    expect(await held(w)).toEqual([[ID, 'held until it is released (second)']]);
  });

  it('a store that does not take it is named, the others have it: partial; none at all is a failure', async () => {
    const w = await withBackup();
    failing(w.store, ['put']);
    const stores = [{ store: 'one', ok: false, error: 'store one fell over at put' }, ok('two')];
    expect(await hold(w.ctx, ID, { until: day(10), reason: 'audit' })).toEqual({ id: ID, exit: 'partial', stores });
    expect(await held(w, w.other)).toHaveLength(1);
    failing(w.other, ['put']);
    await expect(hold(w.ctx, ID, { until: day(11), reason: 'audit' })).rejects.toMatchObject({
      exit: 'storeUnreachable',
      message: expect.stringMatching(/one: .*put; two: .*put/),
    });
  });

  it('a store that is silent is told, since it may have the backup', async () => {
    const w = await withBackup();
    failing(w.store, ['put', 'get', 'stat', 'list']);
    expect(await hold(w.ctx, ID, { until: day(10), reason: 'audit' })).toMatchObject({
      exit: 'partial',
      stores: [{ ok: false }, { ok: true }],
    });
    await expect(hold(w.ctx, OTHER, { reason: 'audit' })).rejects.toMatchObject({ exit: 'storeUnreachable' });
    await expect(held(w)).rejects.toMatchObject({ exit: 'storeUnreachable' });
    expect(await release(w.ctx, ID)).toMatchObject({ exit: 'partial' });
  });

  it('S17: one that the store does not remove is told, and goes on holding there', async () => {
    const w = await withBackup('both', { keeps: () => true });
    await hold(w.ctx, ID, { reason: 'audit' });
    const stores = [{ store: 'one', ok: false, error: expect.stringContaining('it stays held there: held by object lock') }, ok('two')];
    expect(await release(w.ctx, ID)).toEqual({ id: ID, exit: 'partial', stores });
    expect(await held(w)).toHaveLength(1);
  });
});

describe('the list of holds', () => {
  it('shows each once with the stores that have it, those that ended too, and what could not be asked', async () => {
    const w = await withBackup();
    await putBytes(w.store, manifestKey(BASE, OTHER), Buffer.from('x'));
    await hold(w.ctx, OTHER, { until: day(5), reason: 'short' });
    await hold(w.ctx, ID, { reason: 'lawsuit' });
    await w.sim.run(w.sim.sleep(60 * 86_400_000));
    expect((await holdsOf(w.ctx)).holds).toMatchObject([
      { id: ID, until: null, reason: 'lawsuit', by: expect.stringMatching(/.@./), stores: ['one', 'two'], ended: false },
      { id: OTHER, until: day(5), reason: 'short', stores: ['one'], ended: true },
    ]);
    failing(w.other, ['list']);
    expect(await holdsOf(w.ctx)).toMatchObject({ holds: [{ stores: ['one'] }, {}], problems: [{ store: 'two' }] });
  });
});
