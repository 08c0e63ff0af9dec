import { createInterface } from 'node:readline/promises';
import { BkpError } from '../core/errors.ts';
import type { Session } from './session.ts';

const notConfirmed = (): BkpError => new BkpError('aborted', 'not confirmed: nothing was changed');

/** An answer typed on the terminal. Throws BkpError('aborted') at Ctrl-C and Ctrl-D, the signal's own reason when one comes from outside. */
async function ask(question: string, signal: AbortSignal): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const left = new Promise<never>((_, reject) => {
    for (const event of ['SIGINT', 'close']) terminal.once(event, () => reject(notConfirmed()));
  });
  try {
    return (await Promise.race([terminal.question(question, { signal }), left])).trim();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    terminal.close();
  }
}

/** Shows the plan, then wants a yes: typed on a terminal (the environment's name where it is protected), or given by flags elsewhere. */
export async function confirm(
  session: Session,
  env: { name: string; protected: boolean },
  flags: { yes?: boolean; confirmEnv?: string },
  plan: readonly string[],
): Promise<void> {
  if (session.options.quiet && !flags.yes && process.stdin.isTTY) process.stderr.write(`${plan.join('\n')}\n`);
  for (const text of plan) session.report.emit({ type: 'note', text });
  if (flags.yes) {
    if (!env.protected || flags.confirmEnv === env.name) return;
    throw new BkpError('refused', `environment ${env.name} is protected`, {
      next: `--yes --confirm-env ${env.name} confirms without a terminal`,
    });
  }
  if (!process.stdin.isTTY) {
    throw new BkpError('refused', 'a restore wants to be confirmed, and there is no terminal to ask on', {
      next: env.protected ? `--yes --confirm-env ${env.name}` : '--yes',
    });
  }
  const wanted = env.protected ? env.name : 'yes';
  if ((await ask(`Type ${wanted} to go on: `, session.signal)) !== wanted) throw notConfirmed();
}
