import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { benches } from '../../bench/names.ts';
import { comparedBy, figuresOf, pageOf } from '../../bench/page.ts';
import { root } from '../real/rig/places.ts';

const oneResult = (result: Record<string, unknown>) => ({
  at: '2026-01-02 03:04 UTC',
  machine: '2 × a processor',
  shown: 'seen 1\n',
  result,
});

describe('the page of benchmarks', () => {
  it('knows every benchmark, each with what it compares', () => {
    const measuring = readdirSync(join(root, 'bench')).filter(
      name => name.endsWith('.ts') && /\bbench: '/.test(readFileSync(join(root, 'bench', name), 'utf8')),
    );
    expect(
      Object.keys(benches)
        .map(name => `${name}.ts`)
        .sort(),
    ).toEqual(measuring.sort());
    for (const name of Object.keys(benches)) expect(comparedBy(name)).toMatch(/\w{3}.*\.$/);
  });

  it('shows each ratio, and what else has an aim, beside the aim, and says where it is missed', () => {
    const page = pageOf({
      upload: oneResult({ bench: 'upload', ratio_pipe: 0.9, ratio_one: 1.3, rounds: 3 }),
      files: oneResult({ ratio: { first: 1.04 } }),
      rpo: oneResult({ max_1s: 0.9, p50_1s: 0.4 }),
    });
    expect(page).toContain('| rpo | `max_1s` | 0.9 | 1.02 | yes |');
    expect(page).not.toContain('p50_1s');
    expect(page).toContain('| upload | `ratio_pipe` | 0.9 | 0.9 | yes |');
    expect(page).toContain('| upload | `ratio_one` | 1.3 | 1 | **no** |');
    expect(page).toContain('| files | `ratio.first` | 1.04 | 1.05 | yes |');
    expect(page).not.toContain('rounds');
    expect(page).toContain('Run on 2026-01-02 03:04 UTC, 2 × a processor.\n\n```text\nseen 1\n```');
  });

  it('takes figures from below a name, and nothing that is no number', () => {
    expect(figuresOf({ a: 1, b: { c: 2, d: 'x' }, e: [3], f: null })).toEqual([
      ['a', 1],
      ['b.c', 2],
    ]);
  });

  it('is what the results that are kept say', () => {
    const results = JSON.parse(readFileSync(join(root, 'bench/results.json'), 'utf8'));
    expect(readFileSync(join(root, 'docs/BENCHMARKS.md'), 'utf8')).toBe(pageOf(results));
  });
});
