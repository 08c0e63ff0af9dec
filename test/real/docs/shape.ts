import { closest } from 'fastest-levenshtein';

const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

/** What is another one at each run, in the order in which it is looked for, and the sign that stands for it. */
const CHANGING: readonly [RegExp, string][] = [
  [/\d{8}T\d{6}Z-[0-9a-f]{6}/g, 'ID'],
  [/\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?/g, 'TIME'],
  [/\/tmp\/bkp-pg-\w+/g, 'SOCKET'],
  [/\b\d{19}-\d+\b/g, 'LINEAGE'],
  [/\b[0-9A-F]+\/[0-9A-F]+\b/g, 'LSN'],
  [/\b[0-9A-F]{24}\b/g, 'SEGMENT'],
  [/(\d+(\.\d+)?|less than a) ?(B|KiB|MiB|GiB|ms|s|min|h|d)\b/g, 'AMOUNT'],
  [/AMOUNT AMOUNT/g, 'AMOUNT'],
  [/\d+(\.\d+)*/g, 'NUMBER'],
];

/** A line without what changes from run to run, and with single blanks. */
export const shapeOf = (line: string): string =>
  CHANGING.reduce((text, [pattern, sign]) => text.replace(pattern, sign), line.replace(ESCAPES, ''))
    .replace(/\s+/g, ' ')
    .trim();

const matcher = (line: string): RegExp =>
  new RegExp(
    `^${shapeOf(line)
      .split('…')
      .map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
  );

/** Lines of a page that no line of an output has the shape of, each with the line that is most like it. `…` stands for anything. */
export function unlike(shown: readonly string[], output: string): string[] {
  const shapes = output.split('\n').map(shapeOf);
  return shown
    .filter(line => line.trim() !== '' && !shapes.some(shape => matcher(line).test(shape)))
    .map(line => `${line}\n  most like it: ${closest(shapeOf(line), shapes)}`);
}
