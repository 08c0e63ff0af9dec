import type { Found, State } from './found.ts';
import type { Row } from './rows.ts';

/** From best to worst: a row is as good as the worst of its tests. One that did not run is the least that can be said of it. */
const ORDER: readonly State[] = ['there', 'passed', 'skipped', 'failed'];

const worst = (found: readonly Found[]): State =>
  found.reduce<State>((state, each) => (ORDER.indexOf(each.state) > ORDER.indexOf(state) ? each.state : state), 'there');

/** A row with its tests. */
export interface Line extends Row {
  state: State | 'MISSING';
  files: string[];
}

/** Each row with the files that have a test of it, and how these ended. */
export const linesOf = (rows: readonly Row[], found: readonly Found[]): Line[] =>
  rows.map(row => {
    const own = found.filter(({ id }) => id === row.id);
    return { ...row, state: own.length > 0 ? worst(own) : 'MISSING', files: [...new Set(own.map(({ file }) => file))] };
  });

/** Ids in names of tests that stand in no row: a slip of the pen. */
export const strangers = (rows: readonly Row[], found: readonly Found[]): Found[] =>
  found.filter(({ id }) => !rows.some(row => row.id === id));

/** Whether every row has a test, and none that was run failed or was left out. */
export const isWhole = (lines: readonly Line[]): boolean => lines.every(({ state }) => state === 'there' || state === 'passed');

/** A line of text for a row. */
export const textOf = ({ id, state, files, tried }: Line): string =>
  `${id.padEnd(5)} ${state.padEnd(8)} ${tried}\n${files.map(file => `${' '.repeat(15)}${file}\n`).join('')}`;
