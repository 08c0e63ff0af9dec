import type { Child, TargetContext } from '../core/contracts.ts';
import { BkpError, EXIT, type ExitName, sentence } from '../core/errors.ts';

/** Programs that run around the backup of an entry, with their arguments. */
export interface Hooks {
  before?: readonly string[] | undefined;
  after?: readonly string[] | undefined;
  onError?: readonly string[] | undefined;
  /** For each of them, ms. */
  timeoutMs: number;
  /** Variables for them; may hold secrets. */
  env: Readonly<Record<string, string>>;
}

type Which = 'before' | 'after' | 'onError';

/** What a hook may know of the run. */
interface Came {
  exit?: ExitName;
  id?: string;
  message?: string;
}

/** After SIGTERM, until SIGKILL. */
const GRACE_MS = 2000;

/** Lines of its output that are told; a program that floods does not fill the log. */
const LINES = 200;

const variables = (ctx: TargetContext, which: Which, { exit, id, message }: Came): Record<string, string> => ({
  BKP_HOOK: which,
  BKP_VERB: 'backup',
  BKP_ENV: ctx.env,
  BKP_TARGET: `${ctx.kind}/${ctx.name}`,
  ...(id === undefined ? {} : { BKP_ID: id }),
  ...(exit === undefined ? {} : { BKP_EXIT: exit, BKP_CODE: String(EXIT[exit]) }),
  ...(message === undefined ? {} : { BKP_MESSAGE: (ctx.redact ?? String)(message) }),
});

/** The child began a group of its own, and what it started belongs to it. */
function signalGroup({ pid }: Child, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // Nobody is left in it.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ends the group when time is up or the run is ended. @returns why it was ended, asked at its end */
function guard(
  child: Child,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): { reason(): 'late' | 'ended' | undefined; clear(): void } {
  let why: 'late' | 'ended' | undefined;
  let last: NodeJS.Timeout | undefined;
  const stop = (reason: 'late' | 'ended') => {
    if (why) return;
    why = reason;
    signalGroup(child, 'SIGTERM');
    last = setTimeout(() => signalGroup(child, 'SIGKILL'), GRACE_MS);
  };
  const timer = setTimeout(() => stop('late'), timeoutMs);
  const ended = () => stop('ended');
  signal?.addEventListener('abort', ended, { once: true });
  return {
    reason: () => why,
    clear() {
      clearTimeout(timer);
      clearTimeout(last);
      signal?.removeEventListener('abort', ended);
      if (why) signalGroup(child, 'SIGKILL');
    },
  };
}

async function tellLines(ctx: TargetContext, who: string, child: Child): Promise<void> {
  let count = 0;
  for await (const line of child.lines()) {
    count += 1;
    if (count <= LINES) ctx.report.emit({ type: 'note', text: `${who}: ${line}` });
  }
  if (count > LINES) ctx.report.emit({ type: 'note', text: `${who}: ${count - LINES} more line(s)` });
}

/** Runs one hook to its end, its output told line by line. Throws BkpError('failed') with how it ended, and the signal's reason. */
async function run(ctx: TargetContext, hooks: Hooks, which: Which, came: Came, signal?: AbortSignal): Promise<void> {
  const [file, ...args] = hooks[which] ?? [];
  if (file === undefined) return;
  signal?.throwIfAborted();
  const who = `${ctx.kind}/${ctx.name}: hook ${which}`;
  const child = ctx.run.start({ file, args, env: { ...hooks.env, ...variables(ctx, which, came) } }, { detached: true });
  const watch = child.pid > 0 ? guard(child, hooks.timeoutMs, signal) : undefined;
  try {
    const [{ code, signal: by }] = await Promise.all([child.ended, tellLines(ctx, who, child)]);
    if (watch?.reason() === 'ended') throw signal!.reason;
    if (watch?.reason() === 'late')
      throw new Error(`it had not ended after ${hooks.timeoutMs / 1000} s (hooks.timeout), and was ended with all that it started`);
    if (code !== 0) throw new Error(by ? `it was ended by ${by}` : `it ended with exit code ${code}`);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new BkpError('failed', `${who} (${file}) failed: ${sentence(error)}`, { cause: error });
  } finally {
    watch?.clear();
  }
}

/**
 * Runs the hooks of an entry around its backup: `before`; then `after`, when there is a backup, else `onError`, also when `before` failed
 * or the run is being ended, since what `before` stopped has to go on.
 * @param work takes the backup
 * @param idOf its id
 * @returns what `work` gave, and why `after` failed
 * @throws BkpError('refused') when `before` failed: nothing was taken; what `work` throws
 */
export async function withHooks<T>(
  ctx: TargetContext,
  hooks: Hooks | undefined,
  work: () => Promise<T>,
  cameOf: (result: T) => Came,
): Promise<{ result: T; hookError?: string }> {
  if (!hooks) return { result: await work() };
  let result: T;
  try {
    await run(ctx, hooks, 'before', {}, ctx.signal).catch(error => {
      ctx.signal.throwIfAborted();
      throw new BkpError('refused', `${sentence(error)}; nothing was backed up`, {
        next: 'hooks.before of the entry has to end with 0',
        cause: error,
      });
    });
    result = await work();
  } catch (error) {
    const exit = error instanceof BkpError ? error.exit : 'failed';
    await run(ctx, hooks, 'onError', { exit, message: sentence(error) }).catch(reason =>
      ctx.report.emit({ type: 'warning', text: sentence(reason) }),
    );
    throw error;
  }
  try {
    await run(ctx, hooks, 'after', cameOf(result));
    return { result };
  } catch (error) {
    ctx.report.emit({ type: 'warning', text: sentence(error) });
    return { result, hookError: sentence(error) };
  }
}
