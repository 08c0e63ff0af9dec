import { crc32 } from 'node:zlib';
import { BkpError } from '../../core/errors.ts';

const LINE = /^(\d{3,}) ([A-Za-z0-9+/=]{1,64}) ([0-9a-f]{8})$/;
const ARMOR = 'AGE ENCRYPTED FILE';

const check = (n: number, text: string): string => crc32(`${n} ${text}`).toString(16).padStart(8, '0');

/**
 * The armored text with a number before each line and a check (CRC-32 in hex, over number, blank and text) behind it, for paper; the last
 * line says how many there are.
 */
export function numbered(armored: string): string[] {
  const lines = armored
    .trim()
    .split('\n')
    .filter(line => !line.startsWith('-----'));
  return [...lines.map((text, at) => `${String(at + 1).padStart(3, '0')} ${text} ${check(at + 1, text)}`), `--- ${lines.length} lines`];
}

/** Numbers of lines as `3, 7 to 9`. */
function ranges(numbers: readonly number[]): string {
  const found: [number, number][] = [];
  for (const n of numbers) {
    const last = found.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else found.push([n, n]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from} to ${to}`)).join(', ');
}

/**
 * The armored text out of what was typed or scanned from paper; a text without numbered lines is given back as it is.
 * @throws BkpError('verifyFailed') naming the lines that are missing or not as they were printed
 */
export function unnumbered(text: string): string {
  const found = new Map<number, string>();
  const bad = new Set<number>();
  let any = false;
  for (const line of text.split('\n').map(each => each.trim())) {
    const [, number, body, sum] = LINE.exec(line) ?? [];
    const n = Number(number ?? /^(\d{3,}) \S{8,}/.exec(line)?.[1]);
    if (!(n > 0)) continue;
    any ||= body !== undefined;
    if (body !== undefined && check(n, body) === sum) found.set(n, body);
    else bad.add(n);
  }
  if (!any) return text;
  const last = Math.max(Number(/^--- (\d{1,6}) lines$/m.exec(text)?.[1] ?? 0), ...found.keys(), ...bad);
  const wrong = Array.from({ length: last }, (_, n) => n + 1).filter(n => !found.has(n));
  if (wrong.length > 0)
    throw new BkpError('verifyFailed', `these lines of the sheet are missing or not as they were printed: ${ranges(wrong)}`, {
      next: 'compare them with the paper, letter by letter: 0 and O, 1 and l and I, + and t',
    });
  const body = Array.from({ length: last }, (_, n) => found.get(n + 1));
  return [`-----BEGIN ${ARMOR}-----`, ...body, `-----END ${ARMOR}-----`, ''].join('\n');
}
