import stringWidth from 'fast-string-width';

const GAP = 2;
const INDENT = 4;

/** Columns of the terminal that a stream leads to; endless where there is none, so that what is piped has a line per row. */
export const terminalWidth = (stream: NodeJS.WriteStream = process.stdout): number =>
  stream.isTTY && stream.columns > 0 ? stream.columns : Infinity;

const PLAIN = /^[ -~]*$/;

/** Columns that a text takes. */
const widthOf = (text: string): number => (PLAIN.test(text) ? text.length : stringWidth(text));

const padded = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - widthOf(text)));

/**
 * A text in lines of at most `width` columns, broken between words only: an id, a path or a command stays whole, whatever its length.
 * Lines after the first begin with `indent` blanks.
 */
export function wrapWords(text: string, width: number, indent = 0): string {
  const lines: string[] = [];
  const [, blanks = '', rest = ''] = /^( *)(.*)$/s.exec(text) ?? [];
  let line = blanks;
  for (const word of rest.split(' ')) {
    const next = line.trim() === '' ? line + word : `${line} ${word}`;
    if (line.trim() !== '' && widthOf(next) > width) {
      lines.push(line);
      line = ' '.repeat(indent) + word;
    } else line = next;
  }
  return [...lines, line].join('\n');
}

/** What is to be typed or pasted stands behind an arrow, or eight blanks to the right as in `doctor`: it is never broken. */
const PASTED = /^( {8}\S|\s*→)/;

/** Lines that a terminal would break anywhere, broken between words; what goes on is indented by two more than its begin. */
export const fitted = (text: string, width: number): string =>
  width === Infinity
    ? text
    : text
        .split('\n')
        .map(line => (PASTED.test(line) ? line : wrapWords(line, width, line.length - line.trimStart().length + GAP)))
        .join('\n');

/** Columns put together so that each group fits into a line; those after the first group are indented. */
function grouped(widths: readonly number[], width: number): number[][] {
  const groups: number[][] = [];
  let room = -1;
  for (const [column, needs] of widths.entries()) {
    if (needs <= room) groups.at(-1)!.push(column);
    else {
      groups.push([column]);
      room = width - (groups.length > 1 ? INDENT : 0);
    }
    room -= needs + GAP;
  }
  return groups;
}

const joined = (row: readonly string[], columns: readonly number[], widths: readonly number[]): string =>
  columns
    .map(column => padded(row[column] ?? '', widths[column]!))
    .join(' '.repeat(GAP))
    .trimEnd();

function folded(row: readonly string[], groups: readonly number[][], widths: readonly number[], width: number): string {
  const lines = groups.flatMap((columns, n) => {
    const indent = n > 0 ? INDENT : 0;
    const line = joined(row, columns, widths);
    const fitting = columns.length > 1 ? [line] : wrapWords(line, width - indent).split('\n');
    return fitting.map(each => ' '.repeat(indent) + each);
  });
  return lines.filter(line => line.trim() !== '').join('\n');
}

/**
 * Rows as aligned columns, two spaces apart; numbers are the caller's to format. Where the table is wider than the terminal, each row
 * becomes several lines, the later ones indented, with the same columns under each other: no cell is cut.
 * @returns a text for the header and one for each row
 */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[], width = terminalWidth()): string[] {
  const all = [header, ...rows];
  const columns = header.map((_, column) => column);
  const widths = columns.map(column => all.reduce((most, row) => Math.max(most, widthOf(row[column] ?? '')), 0));
  const whole = widths.reduce((sum, each) => sum + each, GAP * (widths.length - 1));
  if (whole <= width) return all.map(row => joined(row, columns, widths));
  const filled = columns.filter(column => rows.some(row => row[column]));
  const groups = grouped(
    filled.map(column => widths[column]!),
    width,
  ).map(group => group.map(n => filled[n]!));
  return all.map(row => folded(row, groups, widths, width));
}
