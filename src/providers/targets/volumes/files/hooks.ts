import { parseDuration } from '../../../../core/duration.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { type Context, who } from './context.ts';

async function run(ctx: Context, name: 'before' | 'after', signal?: AbortSignal): Promise<void> {
  const [file, ...args] = ctx.config.hooks[name] ?? [];
  if (file === undefined) return;
  const timeoutMs = parseDuration(ctx.config.hooks.timeout);
  try {
    await ctx.run.text({ file, args }, { timeoutMs, ...(signal ? { signal } : {}) });
  } catch (error) {
    signal?.throwIfAborted();
    throw new BkpError('failed', `${who(ctx)}: the hook \`${name}\` failed: ${sentence(error)}`, {
      next: `it is given ${ctx.config.hooks.timeout} (hooks.timeout); run it by hand: ${[file, ...args].join(' ')}`,
      cause: error,
    });
  }
}

/**
 * Runs the hooks of an entry around its backup. What `before` stopped is started again by `after` whatever came, also when this run is being
 * ended.
 * @returns what the backup gave, and why `after` failed
 * @throws BkpError('failed') when `before` fails
 */
export async function withHooks<T>(ctx: Context, work: () => Promise<T>): Promise<{ done: T; lacks: string[] }> {
  const lacks: string[] = [];
  let done: T;
  try {
    await run(ctx, 'before', ctx.signal);
    done = await work();
  } catch (error) {
    await run(ctx, 'after').catch(reason => ctx.report.emit({ type: 'warning', text: sentence(reason) }));
    throw error;
  }
  await run(ctx, 'after').catch(reason => lacks.push(sentence(reason)));
  return { done, lacks };
}
