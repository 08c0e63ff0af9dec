import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from '@jest/globals';
import { stringify } from 'yaml';

const read = (file: string): string => readFileSync(resolve(file), 'utf8');
const { panels, templating } = JSON.parse(read('deploy/grafana/bkp.json'));
const queries: string[] = panels.flatMap(({ targets }: { targets: { expr: string }[] }) => targets.map(({ expr }) => expr));

it('asks only for figures that there are', () => {
  const known = new Set([...read('src/report/metrics.ts').matchAll(/'(bkp_\w+)'/g)].map(([, name]) => name));
  const asked = queries.flatMap(expr => [...expr.matchAll(/bkp_\w+/g)].map(([name]) => name));
  expect(asked.length).toBeGreaterThanOrEqual(queries.length);
  expect(asked.filter(name => !known.has(name))).toEqual([]);
});

it('asks in PromQL, as Prometheus itself reads it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-test-'));
  const rules = queries.map((expr, n) => ({ record: `asked:${n}`, expr: expr.replaceAll(/\$\w+/g, '.*') }));
  writeFileSync(join(dir, 'rules.yml'), stringify({ groups: [{ name: 'dashboard', rules }] }));
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', join(dir, 'rules.yml')], { encoding: 'utf8' });
  rmSync(dir, { recursive: true });
  expect({ status, said: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, said: '' });
});

it('lays no panel over another, and gives each a number and a title of its own', () => {
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }: { gridPos: Record<'x' | 'y' | 'w' | 'h', number> }) =>
    Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  for (const field of ['id', 'title'])
    expect(new Set(panels.map((panel: Record<string, unknown>) => panel[field])).size).toBe(panels.length);
  const named = new Set(templating.list.map(({ name }: { name: string }) => name));
  for (const expr of queries) for (const [, name] of expr.matchAll(/\$(\w+)/g)) expect(named).toContain(name);
});
