import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Evidence } from '../../../src/core/evidence.ts';
import { junit } from '../../../src/report/evidence/junit.ts';
import { clean } from '../../../src/report/evidence/markup.ts';
import { HOSTILE, spoiltMaterial } from './hostile.ts';
import { drill, eighteen, material } from './samples.ts';

interface Xml {
  tag: string;
  attributes: Record<string, string>;
  text: string;
  children: Xml[];
}

const dir = mkdtempSync(join(tmpdir(), 'bkp-junit-'));
afterAll(() => rmSync(dir, { recursive: true }));

const READER = `
import json, sys, xml.etree.ElementTree as tree
def told(at):
    return {"tag": at.tag, "attributes": at.attrib, "text": at.text or "", "children": [told(each) for each in at]}
print(json.dumps([told(tree.parse(path).getroot()) for path in sys.argv[1:]]))
`;

/** As Python's XML parser, an expat, reads them. */
function read(texts: readonly string[]): Xml[] {
  const paths = texts.map((text, n) => {
    const path = join(dir, `${n}.xml`);
    writeFileSync(path, text);
    return path;
  });
  return JSON.parse(execFileSync('python3', ['-c', READER, ...paths], { encoding: 'utf8', maxBuffer: 2 ** 28 }));
}

const readOne = (drills: readonly Evidence[]): Xml => read([junit(material({ drills }))])[0]!;
const casesOf = (suite: Xml): Xml[] => suite.children.filter(({ tag }) => tag === 'testcase');
const endOf = (test: Xml): string => test.children.map(({ tag }) => tag).join() || 'nothing';

/** What each tag may carry and hold, by the strictest of the common schemas, that of Jenkins' xUnit plugin. */
const MAY: Readonly<Record<string, { attributes: string; children: string }>> = {
  testsuites: { attributes: 'name time tests failures errors', children: 'testsuite' },
  testsuite: { attributes: 'name tests failures errors time skipped timestamp', children: 'properties testcase' },
  properties: { attributes: '', children: 'property' },
  property: { attributes: 'name value', children: '' },
  testcase: { attributes: 'name time classname', children: 'skipped error failure system-out' },
  failure: { attributes: 'type message', children: '' },
  error: { attributes: 'type message', children: '' },
  skipped: { attributes: 'message', children: '' },
  'system-out': { attributes: '', children: '' },
};

/** Names of attributes and children that a CI system would not take. */
const strange = ({ tag, attributes, children }: Xml): string[] => [
  ...Object.keys(attributes).filter(name => !MAY[tag]!.attributes.split(' ').includes(name)),
  ...children.map(child => child.tag).filter(name => !MAY[tag]!.children.split(' ').includes(name)),
  ...children.flatMap(strange),
];

/** What a CI system adds up by itself has to be what the attributes say. */
function checkCounts(root: Xml): void {
  expect(strange(root)).toEqual([]);
  const all = root.children.flatMap(casesOf);
  for (const [of, cases] of [[root, all], ...root.children.map(suite => [suite, casesOf(suite)])] as [Xml, Xml[]][]) {
    const count = (tag: string) => String(cases.filter(test => endOf(test) === tag).length);
    const { tests, failures, errors, skipped } = of.attributes;
    expect({ tests, failures, errors, skipped }).toEqual({
      tests: String(cases.length),
      failures: count('failure'),
      errors: count('error'),
      skipped: of === root ? undefined : count('skipped'),
    });
  }
}

describe('JUnit XML', () => {
  it('of a passed drill: a suite per target, a case for it and one per check, all green', () => {
    const root = readOne(eighteen());
    const { targets } = eighteen().at(-1)!;
    expect(root.tag).toBe('testsuites');
    expect(root.children.map(({ attributes }) => attributes['name'])).toEqual(
      targets.map(({ kind, name }) => `production/${kind}/${name}`),
    );
    for (const [n, suite] of root.children.entries()) {
      expect(casesOf(suite).map(({ attributes }) => attributes['name'])).toEqual([
        'comes back',
        ...targets[n]!.checks.map(({ name }) => name),
      ]);
      expect(casesOf(suite).map(endOf)).toEqual(targets[n]!.checks.map(() => 'system-out').concat('system-out'));
      const properties = Object.fromEntries(suite.children[0]!.children.map(({ attributes }) => [attributes['name'], attributes['value']]));
      expect(properties).toMatchObject({ store: targets[n]!.store, rtoSeconds: String(targets[n]!.rtoSeconds) });
      expect(suite.attributes['timestamp']).toBe(eighteen().at(-1)!.startedAt.slice(0, 19));
    }
    checkCounts(root);
  });

  it('of a failed one: a failure with text and mend, and what waited for it skipped', () => {
    const root = readOne(eighteen().slice(0, 11));
    checkCounts(root);
    const [, postgres, , , volumes] = root.children;
    expect(casesOf(postgres!).map(endOf)).toEqual(['failure', 'system-out', 'failure']);
    const failure = casesOf(postgres!)[2]!.children[0]!;
    expect(failure.attributes).toEqual({ message: eighteen()[10]!.targets[1]!.checks[1]!.text, type: 'failed' });
    expect(failure.text).toContain('bkp verify postgres app');
    expect(casesOf(volumes!).map(endOf)).toEqual(['skipped']);
  });

  it('of what could not be tried: an error, since skipped alone is green', () => {
    const root = readOne(eighteen().slice(0, 15));
    checkCounts(root);
    expect(casesOf(root.children[3]!).map(endOf)).toEqual(['error']);
    expect(root.attributes).toMatchObject({ failures: '0', errors: '1' });
  });

  it('of no drill at all: an error', () => {
    const root = readOne([]);
    checkCounts(root);
    expect(root.attributes).toMatchObject({ tests: '1', errors: '1' });
  });

  it('is green exactly when the drill passed, and well-formed, whatever stands in it', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...HOSTILE));
    const result = fc.constantFrom<Evidence['result'][]>('passed', 'failed', 'unproven');
    const state = fc.constantFrom<Evidence['targets'][number]['checks'][number]['state'][]>('ok', 'note');
    const target = fc.record(
      {
        kind: text,
        name: text,
        engine: text,
        wave: fc.nat(5),
        result,
        skipped: text,
        checks: fc.array(fc.record({ name: text, state, text })),
      },
      { requiredKeys: ['kind', 'name', 'engine', 'wave', 'result', 'checks'] },
    );
    const drills = fc
      .record({ result, targets: fc.array(target, { minLength: 1, maxLength: 4 }) })
      .map(({ result: said, targets }): Evidence => {
        const all = targets as Evidence['targets'];
        const worst = all.some(each => each.result !== 'passed') && said === 'passed' ? 'unproven' : said;
        return { ...drill(0), result: worst, targets: all };
      });
    const made = fc.sample(drills, 60);
    for (const [n, root] of read(made.map(each => junit(material({ drills: [each] })))).entries()) {
      checkCounts(root);
      expect(root.attributes['failures'] === '0' && root.attributes['errors'] === '0').toBe(made[n]!.result === 'passed');
    }
  });

  it('shows hostile texts as they are', () => {
    const roots = read(HOSTILE.map(text => junit(spoiltMaterial(text))));
    for (const [n, root] of roots.entries()) {
      const messages = root.children
        .flatMap(casesOf)
        .flatMap(({ children }) => children.map(({ attributes }) => attributes['message'] ?? ''));
      // A parser makes line breaks of an attribute into spaces.
      expect(messages.filter(message => message.endsWith(clean(HOSTILE[n]!).replace(/\s/g, ' '))).length).toBeGreaterThan(1);
    }
  });
});
