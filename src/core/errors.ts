/** Exit codes of every command, as the help texts print them. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  refused: 4,
  aborted: 5,
  notFound: 6,
  conflict: 7,
  storeUnreachable: 8,
  verifyFailed: 9,
  unhealthy: 10,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitName = keyof typeof EXIT;

/** What a person is told: what failed, on what and why (`message`), and what to do next (`next`). */
export class BkpError extends Error {
  readonly exit: ExitName;
  readonly next: readonly string[];
  /** The store has no room left: what lies there can be read and removed, and nothing can be added. */
  readonly full: boolean;
  /**
   * @param exit name of the exit code that the process ends with
   * @param message one sentence: what failed, on what, and why
   * @param options `next`: what to type or do, a line each; `cause`: the error behind it; `full`: a store has no room
   */
  constructor(exit: ExitName, message: string, options: { next?: string | readonly string[]; cause?: unknown; full?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BkpError';
    this.exit = exit;
    this.full = options.full ?? false;
    this.next = typeof options.next === 'string' ? [options.next] : (options.next ?? []);
  }
}

/** Whether a store did not take something for want of room. */
export const isFull = (error: unknown): boolean => error instanceof BkpError && error.full;

/** Whether a file system of this host is full, of bytes or of files, or has given all it may to this account. */
export const hasNoRoom = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');

/** The sentence of any thrown value, without a stack. */
export const sentence = (error: unknown): string => (error instanceof Error ? error.message : String(error));
