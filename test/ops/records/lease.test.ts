import { hostname } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import type { TargetContext } from '../../../src/core/contracts.ts';
import { BkpError } from '../../../src/core/errors.ts';
import { putBytes } from '../../../src/flow/bytes.ts';
import { encode } from '../../../src/ops/records/entry.ts';
import { type Held, withLease } from '../../../src/ops/records/lease.ts';
import { leaseKey } from '../../../src/ops/records/leaseRecord.ts';
import { type World, world } from './world.ts';

const MINUTE = 60_000;
const nonce = (n: number): Buffer => Buffer.alloc(16, n);

const lease = <T>(w: World, n: number, work: (held: Held) => Promise<T>, ctx: TargetContext = w.ctx): Promise<T> =>
  withLease(ctx, w.store, 'prune', nonce(n), work);

/** A lease as its owner would have left it. */
const leave = (w: World, number: number, change: object = {}): Promise<unknown> =>
  putBytes(
    w.store,
    leaseKey(w.ctx, 'prune', number, 'dead'),
    encode({ version: 1, what: 'prune', owner: 'gone/77', startedAt: '2026-03-01T08:59:00.000Z', state: 'holding', ...change }),
  );

const conflict = (text: string) => ({ exit: 'conflict', message: expect.stringContaining(text) });

describe('a lease of a dead owner', () => {
  it('CF09: is respected for three minutes by the clock of the store, with owner, start and last heartbeat, then taken over', async () => {
    const w = world();
    await leave(w, 4);
    await w.sim.run(w.sim.sleep(179_000));
    const refused = await w.sim.run(lease(w, 1, async () => 'never').catch(error => error));
    expect(refused).toMatchObject(conflict('gone/77 holds the lease on prune of fake/app in store one since 2026-03-01T08:59:00.000Z'));
    expect(refused.message).toContain('last heartbeat 2026-03-01T12:20:00.000Z');
    expect(w.keys()).toEqual([leaseKey(w.ctx, 'prune', 4, 'dead')]);
    await w.sim.run(w.sim.sleep(1000));
    const seen = await w.sim.run(lease(w, 1, async held => [held.key, ...w.keys()]));
    expect(seen).toEqual([leaseKey(w.ctx, 'prune', 5, '0101010101010101'), leaseKey(w.ctx, 'prune', 5, '0101010101010101')]);
    expect(w.said('note')).toEqual([expect.stringMatching(/last heartbeat was 2026-03-01T12:20:00.000Z is dead, and was taken over/)]);
    expect(w.keys()).toEqual([]);
  });

  it('S17: that the store does not remove stays, and hinders nobody', async () => {
    const w = world({ keeps: key => key.includes('dead') });
    await leave(w, 1);
    await w.sim.run(w.sim.sleep(4 * MINUTE));
    for (const n of [1, 2]) expect(await w.sim.run(lease(w, n, async () => n))).toBe(n);
    expect(w.keys()).toEqual([leaseKey(w.ctx, 'prune', 1, 'dead')]);
    expect(w.said('note')[0]).toContain('its lease stays: held by object lock');
  });

  it.each([
    ['is no JSON', Buffer.from('{"version":1')],
    ['is of a later version', encode({ version: 2, owner: 'new/1' })],
  ])('whose record %s protects as any other does', async (_, bytes) => {
    const w = world();
    await putBytes(w.store, 'prod/leases/fake/app/prune/whatever', bytes);
    await expect(w.sim.run(lease(w, 1, async () => 'never'))).rejects.toMatchObject(conflict('somebody whose record cannot be read'));
    await w.sim.run(w.sim.sleep(3 * MINUTE));
    expect(await w.sim.run(lease(w, 1, async () => 'mine'))).toBe('mine');
  });

  it('cannot put control characters on a terminal', async () => {
    const w = world();
    await leave(w, 1, { owner: 'a\u001b[2Jb/1' });
    await expect(w.sim.run(lease(w, 1, async () => 'never'))).rejects.toMatchObject(conflict('a\ufffd[2Jb/1 holds'));
  });
});

