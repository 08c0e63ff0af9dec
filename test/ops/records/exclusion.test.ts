import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BkpError } from '../../../src/core/errors.ts';
import { withLease } from '../../../src/ops/records/lease.ts';
import { LEASE } from '../../../src/ops/records/ownLease.ts';
import { rig } from '../rig.ts';
import { type Memory, makeSim, memoryStore, type Sim } from './sim.ts';
import { contextIn } from './world.ts';

/** What one run does: when it begins, how far its clock is off, its pauses before each deletion, and how long those are on their way. */
interface Plan {
  start: number;
  ahead: number;
  deletions: readonly { pause: number; way: number }[];
}

interface Tenure {
  run: number;
  from: number;
  to: number;
}

const nonce = (run: number): Buffer => Buffer.alloc(16, `${run}x${run * 7919}`);

/** Runs all plans at once. @returns from the first check that passed to the end of the last deletion after one, per run that had any */
async function race(sim: Sim, store: Memory, plans: readonly Plan[]): Promise<{ tenures: Tenure[]; ends: string[] }> {
  const tenures: Tenure[] = [];
  const one = async (run: number, { start, ahead, deletions }: Plan): Promise<string> => {
    await sim.sleep(start);
    let tenure: Tenure | undefined;
    try {
      await withLease(contextIn(sim, { clock: sim.clock(ahead) }), store, 'prune', nonce(run), async lease => {
        for (const { pause, way } of deletions) {
          await sim.sleep(pause);
          await lease.check();
          tenure ??= { run, from: sim.at, to: sim.at };
          tenure.to = sim.at + way;
          await sim.sleep(way);
        }
      });
      return 'done';
    } catch (error) {
      return error instanceof BkpError ? error.exit : String(error);
    } finally {
      if (tenure) tenures.push(tenure);
    }
  };
  const ends = await sim.run(Promise.all(plans.map((plan, run) => one(run, plan))));
  return { tenures, ends };
}

const overlaps = (tenures: readonly Tenure[]): Tenure[][] =>
  tenures.flatMap(a => tenures.filter(b => b.run > a.run && a.from < b.to && b.from < a.to).map(b => [a, b]));

/** Mostly a moment, sometimes seconds, now and then longer than a lease lives. */
const way = fc.oneof(
  { weight: 8, arbitrary: fc.nat(50) },
  { weight: 2, arbitrary: fc.nat(LEASE.marginMs) },
  { weight: 1, arbitrary: fc.nat(2 * LEASE.ttlMs) },
);

const plan: fc.Arbitrary<Plan> = fc.record({
  start: fc.oneof(fc.nat(100), fc.nat(2 * LEASE.ttlMs)),
  ahead: fc.integer({ min: -3_600_000, max: 3_600_000 }),
  deletions: fc.array(fc.record({ pause: way, way: fc.nat(LEASE.marginMs - 2000) }), { minLength: 1, maxLength: 12 }),
});

const storeOf = (sim: Sim, ways: readonly number[], datedBy: 'start' | 'end', keeps: boolean): Memory => {
  let n = 0;
  const next = (): number => ways[n++ % ways.length]!;
  return memoryStore(sim, { delay: () => [next(), next()], datedBy, aheadMs: 1_200_000, keeps: () => keeps });
};

describe('exclusion by leases', () => {
  it('CF11: never two holders at once, however slow the store, however wrong the clocks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(plan, { minLength: 2, maxLength: 5 }),
        fc.array(way, { minLength: 20, maxLength: 80 }),
        fc.constantFrom('start', 'end'),
        fc.boolean(),
        async (plans, ways, datedBy, keeps) => {
          const sim = makeSim();
          const { tenures, ends } = await race(sim, storeOf(sim, ways, datedBy, keeps), plans);
          expect(overlaps(tenures)).toEqual([]);
          expect(ends.filter(end => end !== 'done' && end !== 'conflict')).toEqual([]);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('CF11: of those that ask at the same time exactly one goes on, and leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 6 }),
        fc.array(fc.nat(800), { minLength: 20, maxLength: 80 }),
        fc.array(fc.nat(1500), { minLength: 6, maxLength: 6 }),
        async (runs, ways, starts) => {
          const sim = makeSim();
          const store = storeOf(sim, ways, 'end', false);
          const plans = starts.slice(0, runs).map(start => ({ start, ahead: 0, deletions: [{ pause: 60_000, way: 100 }] }));
          const { ends } = await race(sim, store, plans);
          expect(ends.filter(end => end === 'done')).toHaveLength(1);
          expect(ends.filter(end => end === 'conflict')).toHaveLength(runs - 1);
          expect([...store.objects.keys()]).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('CF11: one whose first write is on its way while another comes in between finds that other', async () => {
    const sim = makeSim();
    let slow = true;
    const store = memoryStore(sim, {
      datedBy: 'start',
      delay: call => {
        const first = slow && call === 'put';
        if (first) slow = false;
        return first ? [90_000, 0] : [10, 10];
      },
    });
    const { tenures, ends } = await race(sim, store, [
      { start: 0, ahead: 0, deletions: [{ pause: 0, way: 100 }] },
      { start: 1000, ahead: 0, deletions: [{ pause: 200_000, way: 100 }] },
    ]);
    expect(ends).toEqual(['conflict', 'done']);
    expect(tenures.map(({ run }) => run)).toEqual([1]);
  });

  it('CF11: in a directory, of eight at once, one goes on', async () => {
    using r = rig();
    const timing = { ...LEASE, pollMs: 20 };
    for (let round = 0; round < 5; round += 1) {
      let inside = 0;
      const work = async () => {
        inside += 1;
        await r.ctx.clock.sleep(300);
        return inside;
      };
      const take = () => withLease(r.ctx, r.stores[0]!, 'prune', randomBytes(16), work, timing);
      const ends = await Promise.allSettled(Array.from({ length: 8 }, take));
      expect(ends.flatMap(end => (end.status === 'fulfilled' ? [end.value] : []))).toEqual([1]);
      expect(r.files('one')).toEqual([]);
    }
  });
});
