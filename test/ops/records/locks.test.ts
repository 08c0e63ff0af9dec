import { describe, expect, it } from '@jest/globals';
import { BkpError } from '../../../src/core/errors.ts';
import { withLease } from '../../../src/ops/records/lease.ts';
import { locksOf, releaseAnywhere } from '../../../src/ops/records/locks.ts';
import { storeClock } from '../../../src/ops/records/storeClock.ts';
import { type World, world } from './world.ts';

const MINUTE = 60_000;
const random = (n: number): Uint8Array => Buffer.alloc(n, 5);
const locks = (w: World) => locksOf(w.ctx, random);

/** A lease whose owner was killed just now. */
async function killed(w: World): Promise<string> {
  w.store.options.keeps = () => true;
  const key = await w.sim.run(withLease(w.ctx, w.store, 'prune', random(16), async held => held.key));
  delete w.store.options.keeps;
  return key;
}

const noPut = (call: string): void => {
  if (call === 'put') throw new BkpError('storeUnreachable', 'store one is read-only');
};

it('lists who holds what since when, and leaves nothing behind', async () => {
  const w = world();
  expect(await w.sim.run(locks(w))).toEqual({ leases: [], problems: [] });
  await w.sim.run(
    withLease(w.ctx, w.store, 'prune', random(16), async held => {
      await w.sim.sleep(50_000);
      expect(await locks(w)).toMatchObject({
        leases: [
          {
            key: held.key,
            store: 'one',
            what: 'prune',
            owner: expect.stringContaining(`/${process.pid}`),
            startedAt: new Date('2026-03-01T09:00:00Z'),
            beatAt: new Date('2026-03-01T12:20:30Z'),
            expiresAt: new Date('2026-03-01T12:23:30Z'),
            live: true,
          },
        ],
      });
    }),
  );
  expect(w.keys()).toEqual([]);
});

it("a store's clock is its own", async () => {
  const w = world();
  expect(await w.sim.run(storeClock(w.ctx, w.store, random(8)))).toEqual(new Date('2026-03-01T12:20:00Z'));
  w.store.options.keeps = () => true;
  await w.sim.run(storeClock(w.ctx, w.store, random(8)));
  expect(w.said('note')).toEqual([expect.stringContaining('keeps prod/leases/fake/app/clock/')]);
  expect((await w.sim.run(locks(w))).leases).toEqual([]);
});

it('whoever may not write may look, and is told whose clock judges; a store that is silent is told', async () => {
  const w = world();
  await killed(w);
  w.store.options.fail = noPut;
  expect((await w.sim.run(locks(w))).leases).toMatchObject([{ live: true }]);
  expect(w.said('note')).toEqual([expect.stringMatching(/store one takes no write .*by this host's clock/)]);
  w.store.options.fail = call => {
    throw new BkpError('storeUnreachable', `no ${call}`);
  };
  expect(await w.sim.run(locks(w))).toMatchObject({ leases: [], problems: [{ store: 'one', error: 'no list' }] });
});

describe('release', () => {
  it('CF10: a live one is never taken away: who holds it, and until when', async () => {
    const w = world();
    await w.sim.run(
      withLease(w.ctx, w.store, 'prune', random(16), async held => {
        await w.sim.sleep(10 * MINUTE + 10_000);
        const refused = await releaseAnywhere(w.ctx, held.key, random).catch(error => error);
        expect(refused).toMatchObject({ exit: 'conflict' });
        expect(refused.message).toMatch(
          new RegExp(`/${process.pid} holds the lease on prune .* live until 2026-03-01T12:33:00.000Z by the store's clock`),
        );
        await held.check();
      }),
    );
  });

  it('CF09: one that a dead run left is refused while it may be alive, and removed after that', async () => {
    const w = world();
    const key = await killed(w);
    await w.sim.run(w.sim.sleep(179_000));
    await expect(w.sim.run(releaseAnywhere(w.ctx, key, random))).rejects.toMatchObject({ exit: 'conflict' });
    await w.sim.run(w.sim.sleep(1000));
    expect((await w.sim.run(locks(w))).leases).toMatchObject([{ key, live: false }]);
    expect(await w.sim.run(releaseAnywhere(w.ctx, key, random))).toMatchObject({ key, store: 'one', live: false });
    expect(w.keys()).toEqual([]);
  });

  it('knows no other key: not one that is gone, not a backup, not one of another target', async () => {
    const w = world();
    const key = await killed(w);
    await w.sim.run(w.sim.sleep(10 * MINUTE));
    for (const other of [key.replace('1-', '2-'), 'prod/fake/app/backups/x', key.replace('/app/', '/app-two/'), `${key}x`])
      expect(await w.sim.run(releaseAnywhere(w.ctx, other, random))).toBeUndefined();
    expect(w.keys()).toEqual([key]);
  });

  it('a store that is silent may have it; one that does not remove it is a failure', async () => {
    const w = world();
    const key = await killed(w);
    await w.sim.run(w.sim.sleep(10 * MINUTE));
    w.store.options.keeps = () => true;
    await expect(w.sim.run(releaseAnywhere(w.ctx, key, random))).rejects.toMatchObject({ exit: 'failed' });
    w.store.options.fail = () => {
      throw new BkpError('storeUnreachable', 'store one does not answer');
    };
    await expect(w.sim.run(releaseAnywhere(w.ctx, key, random))).rejects.toMatchObject({ exit: 'storeUnreachable' });
  });
});
