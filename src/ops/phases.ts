import type { Bytes, Clock, Phase } from '../core/contracts.ts';
import type { Source } from '../flow/open.ts';

/** Seconds, to the millisecond. `fetch` = while bytes of the backup were on their way from the store; the others without that. */
export type Phases = Record<'fetch' | Phase, number>;

/** A watch over one proof: every millisecond of it belongs to one phase. */
export class Stopwatch {
  readonly #clock: Clock;
  readonly #ms: Phases = { fetch: 0, restore: 0, start: 0, prove: 0 };
  #phase: Phase = 'restore';
  #waiting = 0;
  #since: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now().getTime();
  }

  enter(phase: Phase): void {
    this.#count();
    this.#phase = phase;
  }

  /** A store whose bytes count as fetched. Several may be on their way at once: that is the same time. */
  over = (store: Source): Source => ({ name: store.name, get: (key, range) => this.#watched(store.get(key, range)) });

  /** What was counted until now. */
  read(): Phases {
    this.#count();
    const { fetch, restore, start, prove } = this.#ms;
    return { fetch: fetch / 1000, restore: restore / 1000, start: start / 1000, prove: prove / 1000 };
  }

  #count(): void {
    const now = this.#clock.now().getTime();
    // A clock that is set back in between must not make a phase shorter than nothing.
    this.#ms[this.#waiting > 0 ? 'fetch' : this.#phase] += Math.max(0, now - this.#since);
    this.#since = now;
  }

  async #wait<T>(work: () => Promise<T>): Promise<T> {
    this.#count();
    this.#waiting += 1;
    try {
      return await work();
    } finally {
      this.#count();
      this.#waiting -= 1;
    }
  }

  async *#watched(bytes: Bytes): Bytes {
    const chunks = bytes[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.#wait(() => chunks.next());
        if (done) return;
        yield value;
      }
    } finally {
      await chunks.return?.();
    }
  }
}
