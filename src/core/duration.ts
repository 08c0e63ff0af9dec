import { BkpError } from './errors.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

export const DURATION = /^(\d{1,6})(ms|s|m|h|d|w)$/;

/** Reads `250ms`, `1s`, `15m`, `12h`, `30d`, `2w` into milliseconds. Throws BkpError('usage') on anything else, bare numbers too. */
export function parseDuration(text: string): number {
  const match = DURATION.exec(text);
  if (!match) throw new BkpError('usage', `"${text}" is no duration: write a whole number and a unit, like 250ms, 15m, 12h or 30d`);
  return Number(match[1]) * UNITS[match[2]!]!;
}
