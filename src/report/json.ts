import type { Event, Reporter } from '../core/contracts.ts';

/** One JSON object per line; the last line of a run is its result. */
export class JsonReporter implements Reporter {
  readonly #write: (line: string) => void;
  #lastProgress = 0;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  emit(event: Event): void {
    if (event.type === 'progress') {
      const now = Date.now();
      if (now - this.#lastProgress < 1000) return;
      this.#lastProgress = now;
    }
    this.#write(JSON.stringify(event));
  }
}
