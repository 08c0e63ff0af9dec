import * as z from 'zod';
import { nextRun } from '../../../core/due.ts';

/** Hours of a period at most: clocks are put back, months are long. */
const HOURS = { hourly: 1, daily: 25, weekly: 7 * 24 + 1, monthly: 31 * 24 + 1 } as const;
const HOUR_MS = 3_600_000;

/** How a cluster under the engine `native` is backed up between its full backups. */
export const incrementFields = {
  full: z
    .enum(['daily', 'weekly', 'monthly'])
    .optional()
    .describe('with `incremental`: the first backup of each day, week or month is a full one; default: weekly'),
  incremental: z
    .enum(['hourly', 'daily', 'weekly'])
    .optional()
    .describe(
      'backups between the full ones hold only what changed since the one before (PostgreSQL 17 or newer, summarize_wal = on); `schedule` runs at least this often; default: every backup is a full one',
    ),
  maxChain: z
    .int()
    .min(2)
    .max(1000)
    .optional()
    .describe('backups that a restore combines at most, the full one among them; the next one is a full one then; default: 32'),
};

interface Given {
  full?: keyof typeof HOURS | undefined;
  incremental?: keyof typeof HOURS | undefined;
  schedule?: string | undefined;
}

/** The longest of the next few waits between two runs, hours. */
function spacing(schedule: string): number {
  let at = new Date(0);
  let longest = 0;
  for (let n = 0; n < 16; n += 1) {
    const next = nextRun(schedule, 'UTC', at);
    if (n > 0) longest = Math.max(longest, next.getTime() - at.getTime());
    at = next;
  }
  return longest / HOUR_MS;
}

/** Faults that no single field shows. `schedule` is a field of every entry. */
export function checkIncrements({ full, incremental, schedule }: Given, ctx: z.RefinementCtx): void {
  const fault = (path: string, message: string): void => void ctx.addIssue({ code: 'custom', path: [path], message });
  if (!incremental) {
    if (full) fault('full', 'says nothing alone: every backup is a full one; allowed beside `incremental`');
    return;
  }
  if (HOURS[full ?? 'weekly'] <= HOURS[incremental])
    fault('full', `leaves no room for ${incremental} increments; allowed is a longer period than theirs`);
  if (schedule !== undefined && spacing(schedule) > HOURS[incremental])
    fault('incremental', `is more often than the schedule "${schedule}" runs; allowed is a schedule that runs at least so often`);
}
