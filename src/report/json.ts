import type { Clock, Event, Reporter } from '../core/contracts.ts';

/** One JSON object per line; the last line of a run is its result. */
export class JsonReporter implements Reporter {
  readonly #write: (line: string) => void;
  readonly #clock: Clock;
  #lastProgress = 0;

  constructor(write: (line: string) => void, clock: Clock) {
    this.#write = write;
    this.#clock = clock;
  }

  emit(event: Event): void {
    if (event.type === 'progress') {
      const now = this.#clock.now().getTime();
      if (now - this.#lastProgress < 1000) return;
      this.#lastProgress = now;
    }
    this.#write(JSON.stringify(event));
  }
}
