import type { Command, TargetContext, Trial } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';

/** Lines of a program that are kept; the count goes on. */
const KEPT = 2000;

/** What a program printed on either stream, and how it ended. `more` = lines beyond those kept. */
export interface Said {
  code: number | null;
  lines: string[];
  more: number;
}

/** Runs a program whose findings are its output and whose exit code is an answer. Throws only when it cannot be started, and the signal's reason. */
export async function said(ctx: TargetContext, command: Command): Promise<Said> {
  const child = ctx.run.start(command, { signal: ctx.signal });
  const lines: string[] = [];
  let more = 0;
  for await (const line of child.lines()) {
    if (lines.length < KEPT) lines.push(line);
    else more += 1;
  }
  const { code } = await child.ended;
  ctx.signal.throwIfAborted();
  return { code, lines, more };
}

/** What the operating system says where the host is at its end, and not the backup. */
const HOST =
  /No space left on device|Disk quota exceeded|Cannot allocate memory|out of memory|could not (?:create|map) .*shared memory|Too many open files|signal 9|SIGKILL|due to lock timeout|Permission denied|Operation not permitted/;

/** Whether what a program said is about this host. */
export const isOfHost = (text: string): boolean => HOST.test(text);

/**
 * What an error means for the backup. What tells of this host, or of what it lacks, proves nothing.
 * @param blame the exits that speak of the backup
 * @throws the error, when it tells of a store that fell silent, or is a defect
 */
export function judged(name: string, error: unknown, blame: readonly string[] = ['verifyFailed', 'failed', 'notFound']): Trial {
  if (!(error instanceof BkpError) || error.exit === 'storeUnreachable') throw error;
  const text = sentence(error);
  if (blame.includes(error.exit) && !isOfHost(text)) return { name, state: 'fail', text };
  return { name, state: 'unproven', text, ...(error.next[0] ? { mend: error.next[0] } : {}) };
}

/** Milliseconds as seconds with one decimal. */
export const tenths = (ms: number): number => Math.round(ms / 100) / 10;

/** Runs a step that answers with trials; the first of them tells how long it took. What it throws is judged. */
export async function timed(ctx: TargetContext, name: string, work: () => Promise<Trial[]>): Promise<Trial[]> {
  ctx.report.emit({ type: 'started', what: name });
  const began = ctx.clock.now().getTime();
  const trials = await work().catch(error => {
    ctx.signal.throwIfAborted();
    return [judged(name, error)];
  });
  const seconds = tenths(ctx.clock.now().getTime() - began);
  return trials.map((trial, n) => (n === 0 ? { ...trial, seconds } : trial));
}

/** Trials one by one up to a number, the rest counted. */
export const few = (name: string, texts: readonly string[], most = 10): Trial[] => [
  ...texts.slice(0, most).map((text): Trial => ({ name, state: 'fail', text })),
  ...(texts.length > most ? [{ name, state: 'fail' as const, text: `and ${texts.length - most} more` }] : []),
];
