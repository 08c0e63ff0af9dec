import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { round } from './measure.ts';
import { benches } from './names.ts';

/** What a run of a benchmark left. */
export interface Kept {
  /** When it ended, UTC. */
  at: string;
  machine: string;
  /** What it printed for people. */
  shown: string;
  /** The JSON object at its end. */
  result: Readonly<Record<string, unknown>>;
}

type Figure = [name: string, value: number];

const here = dirname(fileURLToPath(import.meta.url));

/** What a benchmark compares: the comment at the head of its file, on one line. Throws when there is none. */
export function comparedBy(name: string): string {
  const lines = readFileSync(join(here, `${name}.ts`), 'utf8').split('\n');
  const until = lines.findIndex(line => !line.startsWith('// '));
  if (until < 1) throw new Error(`bench/${name}.ts does not say at its head what it compares`);
  return lines
    .slice(0, until)
    .map(line => line.slice(3))
    .join(' ');
}

/** Each figure of a result by its name, those of an inner object as outer.inner. */
export const figuresOf = (result: object, outer = ''): Figure[] =>
  Object.entries(result).flatMap(([name, value]): Figure[] => {
    if (typeof value === 'number') return [[outer + name, value]];
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? figuresOf(value, `${outer}${name}.`) : [];
  });

function rows(name: string, result: object): string[] {
  const aims = benches[name] ?? {};
  return figuresOf(result)
    .filter(([figure]) => /(^|\.)ratio/.test(figure) || figure in aims)
    .map(([figure, value]) => {
      const aim = aims[figure];
      const met = aim === undefined ? '' : value <= aim ? 'yes' : '**no**';
      return `| ${name} | \`${figure}\` | ${round(value)} | ${aim ?? ''} | ${met} |`;
    });
}

function section(name: string, { at, machine, shown }: Kept): string {
  return `## ${name}\n\n${comparedBy(name)}\n\nRun on ${at}, ${machine}.\n\n\`\`\`text\n${shown.trimEnd()}\n\`\`\`\n`;
}

/**
 * The page of all results.
 * @param results by name of the benchmark
 * @returns Markdown
 */
export function pageOf(results: Readonly<Record<string, Kept>>): string {
  const ran = Object.keys(benches).flatMap(name => (results[name] ? [{ name, kept: results[name] }] : []));
  return `# Benchmarks

Made by \`npm run bench\`, which runs all of them and writes this page; \`npm run bench -- NAME\` runs one and puts its
result here. A ratio is bkp's figure over the peer's of the same run on the same machine: below 1, bkp is ahead; what is no
ratio has its unit in the part of its benchmark. Nothing fails for a figure.

| benchmark | figure | value | aim, at most | met |
|---|---|---:|---:|---|
${ran.flatMap(({ name, kept }) => rows(name, kept.result)).join('\n')}

${ran.map(({ name, kept }) => section(name, kept)).join('\n')}`;
}
