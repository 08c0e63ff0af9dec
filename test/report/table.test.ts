import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { fitted, formatTable, wrapWords } from '../../src/report/table.ts';

describe('a table', () => {
  test('has every column as wide as its widest cell, two spaces apart, and nothing behind the last', () => {
    expect(
      formatTable(
        ['ID', 'SIZE', 'NOTES'],
        [
          ['a-long-id', '1 B', ''],
          ['b', '100 KiB', 'one'],
        ],
      ),
    ).toEqual(['ID         SIZE     NOTES', 'a-long-id  1 B', 'b          100 KiB  one']);
  });

  test('without rows is its header', () => {
    expect(formatTable(['ID', 'AGE'], [])).toEqual(['ID  AGE']);
  });

  test('has a row for each, however many', () => {
    expect(formatTable(['ID'], Array<string[]>(200_000).fill(['x']))).toHaveLength(200_001);
  });

  test('columns begin at the same place in every line', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,9}$/), fc.stringMatching(/^[a-z]{1,9}$/)), { minLength: 1 }), rows => {
        const lines = formatTable(['x', 'y'], rows);
        const at = Math.max(...rows.map(([cell]) => cell.length)) + 2;
        for (const [n, [, second]] of rows.entries()) expect(lines[n + 1]!.slice(at)).toBe(second);
      }),
    );
  });

  test('aligns by what a terminal shows: wide letters take two columns, accents that are signs of their own none', () => {
    expect(
      formatTable(
        ['A', 'B'],
        [
          ['日本', 'x'],
          ['e\u0301', 'y'],
        ],
      ),
    ).toEqual(['A     B', '日本  x', 'e\u0301     y']);
  });

  const ID = '20261128T090635Z-5fa7d0';

  test('that is too wide goes on in further lines, the same columns under each other, without columns in which nothing stands', () => {
    const rows = [
      ['postgres/app', ID, '46 s ago', 'local ok, offsite ok', ''],
      ['redis/cache', ID, '1 d ago', 'local ok', ''],
    ];
    expect(formatTable(['TARGET', 'ID', 'AGE', 'COPIES', 'NOTES'], rows, 50)).toEqual([
      'TARGET        ID                       AGE\n    COPIES',
      `postgres/app  ${ID}  46 s ago\n    local ok, offsite ok`,
      `redis/cache   ${ID}  1 d ago\n    local ok`,
    ]);
  });

  test('a cell that is wider than the terminal is broken between words, and a word never', () => {
    const rows = [['app', `keep: ${ID} is the earliest of its week`]];
    expect(formatTable(['TARGET', 'REASON'], rows, 30)).toEqual([
      'TARGET\n    REASON',
      `app\n    keep:\n    ${ID} is\n    the earliest of its week`,
    ]);
  });

  test('no line is wider than the terminal while its words are not, and every word is there', () => {
    const cell = fc.array(fc.stringMatching(/^[a-z0-9]{1,12}$/), { maxLength: 6 }).map(words => words.join(' '));
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell, cell, cell)), fc.integer({ min: 20, max: 120 }), (rows, width) => {
        const lines = formatTable(['ONE', 'TWO', 'THREE', 'FOUR'], rows, width);
        expect(lines).toHaveLength(rows.length + 1);
        for (const line of lines.flatMap(text => text.split('\n'))) expect(stringWidth(line)).toBeLessThanOrEqual(width);
        for (const [n, row] of rows.entries()) for (const word of row.join(' ').split(' ')) expect(lines[n + 1]).toContain(word);
      }),
    );
  });
});

test('a sentence is broken between words and goes on under its own begin', () => {
  expect(wrapWords('note     it is archived by nobody', 22, 9)).toBe('note     it is\n         archived by\n         nobody');
  expect(wrapWords('short', 80, 9)).toBe('short');
});

test('what a terminal would break anywhere is broken between words, but for what is to be pasted', () => {
  expect(fitted('  HALTED: nothing goes\nshort', 16)).toBe('  HALTED:\n    nothing goes\nshort');
  for (const line of ['  → bkp restore postgres app --latest', '        mkdir -p /var/lib/bkp/spool']) expect(fitted(line, 16)).toBe(line);
  expect(fitted('a line as it is, however long', Infinity)).toBe('a line as it is, however long');
});
