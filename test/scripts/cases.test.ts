import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { joined, ran, written } from '../../scripts/cases/found.ts';
import { idsIn, textsOf } from '../../scripts/cases/names.ts';
import { rowsOf } from '../../scripts/cases/rows.ts';
import { isWhole, linesOf, strangers } from '../../scripts/cases/table.ts';
import { root } from '../real/rig/places.ts';

// Put together, so that they are not themselves taken for names of tests.
const id = (n: number): string => `XX0${n}`;
const named = (n: number, rest = 'what it is'): string => `${id(n)}: ${rest}`;

const page = ['| id | what is tried | what is right |', '|---|---|---|', `| ${id(1)} | one | good |`, `| ${id(2)} ★ | two | good |`].join(
  '\n',
);
const results = (status: string): string =>
  JSON.stringify({ testResults: [{ name: '/p/test/a.test.ts', assertionResults: [{ fullName: `group ${named(1)}`, status }] }] });

describe('the failures of docs/CASES.md', () => {
  const rows = rowsOf(readFileSync(join(root, 'docs/CASES.md'), 'utf8'));

  it('each have a test that bears their id', () => {
    expect(rows.length).toBeGreaterThan(120);
    const missing = linesOf(rows, written(root)).filter(({ state }) => state === 'MISSING');
    expect(missing.map(({ id }) => id)).toEqual([]);
  });

  it('are all that tests name', () => {
    expect(strangers(rows, written(root))).toEqual([]);
  });
});

describe('a row', () => {
  it('is one of the table, with or without a star, and stands there once', () => {
    expect(rowsOf(page)).toEqual([
      { id: id(1), tried: 'one' },
      { id: id(2), tried: 'two' },
    ]);
    expect(() => rowsOf(`${page}\n| ${id(1)} | again | good |`)).toThrow(`${id(1)} stands twice`);
  });

  it('without a test is missing, and then the whole is not', () => {
    const lines = linesOf(rowsOf(page), [{ id: id(1), file: 'test/a.test.ts', state: 'there' }]);
    expect(lines.map(({ state }) => state)).toEqual(['there', 'MISSING']);
    expect(isWhole(lines)).toBe(false);
    expect(isWhole(lines.slice(0, 1))).toBe(true);
  });

  it.each([
    ['passed', true],
    ['failed', false],
    ['pending', false],
  ])('whose test ended as %s in a run: whole is %j', (status, whole) => {
    const lines = linesOf(rowsOf(page).slice(0, 1), ran('/p', results(status)));
    expect(lines).toMatchObject([{ files: ['test/a.test.ts'] }]);
    expect(isWhole(lines)).toBe(whole);
  });

  it('is as good as the worst of its tests', () => {
    const found = (['passed', 'failed', 'passed'] as const).map(state => ({ id: id(1), file: 'test/a.test.ts', state }));
    expect(linesOf(rowsOf(page), found)[0]!.state).toBe('failed');
  });
});

describe('the name of a test', () => {
  it.each([
    [named(1), [id(1)]],
    [`${id(1)} ${named(2)}`, [id(1), id(2)]],
    [`${id(1)}, ${named(2)}`, [id(1), id(2)]],
    [`${named(1, 'one thing')}, ${named(2, 'another')}`, [id(1), id(2)]],
    [`speaks of ${id(1)} only`, []],
  ])('%s: %j', (name, ids) => {
    expect(idsIn(name)).toEqual(ids);
  });

  it('is a text of the file, also in a table; a comment is none', () => {
    const source = `// ${named(1)}\nit('${named(2)}', () => {});\nit.each([['${named(3)}']])('%s', () => {});`;
    expect(textsOf(source).flatMap(idsIn)).toEqual([id(2), id(3)]);
  });
});

it('a run that had only some of the tests leaves the others as they are written', () => {
  const all = [1, 2].map(n => ({ id: id(n), file: 'test/a.test.ts', state: 'there' as const }));
  expect(joined(all, ran('/p', results('passed'))).map(({ state }) => state)).toEqual(['passed', 'there']);
});
