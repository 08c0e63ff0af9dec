import type { Child, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import type { Live } from './live.ts';
import { dropSlot } from './slot.ts';

type Context = TargetContext<PostgresConfig>;

const RETRY_MS = [1000, 2000, 5000, 10_000, 30_000];
/** A receiver that ran so long had come up: the next pause is a short one again. */
const STEADY_MS = 10_000;
const KEPT_LINES = 400;
const GRACE_MS = 10_000;

/** Errors that no waiting mends. */
export const isFinal = (error: unknown): boolean =>
  error instanceof BkpError && ['refused', 'conflict', 'usage', 'notFound'].includes(error.exit);

/** What a person does after WAL was lost. */
export const DECLARE_GAP: readonly string[] = [
  'bkp stream postgres --new-lineage declares the gap and goes on',
  'take a new base right after: bkp backup postgres',
];

/** A lost slot means lost WAL, which is never passed over in silence: it goes only when a gap is declared. Throws BkpError('refused'). */
export async function settleLostSlot(ctx: Context, live: Live, newLineage: boolean): Promise<void> {
  if (live.slot?.walStatus !== 'lost') return;
  if (newLineage) {
    await dropSlot(ctx);
    return;
  }
  throw new BkpError(
    'refused',
    `postgres/${ctx.name}: the server gave up our slot (max_slot_wal_keep_size was reached): WAL that was in no store is gone`,
    { next: DECLARE_GAP },
  );
}

/**
 * Does something so often that nothing waits for longer than `everyMs`, while a receiver runs, and `last` after its end, which comes when it
 * ends itself or the signal fires. A receiver whose server hangs waits for it for ever: it is given some time, and then killed.
 * @returns its last lines
 */
export async function whileReceiving(
  ctx: Context,
  child: Child,
  options: { everyMs: number; signal: NodeJS.Signals },
  work: () => Promise<void>,
  last: () => Promise<void> = work,
): Promise<string[]> {
  const lines: string[] = [];
  const listening = (async () => {
    for await (const line of child.lines()) if (lines.push(line) > KEPT_LINES) lines.shift();
  })();
  let running = true;
  const ended = child.ended.finally(() => {
    running = false;
  });
  ended.catch(() => {});
  try {
    while (running && !ctx.signal.aborted) {
      const began = ctx.clock.now().getTime();
      await work();
      // What comes right after a round began waits for the end of the next: both together take no longer than `everyMs`.
      const rest = Math.max(options.everyMs / 4, options.everyMs - 2 * (ctx.clock.now().getTime() - began));
      await Promise.race([ctx.clock.sleep(rest, ctx.signal).catch(() => {}), ended.catch(() => {})]);
    }
  } finally {
    child.kill(options.signal);
    const late = new AbortController();
    void ctx.clock.sleep(GRACE_MS, late.signal).then(
      () => child.kill('SIGKILL'),
      () => {},
    );
    await ended.finally(() => late.abort());
    await listening;
  }
  await last();
  return lines;
}

/**
 * Begins a session again whenever it ends, with longer pauses while it does not come up, until `ctx.signal` fires.
 * @param session calls `ready` once it receives, and answers with the words of its end
 * @throws BkpError for what waiting cannot mend
 */
export async function supervise(ctx: Context, what: string, session: (ready: () => void) => Promise<string>): Promise<void> {
  let failures = 0;
  while (!ctx.signal.aborted) {
    const began = ctx.clock.now().getTime();
    try {
      const end = await session(() => ctx.report.emit({ type: 'started', what }));
      if (ctx.signal.aborted) return;
      ctx.report.emit({ type: 'warning', text: `${end}; beginning again` });
    } catch (error) {
      if (isFinal(error)) throw error;
      if (ctx.signal.aborted) return;
      ctx.report.emit({ type: 'warning', text: `${sentence(error)}; trying again` });
    }
    if (ctx.clock.now().getTime() - began > STEADY_MS) failures = 0;
    const pause = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]!;
    failures += 1;
    await ctx.clock.sleep(pause, ctx.signal).catch(() => {});
  }
}
