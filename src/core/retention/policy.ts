import type { Retention } from '../config/types.ts';
import { parseDuration } from '../duration.ts';
import { BkpError } from '../errors.ts';
import type { Policy } from './types.ts';

const COUNTS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

const refused = (rule: string, value: unknown, allowed: string): BkpError =>
  new BkpError('usage', `retention.${rule} is ${String(value)}: it must be ${allowed}`, { next: 'bkp config show' });

function countOf(retention: Retention, rule: (typeof COUNTS)[number]): Partial<Policy> {
  const value = retention[rule];
  if (value === undefined) return {};
  if (!Number.isSafeInteger(value) || value < 0) throw refused(rule, value, 'a whole number, 0 or more');
  return { [rule]: value };
}

/** The instant from which something may go lies in the past, or all that there is would go. */
function spanOf(rule: string, text: unknown): number {
  const span = parseDuration(String(text));
  if (!Number.isFinite(span) || span <= 0) throw refused(rule, text, 'longer than 0');
  return span;
}

/** A `within` of 0 is how a config turns the built-in one off. */
const isOff = (within: string | undefined): boolean => within === undefined || parseDuration(within) === 0;

/**
 * The retention of a config as a policy: `wal` becomes the window; a `within` of 0 is off.
 * @throws BkpError('usage') for a count that is no whole number from 0 on, for text that is no duration, and for a window of 0
 */
export const policyOf = (retention: Retention): Policy => ({
  ...Object.assign({}, ...COUNTS.map(rule => countOf(retention, rule))),
  ...(isOff(retention.within) ? {} : { within: spanOf('within', retention.within) }),
  ...(retention['wal'] === undefined ? {} : { window: spanOf('wal', retention['wal']) }),
});
