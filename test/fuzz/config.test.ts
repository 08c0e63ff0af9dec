import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parse as parseYaml, stringify } from 'yaml';
import { type Config, parseConfig, type Registry } from '../../src/core/config/index.ts';
import { notifiers } from '../../src/providers/notifiers/index.ts';
import { stores } from '../../src/providers/stores/index.ts';
import { targets } from '../../src/providers/targets/index.ts';
import { root } from '../real/rig/places.ts';
import { allChanged, change, ODD } from './mutate.ts';
import { RUNS, told } from './told.ts';

const registry: Registry = { kinds: targets, stores, notifiers };
const EXAMPLE = readFileSync(join(root, 'docs/example.yaml'), 'utf8');
/** A config is read by a schema that is made anew each time. */
const TIMES = Math.ceil(RUNS / 5);
const SECRET = 'hunter2-of-the-config';

/** The example with secrets written out, as people do. */
function withSecrets(): any {
  const tree = parseYaml(EXAMPLE);
  const { production } = tree.environments;
  tree.keys.signing = SECRET;
  tree.keys.identity = SECRET;
  production.stores.hetzner.secretKey = SECRET;
  production.stores.offsite.secretKey = SECRET;
  production.postgres.app.password = SECRET;
  production.redis = { cache: { password: SECRET } };
  production.notify = { chat: { type: 'slack', url: `https://hooks.example.org/${SECRET}` } };
  return tree;
}

/** What holds for every config that is accepted. */
function isSound({ environments, timezone }: Config): void {
  expect(() => new Intl.DateTimeFormat('en', { timeZone: timezone })).not.toThrow();
  for (const { stores: all, targets: kinds, prefix } of Object.values(environments)) {
    expect(prefix.split('/')).not.toContain('..');
    for (const entry of Object.values(kinds).flatMap(entries => Object.values(entries))) {
      expect(entry.stores.filter(store => !Object.hasOwn(all, store))).toEqual([]);
      expect(entry.need).toBeLessThanOrEqual(entry.stores.length);
      expect(entry.need).toBeGreaterThanOrEqual(1);
      expect(Object.values(entry.retention).some(rule => rule !== 0 && rule !== '0d')).toBe(true);
    }
  }
}

/** Read, or refused with a place for each fault, and no secret among the words. */
function tried(text: string): void {
  const outcome = told(() => parseConfig(text, '/etc/bkp/bkp.yaml', registry));
  if ('value' in outcome) {
    isSound(outcome.value);
    return;
  }
  const { exit, message, next } = outcome.error;
  expect(exit).toBe('usage');
  expect(next).not.toEqual([]);
  for (const line of message.split('\n')) expect(line).toMatch(/^\/etc\/bkp\/bkp\.yaml:[1-9]\d*:[1-9]\d*: ./);
  expect(message).not.toContain(SECRET);
}

const LINES = EXAMPLE.split('\n');
const FRAGMENTS = [
  '\t',
  ': ',
  '- ',
  '? ',
  '&a',
  '*a',
  '<<: *a',
  '!!binary x',
  '!!set {a}',
  '|',
  '>',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
  '%YAML 1.1',
];
const edit = fc.record({
  line: fc.nat(LINES.length - 1),
  at: fc.nat(60),
  how: fc.constantFrom('drop', 'put', 'swap', 'shift'),
  with: fc.oneof(fc.constantFrom(...FRAGMENTS, '\n', '---\n', '...\n'), fc.string({ maxLength: 12 })),
});

describe('a config', () => {
  it('that is written out with its secrets is good before it is changed', () => {
    const outcome = told(() => parseConfig(stringify(withSecrets()), '/etc/bkp/bkp.yaml', registry));
    expect('error' in outcome ? outcome.error.message : '').toBe('');
  });

  it('whose settings are replaced, wrapped, renamed or gone is read or refused by place, without a secret', () => {
    const tree = withSecrets();
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), changes => tried(stringify(allChanged(tree, changes)))),
      { numRuns: TIMES },
    );
  });

  it('whose text is torn is read or refused by place', () => {
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), edits => {
        const lines = [...LINES];
        for (const { line, at, how, with: text } of edits) {
          const now = lines[line] ?? '';
          if (how === 'drop') lines.splice(line, 1);
          else if (how === 'swap') lines[line] = lines[(line + at) % lines.length] ?? '';
          else if (how === 'shift') lines[line] = `${' '.repeat(at % 9)}${now.trimStart()}`;
          else lines[line] = `${now.slice(0, at)}${text}${now.slice(at)}`;
        }
        tried(lines.join('\n'));
      }),
      { numRuns: TIMES },
    );
  });

  it('that is anything at all is refused by place', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.json()), tried), { numRuns: TIMES });
    for (const odd of ODD) tried(stringify(odd));
  });

  it('with aliases of aliases is refused before it fills the memory', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let n = 1; n < 30; n += 1)
      bomb.push(
        `a${n}: &a${n} [${Array(9)
          .fill(`*a${n - 1}`)
          .join(', ')}]`,
      );
    tried(bomb.join('\n'));
  });
});
