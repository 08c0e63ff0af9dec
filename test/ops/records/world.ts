import type { Event, TargetContext } from '../../../src/core/contracts.ts';
import { BASE, keySet } from '../rig.ts';
import { type Memory, type MemoryOptions, makeSim, memoryStore, type Sim } from './sim.ts';

/** Stores in memory and what an operation needs around them, in a time of their own. */
export interface World {
  sim: Sim;
  store: Memory;
  other: Memory;
  ctx: TargetContext;
  events: Event[];
  abort: AbortController;
  /** Texts of the events of one type. */
  said(type: 'note' | 'warning'): string[];
  /** Keys that a store holds. */
  keys(store?: Memory): string[];
  /** The time by the store's clock. */
  storeNow(): Date;
}

/** The part of a context that records need. */
export const contextIn = (sim: Sim, change: Partial<TargetContext>): TargetContext => {
  const still = { emit: () => {} };
  const part = {
    env: 'prod',
    kind: 'fake',
    name: 'app',
    base: BASE,
    clock: sim.clock(),
    report: still,
    signal: new AbortController().signal,
  };
  return { ...part, ...change } as TargetContext;
};

/** Two stores, `one` and `two`; the clock of `one` is 20 minutes ahead of the true time, this host's is 3 hours behind it. */
export function world(options: MemoryOptions = {}): World {
  const sim = makeSim();
  const store = memoryStore(sim, { name: 'one', aheadMs: 1_200_000, ...options });
  const other = memoryStore(sim, { name: 'two' });
  const events: Event[] = [];
  const abort = new AbortController();
  const ctx = contextIn(sim, {
    stores: [store, other],
    keys: keySet().keys,
    clock: sim.clock(-3 * 3_600_000),
    report: { emit: event => void events.push(event) },
    signal: abort.signal,
  });
  return {
    sim,
    store,
    other,
    ctx,
    events,
    abort,
    said: type => events.flatMap(event => (event.type === type ? [event.text] : [])),
    keys: (of = store) => [...of.objects.keys()],
    storeNow: () => new Date(sim.at + (store.options.aheadMs ?? 0)),
  };
}
