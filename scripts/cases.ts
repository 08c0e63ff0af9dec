// `npm run cases [-- --run | --results FILE]`: every row of docs/CASES.md with the tests that bear its id and how these ended; by a run of
// jest where there is one (that of the last `npm test`), and by what is written otherwise. Ends with 1 when a row has no test, or one that failed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { joined, ran, written } from './cases/found.ts';
import { rowsOf } from './cases/rows.ts';
import { isWhole, linesOf, strangers, textOf } from './cases/table.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({ options: { run: { type: 'boolean' }, results: { type: 'string' } } });
const rows = rowsOf(readFileSync(join(root, 'docs/CASES.md'), 'utf8'));

/** Runs the tests that bear an id, and no others. @returns the file with jest's results */
function runAll(): string {
  const results = join(root, '.cache/cases.json');
  mkdirSync(dirname(results), { recursive: true });
  const files = [...new Set(written(root).map(({ file }) => file))];
  const jest = ['--experimental-vm-modules', '--no-warnings', join(root, 'node_modules/jest/bin/jest.js')];
  const only = ['--testNamePattern', `\\b(${rows.map(({ id }) => id).join('|')})\\b`];
  spawnSync(process.execPath, [...jest, '--json', '--outputFile', results, ...only, ...files], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return results;
}

/** The results of the last `npm test`, if there was one; of what it did not run it says nothing. */
const last = join(root, '.cache/tests.json');
const results = values.run ? runAll() : (values.results ?? (existsSync(last) ? last : undefined));
if (results && !existsSync(results)) {
  console.error(`${results} is not there: jest did not come to write its results`);
  process.exit(1);
}
const found = joined(written(root), results ? ran(root, readFileSync(results, 'utf8')) : []);
const lines = linesOf(rows, found);
for (const line of lines) process.stdout.write(textOf(line));
const odd = strangers(rows, found);
for (const { id, file } of odd) console.log(`${file} has a test of ${id}, and docs/CASES.md has no such row`);
const missing = lines.filter(({ state }) => state === 'MISSING').map(({ id }) => id);
console.log(`${lines.length} rows, ${missing.length} without a test${missing.length > 0 ? `: ${missing.join(', ')}` : ''}`);
process.exitCode = isWhole(lines) && odd.length === 0 ? 0 : 1;
