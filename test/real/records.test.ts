import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Store, TargetContext } from '../../src/core/contracts.ts';
import type { BkpError } from '../../src/core/errors.ts';
import { environmentBase } from '../../src/core/key.ts';
import { putBytes } from '../../src/flow/bytes.ts';
import { manifestKey } from '../../src/ops/catalog.ts';
import { hold, holdsIn, release } from '../../src/ops/records/hold.ts';
import { withLease } from '../../src/ops/records/lease.ts';
import { leaseKey } from '../../src/ops/records/leaseRecord.ts';
import { releaseAnywhere } from '../../src/ops/records/locks.ts';
import type { LeaseTiming } from '../../src/ops/records/ownLease.ts';
import { pinsIn, withPin } from '../../src/ops/records/pin.ts';
import { proofsIn, prove } from '../../src/ops/records/proof.ts';
import { markRestoring, refuseRestoring, unmarkRestoring } from '../../src/ops/records/restoring.ts';
import { lastRuns, recordRun } from '../../src/ops/records/run.ts';
import { storeClock } from '../../src/ops/records/storeClock.ts';
import { systemClock } from '../../src/system/clock.ts';
import { BASE, rig } from '../ops/rig.ts';
import { b2At, keysOf, storeAt } from '../providers/stores/s3rig.ts';
import {
  accessDenied,
  cleanUp,
  type FaultyS3,
  pause,
  type S3Server,
  startB2,
  startFaulty,
  startRgw,
  startVersity,
  waitFor,
} from './rig/index.ts';

afterAll(cleanUp);

const ID = '20260115T020000Z-4f2a1c';

/** Short, and long enough for listings that show whole seconds. */
const QUICK: LeaseTiming = { beatMs: 400, ttlMs: 5000, marginMs: 2000, pollMs: 100, tries: 50 };

const openS3 = (server: S3Server, bucket: string): Store => storeAt(server, bucket, {}, systemClock);
const openB2 = (server: S3Server, bucket: string): Store => b2At(server, bucket, {}, systemClock);