describe('a lease that is held', () => {
  it('names host and process, is renewed while work goes on, and keeps others out all that time', async () => {
    const w = world();
    await w.sim.run(
      lease(w, 1, async held => {
        for (let minute = 0; minute < 60; minute += 1) {
          await w.sim.sleep(MINUTE);
          await held.check();
          await expect(lease(w, 2, async () => 'never')).rejects.toMatchObject(conflict(`${hostname()}/${process.pid} holds`));
        }
      }),
    );
    expect(w.keys()).toEqual([]);
    expect(w.events).toEqual([]);
  });

  it("tells the time by the store's clock, and it goes on", async () => {
    const w = world();
    await w.sim.run(
      lease(w, 1, async held => {
        expect(held.storeNow).toEqual(new Date('2026-03-01T12:20:00Z'));
        await w.sim.sleep(10 * MINUTE);
        await held.check();
        expect(w.storeNow().getTime() - held.storeNow.getTime()).toBeLessThanOrEqual(31_000);
      }),
    );
  });

  it('does not mind one that only asks', async () => {
    const w = world();
    await w.sim.run(
      lease(w, 1, async held => {
        await leave(w, 9, { state: 'asking' });
        await held.check();
      }),
    );
  });

  it('is lost when another one that holds appears, and stays lost', async () => {
    const w = world();
    await w.sim.run(
      lease(w, 1, async held => {
        await held.check();
        await leave(w, 9);
        await expect(held.check()).rejects.toMatchObject(conflict('was lost: gone/77 holds'));
        w.store.objects.delete(leaseKey(w.ctx, 'prune', 9, 'dead'));
        await expect(held.check()).rejects.toMatchObject(conflict('was lost'));
      }),
    );
  });

  it('is lost when somebody removed it', async () => {
    const w = world();
    await w.sim.run(
      lease(w, 1, async held => {
        w.store.objects.delete(held.key);
        await expect(held.check()).rejects.toMatchObject(conflict('no longer in the store'));
      }),
    );
  });

  it('is lost when it could not be renewed for two minutes: one warning, and check throws before others may take it', async () => {
    const w = world();
    await w.sim.run(
      lease(w, 1, async held => {
        w.store.options.fail = call => {
          if (call === 'put') throw new BkpError('storeUnreachable', 'store one does not answer');
        };
        await w.sim.sleep(119_000);
        await held.check();
        await w.sim.sleep(1000);
        await expect(held.check()).rejects.toMatchObject(conflict('could not be renewed for 120 s'));
        delete w.store.options.fail;
        await expect(lease(w, 2, async () => 'never')).rejects.toMatchObject({ exit: 'conflict' });
        await w.sim.sleep(MINUTE);
        expect(await lease(w, 2, async () => 'theirs')).toBe('theirs');
        await expect(held.check()).rejects.toMatchObject({ exit: 'conflict' });
      }),
    );
    expect(w.said('warning')).toEqual(['store one: the lease on prune could not be renewed: store one does not answer']);
  });

  it('is kept through a store that is away for a minute', async () => {
    const w = world();
    await w.sim.run(
      lease(w, 1, async held => {
        w.store.options.fail = call => {
          if (call === 'put') throw new BkpError('storeUnreachable', 'store one does not answer');
        };
        await w.sim.sleep(MINUTE);
        delete w.store.options.fail;
        await w.sim.sleep(10 * MINUTE);
        await held.check();
      }),
    );
  });

  it('is lost when this host slept, though nobody else came', async () => {
    const w = world();
    let slept = 0;
    const clock = { ...w.ctx.clock, now: () => new Date(w.ctx.clock.now().getTime() + slept) };
    await w.sim.run(
      lease(
        w,
        1,
        async held => {
          await held.check();
          slept = 10 * MINUTE;
          await expect(held.check()).rejects.toMatchObject(conflict('this host slept'));
          await w.sim.sleep(MINUTE);
          await expect(held.check()).rejects.toMatchObject(conflict('this host slept'));
        },
        { ...w.ctx, clock },
      ),
    );
    expect(w.keys()).toEqual([]);
  });

  it('CF11: a renewal that was on its way for so long that others may have come in between does not count', async () => {
    const w = world();
    await w.sim.run(
      lease(w, 1, async held => {
        let puts = 0;
        w.store.options.delay = call => (call === 'put' && puts++ === 0 ? [100_000, 0] : [0, 0]);
        await w.sim.sleep(131_000);
        await expect(held.check()).rejects.toMatchObject(conflict('could not be renewed'));
      }),
    );
  });
});

describe('how it ends', () => {
  it('a failure of the work is passed on, and the lease is gone', async () => {
    const w = world();
    await expect(w.sim.run(lease(w, 1, () => Promise.reject(new Error('broken'))))).rejects.toThrow('broken');
    expect(w.keys()).toEqual([]);
  });

  it('CF12: a signal in the middle of the work: released, and no heartbeat afterwards', async () => {
    const w = world();
    const work = lease(w, 1, async () => {
      await w.sim.sleep(3_600_000, w.abort.signal);
    });
    const ended = Promise.all([
      work.catch(error => error),
      w.sim.sleep(95_000).then(() => w.abort.abort(new BkpError('terminated', 'SIGTERM'))),
    ]);
    expect((await w.sim.run(ended))[0]).toMatchObject({ exit: 'terminated' });
    expect(w.keys()).toEqual([]);
    const calls: string[] = [];
    w.store.options.fail = call => void calls.push(call);
    await w.sim.run(w.sim.sleep(10 * MINUTE));
    expect(calls).toEqual([]);
  });

  it('CF12: a signal while it waits for another that asks: nothing is left', async () => {
    const w = world();
    await leave(w, 1, { state: 'asking' });
    w.store.objects.delete(leaseKey(w.ctx, 'prune', 1, 'dead'));
    let asked = false;
    w.store.options.fail = call => {
      if (call !== 'list' || asked) return;
      asked = true;
      void leave(w, 9, { state: 'asking' });
    };
    const ended = Promise.all([
      lease(w, 1, async () => 'never').catch(error => error),
      w.sim.sleep(5500).then(() => w.abort.abort(new BkpError('interrupted', 'SIGINT'))),
    ]);
    expect((await w.sim.run(ended))[0]).toMatchObject({ exit: 'interrupted' });
    expect(w.keys()).toEqual([leaseKey(w.ctx, 'prune', 9, 'dead')]);
  });

  it('S17: a store that does not remove it is a warning; the result of the work is the result', async () => {
    const w = world({ keeps: () => true });
    expect(await w.sim.run(lease(w, 1, async () => 42))).toBe(42);
    expect(w.said('warning')).toEqual([expect.stringContaining('could not be removed (held by object lock)')]);
  });

  it('nothing begins in a store that takes no write, or does not list what was written', async () => {
    const w = world();
    w.store.options.fail = call => {
      if (call === 'put') throw new BkpError('storeUnreachable', 'store one is read-only');
    };
    await expect(w.sim.run(lease(w, 1, async () => 'never'))).rejects.toMatchObject({ exit: 'storeUnreachable' });
    expect(w.events).toEqual([]);
    delete w.store.options.fail;
    const blind = { ...w.store, async *list() {} };
    const asked = withLease(w.ctx, blind, 'prune', nonce(1), async () => 'never');
    await expect(w.sim.run(asked)).rejects.toMatchObject(conflict('does not list the lease that was just written'));
    expect(w.keys()).toEqual([]);
  });
});
