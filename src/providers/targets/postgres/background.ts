/** Work that goes on beside a loop, one round at a time; what fails there is thrown where the loop can see it. */
export class Background {
  readonly #work: () => Promise<void>;
  #running: Promise<void> | undefined;
  #failed: { error: unknown } | undefined;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Begins a round unless one is under way. @throws what an earlier round threw */
  poke(): void {
    if (this.#failed) throw this.#failed.error;
    this.#running ??= this.#work()
      .catch(error => {
        this.#failed = { error };
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Waits for the round that is under way. @throws what it threw */
  async settle(): Promise<void> {
    await this.#running;
    if (this.#failed) throw this.#failed.error;
  }
}
