import { expect, test } from '@jest/globals';
import { refuseExpanded } from '../../../src/core/config/index.ts';
import { BASE, parse } from './registry.ts';

/** What a config is refused with by what its variables say; empty = it is not. */
function refused(text: string, env: Record<string, string>): string {
  try {
    refuseExpanded(parse(text), text, {
      env,
      readFile: () => {
        throw new Error('no such file');
      },
    });
    return '';
  } catch (error) {
    expect(error).toMatchObject({ name: 'BkpError', exit: 'usage' });
    return (error as Error).message;
  }
}

const VARIABLE = BASE.replace('path: /srv/bkp', 'path: "${ONE}"');
const TWO = VARIABLE.replace('path: /mnt/offsite', 'path: "${OTHER}/bkp"');

test('a relative path that a variable says is refused with its place and the name, and is not repeated', () => {
  expect(refused(VARIABLE, { ONE: 'backups' })).toBe(
    'bkp.yaml:5:39: environments.production.stores.local.path: with the variable ONE it is no absolute path; allowed is one that begins with /',
  );
  expect(refused(VARIABLE, { ONE: '' })).toContain('with the variable ONE it is no absolute path');
});

test.each([
  ['two variables', TWO, { ONE: '/srv/bkp/', OTHER: '/srv' }, 'the variable ONE and the variable OTHER'],
  ['a variable and a path that is written out', VARIABLE, { ONE: '/mnt//offsite' }, 'the variable ONE'],
])('%s that say one place are refused: it would be one copy that counts as two', (_, text, env, by) => {
  expect(refused(text, env)).toBe(
    `bkp.yaml:6:7: environments.production.stores.offsite: with ${by} it is the place of store "local"; allowed is one store a place`,
  );
});

test('what is absolute and elsewhere goes through, and what this host does not know is left to those that use it', () => {
  expect(refused(TWO, { ONE: '/srv/bkp', OTHER: '/mnt' })).toBe('');
  expect(refused(TWO, {})).toBe('');
  expect(refused(BASE, {})).toBe('');
});

test('it holds for the temporary directory as well', () => {
  expect(refused(`temp: "\${T}"\n${BASE}`, { T: 'tmp' })).toMatch(/^bkp.yaml:1:7: temp: with the variable T it is no absolute path/);
});
