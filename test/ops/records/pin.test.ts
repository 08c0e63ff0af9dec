import { describe, expect, it } from '@jest/globals';
import { BkpError } from '../../../src/core/errors.ts';
import { putBytes } from '../../../src/flow/bytes.ts';
import { pinsIn, sweepPins, withPin } from '../../../src/ops/records/pin.ts';
import { type World, world } from './world.ts';

const ID = '20260115T020000Z-4f2a1c';
const OTHER = '20260116T020000Z-4f2a1c';
const MINUTE = 60_000;
const nonce = (n = 1): Buffer => Buffer.alloc(16, n);
const pinned = (w: World, id?: string) => w.sim.run(pinsIn(w.ctx, w.store, w.storeNow(), id));

const noPut = (text: string) => (call: string) => {
  if (call === 'put') throw new BkpError('storeUnreachable', text);
};

describe('a pin', () => {
  it('stands in every store while work goes on, says who reads what for which purpose, and is gone afterwards', async () => {
    const w = world();
    const result = await w.sim.run(
      withPin(w.ctx, ID, 'restore', nonce(), async () => {
        for (const store of [w.store, w.other]) {
          const pins = await pinsIn(w.ctx, store, new Date(w.sim.at));
          expect([...pins]).toEqual([[ID, expect.stringMatching(/^being read: restore by \S+\/\d+ since 2026-03-01T09:00:00.000Z$/)]]);
        }
        return 'restored';
      }),
    );
    expect(result).toBe('restored');
    expect([...w.keys(), ...w.keys(w.other)]).toEqual([]);
  });

  it('is renewed through a day of reading', async () => {
    const w = world();
    await w.sim.run(
      withPin(w.ctx, ID, 'restore', nonce(), async () => {
        for (let hour = 0; hour < 24; hour += 1) {
          await w.sim.sleep(60 * MINUTE);
          expect((await pinsIn(w.ctx, w.store, w.storeNow())).has(ID)).toBe(true);
        }
      }),
    );
  });

  it('of a dead run protects for 15 minutes by the clock of the store, its record for nobody longer', async () => {
    const w = world();
    w.store.options.keeps = () => true;
    await w.sim.run(withPin(w.ctx, ID, 'restore', nonce(), async () => {}));
    expect(w.said('warning')).toEqual([expect.stringMatching(/store one keeps the pin of this run, which protects for 15 min more: held/)]);
    await w.sim.run(w.sim.sleep(14 * MINUTE));
    expect([...(await pinned(w)).keys()]).toEqual([ID]);
    await w.sim.run(w.sim.sleep(MINUTE));
    expect(await pinned(w)).toEqual(new Map());
  });

  it('that cannot be read protects for a day', async () => {
    const w = world();
    await putBytes(w.store, `prod/pins/fake/app/${ID}/x.json`, Buffer.from('{'));
    await w.sim.run(w.sim.sleep(86_399_000));
    expect([...(await pinned(w))]).toEqual([[ID, expect.stringContaining('cannot be read')]]);
    await w.sim.run(w.sim.sleep(1000));
    expect(await pinned(w)).toEqual(new Map());
  });

  it('protects its own backup only, of its own target only', async () => {
    const w = world();
    await w.sim.run(
      withPin(w.ctx, ID, 'restore', nonce(), async () => {
        expect(await pinsIn(w.ctx, w.store, w.storeNow(), OTHER)).toEqual(new Map());
        expect([...(await pinsIn(w.ctx, w.store, w.storeNow(), ID)).keys()]).toEqual([ID]);
        expect(await pinsIn({ ...w.ctx, base: 'prod/fake/app-two' }, w.store, w.storeNow())).toEqual(new Map());
      }),
    );
  });

  it('two of one backup: it is protected until both are gone', async () => {
    const w = world();
    await w.sim.run(
      withPin(w.ctx, ID, 'restore', nonce(1), async () => {
        await withPin(w.ctx, ID, 'drill', nonce(2), async () => {});
        expect((await pinsIn(w.ctx, w.store, w.storeNow())).get(ID)).toContain('restore');
      }),
    );
  });

  it('rule 9: a store that takes none is one warning, and the work goes on; one that comes back gets it', async () => {
    const w = world();
    w.store.options.fail = noPut('store one is read-only');
    await w.sim.run(
      withPin(w.ctx, ID, 'restore', nonce(), async () => {
        await w.sim.sleep(10 * MINUTE);
        expect(await pinsIn(w.ctx, w.store, w.storeNow())).toEqual(new Map());
        expect((await pinsIn(w.ctx, w.other, new Date(w.sim.at))).size).toBe(1);
        delete w.store.options.fail;
        await w.sim.sleep(3 * MINUTE);
        expect((await pinsIn(w.ctx, w.store, w.storeNow())).size).toBe(1);
      }),
    );
    expect(w.said('warning')).toEqual(['store one takes no pin, so a prune there could remove what is being read: store one is read-only']);
    expect(w.keys()).toEqual([]);
  });

  it('a store that may not delete either: still no more than that warning', async () => {
    const w = world({ keeps: () => true });
    w.store.options.fail = noPut('store one is read-only');
    expect(await w.sim.run(withPin(w.ctx, ID, 'restore', nonce(), async () => 7))).toBe(7);
    expect(w.events).toHaveLength(1);
  });

  it('a failure of the work is passed on, and the pin is gone', async () => {
    const w = world();
    await expect(w.sim.run(withPin(w.ctx, ID, 'restore', nonce(), () => Promise.reject(new Error('broken'))))).rejects.toThrow('broken');
    expect([...w.keys(), ...w.keys(w.other)]).toEqual([]);
  });
});

it('pins that cannot be listed are no answer', async () => {
  const w = world();
  w.store.options.fail = call => {
    if (call === 'list') throw new BkpError('storeUnreachable', 'store one does not answer');
  };
  await expect(pinned(w)).rejects.toMatchObject({ exit: 'storeUnreachable' });
});

it('pins of runs that died days ago are swept, younger ones are not', async () => {
  const w = world();
  await putBytes(w.store, `prod/pins/fake/app/${ID}/old.json`, Buffer.from('{}'));
  await w.sim.run(w.sim.sleep(86_400_000));
  await putBytes(w.store, `prod/pins/fake/app/${ID}/new.json`, Buffer.from('{}'));
  await w.sim.run(sweepPins(w.ctx, w.store, w.storeNow()));
  expect(w.keys()).toEqual([`prod/pins/fake/app/${ID}/new.json`]);
});
