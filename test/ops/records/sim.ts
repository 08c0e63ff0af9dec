import { createHash } from 'node:crypto';
import type { Clock, ObjectInfo, Store, Upload } from '../../../src/core/contracts.ts';
import { BkpError } from '../../../src/core/errors.ts';

/** Time that passes only when nothing is left to do at the present instant. Milliseconds. */
export interface Sim {
  readonly at: number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A clock that is that much ahead of the true time. */
  clock(aheadMs?: number): Clock;
  /** Lets time pass until the work is done, and gives what it gives. Throws when nothing moves any more. */
  run<T>(work: Promise<T>): Promise<T>;
}

interface Sleeper {
  until: number;
  wake(): void;
}

const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

export function makeSim(start = Date.parse('2026-03-01T12:00:00Z')): Sim {
  let at = start;
  const sleepers = new Set<Sleeper>();
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = (): void => {
        sleepers.delete(sleeper);
        reject(signal!.reason);
      };
      const sleeper: Sleeper = {
        until: at + ms,
        wake() {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      sleepers.add(sleeper);
      signal?.addEventListener('abort', abort, { once: true });
    });
  const next = (): Sleeper | undefined =>
    [...sleepers].reduce<Sleeper | undefined>((first, each) => (first && first.until <= each.until ? first : each), undefined);
  return {
    get at() {
      return at;
    },
    sleep,
    clock: (aheadMs = 0) => ({ now: () => new Date(at + aheadMs), sleep }),
    async run(work) {
      let done = false;
      const end = (): void => {
        done = true;
      };
      work.then(end, end);
      for (;;) {
        await settled();
        if (done) return work;
        const sleeper = next();
        if (!sleeper) throw new Error('nothing moves any more');
        at = Math.max(at, sleeper.until);
        sleeper.wake();
      }
    },
  };
}

export interface MemoryOptions {
  name?: string;
  /** How far the store's clock is ahead of the true time: milliseconds. */
  aheadMs?: number;
  /** How long a call is on its way, there and back: milliseconds. */
  delay?: (call: string, key: string) => [number, number];
  /** Stores date an object by when its write began, or by when it was done. */
  datedBy?: 'start' | 'end';
  /** Throws where a call has to fail. */
  fail?: (call: string, key: string) => void;
  /** Keys that are never removed. */
  keeps?: (key: string) => boolean;
}

export interface Memory extends Store {
  readonly objects: Map<string, { bytes: Buffer; modified: number }>;
  options: MemoryOptions;
}

/** A store in memory with a clock of its own. Each call happens at one instant, between a way there and a way back. */
export function memoryStore(sim: Sim, options: MemoryOptions = {}): Memory {
  const objects: Memory['objects'] = new Map();
  const travel = async <T>(call: string, key: string, work: (began: number) => T): Promise<T> => {
    const [there, back] = memory.options.delay?.(call, key) ?? [0, 0];
    const began = sim.at;
    if (there > 0) await sim.sleep(there);
    memory.options.fail?.(call, key);
    const result = work(began);
    if (back > 0) await sim.sleep(back);
    return result;
  };
  const infoOf = (key: string): ObjectInfo | undefined => {
    const object = objects.get(key);
    return object && { key, bytes: object.bytes.length, modified: new Date(Math.floor(object.modified / 1000) * 1000) };
  };
  const open = async (key: string, { ifAbsent = false } = {}): Promise<Upload> => {
    const blocks: Buffer[] = [];
    return {
      async block(n, bytes, sha256) {
        if (createHash('sha256').update(bytes).digest('hex') !== sha256) throw new Error('not what was announced');
        blocks[n] = Buffer.from(bytes);
      },
      commit: () =>
        travel('put', key, began => {
          if (ifAbsent && objects.has(key)) throw new BkpError('conflict', `store ${memory.name} has an object ${key} already`);
          const at = memory.options.datedBy === 'start' ? began : sim.at;
          objects.set(key, { bytes: Buffer.concat(blocks), modified: at + (memory.options.aheadMs ?? 0) });
          return infoOf(key)!;
        }),
      async abort() {},
    };
  };
  const memory: Memory = {
    name: options.name ?? 'memory',
    blockBytes: 1 << 20,
    objects,
    options,
    powers: async () => ({ conditionalPut: false, versions: false, locks: false }),
    open,
    async *get(key, range = { from: 0 }) {
      const bytes = await travel('get', key, () => objects.get(key)?.bytes);
      if (!bytes) throw new BkpError('notFound', `store ${memory.name} has no object ${key}`);
      yield bytes.subarray(range.from, range.to);
    },
    stat: key => travel('stat', key, () => infoOf(key)),
    async *list(prefix) {
      yield* await travel('list', prefix, () =>
        [...objects.keys()]
          .filter(key => key.startsWith(prefix))
          .sort()
          .map(key => infoOf(key)!),
      );
    },
    remove: keys =>
      travel('remove', keys[0] ?? '', () =>
        keys.map(key => {
          if (memory.options.keeps?.(key)) return { key, ok: false, locked: true, reason: 'held by object lock' };
          objects.delete(key);
          return { key, ok: true };
        }),
      ),
  };
  return memory;
}