describe.each([
  ['Ceph RGW', startRgw, openS3],
  ['versitygw', startVersity, openS3],
  ['B2', async () => startB2(await startVersity()), openB2],
] as const)('records in %s', (_, start, open) => {
  const r = rig();
  const { events } = r;
  let server: FaultyS3;
  let store: Store;
  let ctx: TargetContext;

  const lease = <T>(work: Parameters<typeof withLease<T>>[4]) => withLease(ctx, store, 'prune', randomBytes(16), work, QUICK);
  const left = async (): Promise<string[]> => (await keysOf(store)).filter(key => !key.startsWith(BASE));
  const deny = () => {
    server.faults = [{ when: ({ method }) => method === 'DELETE', act: accessDenied }];
  };

  beforeAll(async () => {
    server = await startFaulty(await start());
    store = open(server, await server.bucket());
    ctx = r.context({ stores: [store] });
  });

  beforeEach(() => void events.splice(0));
  afterAll(() => r[Symbol.dispose]());

  it('CF11: of six at once one goes on, at each of three times; nothing is left, no version either', async () => {
    for (let round = 0; round < 3; round += 1) {
      let [inside, ended] = [0, 0];
      const work = async () => {
        inside += 1;
        expect(inside).toBe(1);
        await waitFor(() => ended === 5, 'the others to be refused');
        inside -= 1;
      };
      const asked = Array.from({ length: 6 }, () => lease(work).finally(() => (ended += 1)));
      const ends = await Promise.allSettled(asked);
      const refused = ends.flatMap(end => (end.status === 'rejected' ? [(end.reason as BkpError).message] : []));
      expect(refused).toEqual(Array.from({ length: 5 }, () => expect.stringContaining(`/${process.pid} holds the lease on prune`)));
    }
    expect(await left()).toEqual([]);
    expect((await store.hidden?.('prod/leases/'))?.objects ?? 0).toBe(0);
  });

  it('CF09 CF10: a lease of a dead owner is respected for its time, then released or taken over; a live one is not', async () => {
    const dead = leaseKey(ctx, 'prune', 4, 'dead');
    const record = { version: 1, owner: 'gone/77', startedAt: new Date().toISOString(), state: 'holding' };
    await putBytes(store, dead, Buffer.from(JSON.stringify(record)));
    await expect(lease(async () => 'never')).rejects.toMatchObject({ exit: 'conflict', message: expect.stringContaining('gone/77') });
    await expect(releaseAnywhere(ctx, dead, randomBytes)).rejects.toMatchObject({ exit: 'conflict' });
    await pause(QUICK.ttlMs + 1000);
    expect(await lease(async held => held.key)).toMatch(/\/5-[0-9a-f]{16}\.json$/);
    expect(await left()).toEqual([]);
  });

  it('a lease is renewed for as long as it is held, and lost when the store takes no renewal', async () => {
    await lease(async held => {
      const first = held.storeNow.getTime();
      await pause(QUICK.ttlMs + 1000);
      await held.check();
      expect(held.storeNow.getTime() - first).toBeGreaterThan(QUICK.marginMs);
      await expect(lease(async () => 'never')).rejects.toMatchObject({ exit: 'conflict' });
      server.faults = [{ when: ({ method }) => method === 'PUT', act: accessDenied }];
      await pause(QUICK.ttlMs - QUICK.marginMs + 500);
      server.faults = [];
      await expect(held.check()).rejects.toMatchObject({ exit: 'conflict', message: expect.stringContaining('was lost') });
    });
    expect(await left()).toEqual([]);
  });

  it('a restore that is over holds nothing back, though nobody may take its mark away; the next one does again', async () => {
    const stack = { ...ctx, base: environmentBase(BASE) };
    const held = () =>
      refuseRestoring(stack.stores, stack.base).then(
        () => false,
        error => (error as BkpError).exit === 'conflict',
      );
    for (let round = 0; round < 2; round += 1) {
      await markRestoring(stack, ID, new Date());
      deny();
      expect(await held()).toBe(true);
      events.splice(0);
      await unmarkRestoring(stack);
      expect(await held()).toBe(false);
      expect(events.map(({ type }) => type)).toEqual(['note']);
      await unmarkRestoring(stack);
      expect(events).toHaveLength(1);
      server.faults = [];
    }
    await markRestoring(stack, ID, new Date());
    server.faults = [{ when: ({ method }) => method !== 'GET' && method !== 'HEAD', act: accessDenied }];
    await unmarkRestoring(stack);
    expect(events.at(-1)).toMatchObject({ type: 'warning', text: expect.stringContaining('go on waiting') });
    expect(await held()).toBe(true);
    server.faults = [];
    await unmarkRestoring(stack);
    expect(await left()).toEqual([]);
  });

  it("the store's clock is near ours, for it runs on this machine", async () => {
    expect(Math.abs((await storeClock(ctx, store, randomBytes(8))).getTime() - Date.now())).toBeLessThan(60_000);
    expect(await left()).toEqual([]);
  });

  it('pins, holds and proofs are there when they were put, and gone when they were taken away', async () => {
    await putBytes(store, manifestKey(BASE, ID), Buffer.from('x'));
    await withPin(ctx, ID, 'restore', randomBytes(16), async () => {
      expect((await pinsIn(ctx, store, new Date(), ID)).get(ID)).toContain('being read: restore by');
    });
    expect(await pinsIn(ctx, store, new Date())).toEqual(new Map());
    expect(await hold(ctx, ID, { until: new Date(Date.now() + 60_000), reason: 'audit' })).toMatchObject({ exit: 'done' });
    expect((await holdsIn(ctx, store, new Date(), ID)).get(ID)).toContain('(audit)');
    expect(await hold(ctx, ID, { reason: 'lawsuit' })).toMatchObject({ exit: 'done' });
    await expect(hold(ctx, ID, { until: new Date(Date.now() + 60_000), reason: 'audit' })).rejects.toMatchObject({ exit: 'refused' });
    expect(await release(ctx, ID)).toMatchObject({ exit: 'done' });
    expect(await holdsIn(ctx, store, new Date())).toEqual(new Map());
    expect(await left()).toEqual([]);
    const at = new Date('2026-02-01T00:00:00Z');
    await prove(ctx, store, ID, at, 'drill');
    expect(await proofsIn(ctx, store)).toEqual([{ id: ID, at }]);
    expect(events).toEqual([]);
  });

  it('of runs the last ones are found, and old ones go', async () => {
    for (let n = 0; n < 14; n += 1) {
      const finishedAt = new Date(Date.UTC(2026, 0, 15, 3, n)).toISOString();
      const end = n === 1 ? ({ exit: 'done' } as const) : ({ exit: 'failed', message: `${n}` } as const);
      await recordRun(ctx, [store], { version: 1, verb: 'backup', startedAt: finishedAt, finishedAt, ...end }, randomBytes(3));
    }
    expect(await lastRuns(ctx, store)).toMatchObject({ backup: { success: { exit: 'done' }, failure: { message: '13' } } });
    expect((await keysOf(store, 'prod/runs/')).length).toBe(11);
  });

  it('S17: where nobody may delete, everything goes on: told where it matters, and a hold goes on holding', async () => {
    deny();
    try {
      expect(await lease(async () => 42)).toBe(42);
      expect(await withPin(ctx, ID, 'restore', randomBytes(16), async () => 43)).toBe(43);
      expect(events).toEqual([
        { type: 'warning', text: expect.stringContaining('the lease on prune could not be removed') },
        { type: 'warning', text: expect.stringContaining('keeps the pin of this run') },
      ]);
      await hold(ctx, ID, { reason: 'lawsuit' });
      await expect(release(ctx, ID)).rejects.toMatchObject({ exit: 'storeUnreachable', message: expect.stringContaining('stays held') });
    } finally {
      server.faults = [];
    }
    expect((await holdsIn(ctx, store, new Date())).size).toBe(1);
  });

  it('rule 9: a key that only reads restores all the same: one warning', async () => {
    server.faults = [{ when: ({ method }) => method !== 'GET' && method !== 'HEAD', act: accessDenied }];
    try {
      expect(await withPin(ctx, ID, 'restore', randomBytes(16), async () => 44)).toBe(44);
    } finally {
      server.faults = [];
    }
    expect(events).toEqual([{ type: 'warning', text: expect.stringContaining('takes no pin') }]);
  });
});
