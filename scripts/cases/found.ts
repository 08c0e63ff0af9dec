import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { idsIn, textsOf } from './names.ts';

/** What is known of a test: that it is written, or how it ended. */
export type State = 'there' | 'passed' | 'failed' | 'skipped';

/** A test that bears an id in its name. */
export interface Found {
  id: string;
  /** From the project on. */
  file: string;
  state: State;
}

/** What jest writes by `--json`, as far as it is read. */
interface Results {
  testResults: { name: string; assertionResults: { fullName: string; status: string }[] }[];
}

const STATES: Readonly<Record<string, State>> = { passed: 'passed', failed: 'failed' };

/** The ids in the names of the tests as they are written below `test/`. */
export function written(root: string): Found[] {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.test.ts'));
  return files.sort().flatMap(name => {
    const ids = textsOf(readFileSync(join(root, 'test', name), 'utf8')).flatMap(idsIn);
    return [...new Set(ids)].map((id): Found => ({ id, file: `test/${name}`, state: 'there' }));
  });
}

/** The ids in the names of the tests that a run of jest had, by the text that `--json` made of it. */
export const ran = (root: string, json: string): Found[] =>
  (JSON.parse(json) as Results).testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.flatMap(({ fullName, status }) =>
      idsIn(fullName).map((id): Found => ({ id, file: relative(root, name), state: STATES[status] ?? 'skipped' })),
    ),
  );

/** What is written, each with how it ended in a run: a test that the run did not have is there all the same. */
export const joined = (all: readonly Found[], run: readonly Found[]): Found[] =>
  all.flatMap(each => {
    const own = run.filter(({ id, file }) => id === each.id && file === each.file);
    return own.length > 0 ? own : [each];
  });
