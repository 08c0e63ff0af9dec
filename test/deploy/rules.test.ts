import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { root } from '../real/rig/places.ts';

const dir = join(root, 'deploy/prometheus');
const RULES = 'bkp.rules.yml';
const tests = readdirSync(dir).filter(file => file.endsWith('.test.yml'));
const read = (file: string): any => parse(readFileSync(join(dir, file), 'utf8'));
const promtool = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: dir, encoding: 'utf8' });
  return { status, words: `${stdout}${stderr}` };
};
const rules = (): { alert: string; expr: string; annotations: { runbook_url: string } }[] =>
  read(RULES).groups.flatMap((group: any) => group.rules);

it('promtool takes the rules', () => {
  expect(promtool('check', 'rules', RULES)).toMatchObject({ status: 0, words: expect.stringMatching(/SUCCESS: \d+ rules found/) });
});

it('MO04 MO06 MO07: every alert rises and rests where its tests say so', () => {
  expect(promtool('test', 'rules', ...tests)).toMatchObject({ status: 0 });
});

it('no alert is without a test in which it rises', () => {
  const raised = tests.flatMap(file =>
    read(file).tests.flatMap((test: any) =>
      test.alert_rule_test.filter((each: any) => each.exp_alerts.length > 0).map((each: any) => each.alertname),
    ),
  );
  expect([...new Set(raised)].sort()).toEqual(
    rules()
      .map(({ alert }) => alert)
      .sort(),
  );
});

it('every figure that an alert looks at is one that bkp gives', () => {
  const given = ['src/report/metrics.ts', 'src/core/status/listen.ts'].map(path => readFileSync(join(root, path), 'utf8')).join('');
  const used = new Set(rules().flatMap(({ expr }) => expr.match(/\bbkp_\w+/g) ?? []));
  expect(used.size).toBeGreaterThan(10);
  expect([...used].filter(name => !given.includes(`'${name}'`))).toEqual([]);
});

it('every alert leads to what to do about it, under a heading of its own', () => {
  const [page] = [...new Set(rules().map(({ annotations }) => annotations.runbook_url.split('#')[0]!))];
  const headings = readFileSync(join(root, page!), 'utf8').matchAll(/^## (\w+)\n\n\S/gm);
  expect([...headings].map(([, heading]) => `${page}#${heading!.toLowerCase()}`).sort()).toEqual(
    rules()
      .map(({ annotations }) => annotations.runbook_url)
      .sort(),
  );
  for (const { alert, annotations } of rules()) expect(annotations.runbook_url).toBe(`docs/how-to/alerts.md#${alert.toLowerCase()}`);
});
