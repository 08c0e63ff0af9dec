/** What is seen of a receiver at one instant: how far the server has flushed its WAL, and when the spool was last written (ms). */
export interface Sight {
  now: number;
  flushed: bigint;
  touched: number;
}

/**
 * Tells a receiver that gets nothing although there is something to get. Silence proves neither: an idle server sends nothing, and a
 * walsender that hangs answers keepalives no more than it sends WAL. What counts is that the server has gone on and the spool has not.
 */
export class Progress {
  readonly #patienceMs: number;
  #base: Sight | undefined;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** @returns the milliseconds for which nothing came although the server wrote WAL, once they are more than the patience allows */
  look(sight: Sight): number | undefined {
    const base = this.#base;
    if (!base || sight.touched !== base.touched || sight.flushed <= base.flushed) {
      this.#base = sight;
      return undefined;
    }
    const stuck = sight.now - base.now;
    return stuck > this.#patienceMs ? stuck : undefined;
  }
}
