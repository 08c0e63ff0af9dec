// The page docs/IMPORTS.md: which part of src/ imports which, drawn from the code.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** The parts of the drawing: a room, and of providers each store, target and the like. */
const partOf = file => {
  const names = file.split('/').slice(0, -1);
  if (names.length === 0) return file.replace(/\.ts$/, '');
  if (names[0] !== 'providers') return names[0];
  return names.slice(0, names[1] === 'targets' ? 3 : 2).join('/');
};

const importsIn = text => [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(match => match[1]);

/** Pairs of parts of which the first imports the second, in order, each once. */
function edges(src) {
  const found = new Set();
  for (const file of readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))) {
    for (const path of importsIn(readFileSync(join(src, file), 'utf8'))) {
      const other = partOf(relative(src, resolve(src, dirname(file), path)));
      if (other !== partOf(file)) found.add(`${partOf(file)} ${other}`);
    }
  }
  return [...found].sort().map(pair => pair.split(' '));
}

const idOf = part => part.replaceAll('/', '_');

/** Arrows of some parts, as Mermaid draws them. */
function drawing(pairs) {
  const names = [...new Set(pairs.flat())].sort().map(part => `  ${idOf(part)}["${part}"]`);
  return ['```mermaid', 'graph TD', ...names, ...pairs.map(pair => `  ${pair.map(idOf).join(' --> ')}`), '```'].join('\n');
}

/** @param src absolute path of src/ */
export function importsPage(src) {
  const all = edges(src);
  const room = part => part.split('/')[0];
  const rooms = [
    ...new Set(
      all
        .map(pair => pair.map(room))
        .filter(([a, b]) => a !== b)
        .map(pair => pair.join(' ')),
    ),
  ].sort();
  const within = all.filter(([a, b]) => room(a) === 'providers' && room(b) === 'providers');
  return `${[
    '# What imports what',
    'Drawn from the code by `node scripts/reference.mjs`; not edited by hand. An arrow leads from what imports to what is imported. `test/house.test.ts` says which arrows there may be.',
    '## The rooms',
    drawing(rooms.map(pair => pair.split(' '))),
    '## Within the providers',
    'Targets, stores and the rest know nothing of each other but this:',
    drawing(within),
  ].join('\n\n')}\n`;
}
