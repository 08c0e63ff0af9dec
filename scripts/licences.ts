import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

function termsOf(dir: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  const files = readdirSync(dir).filter(file => /^(licen[cs]e|notice|copying)/i.test(file));
  const texts = files.map(file => readFileSync(join(dir, file), 'utf8').trim());
  return [`${name} ${version} (${license})`, ...texts].join('\n\n');
}

/**
 * The terms of everything that a bundle carries beside our own code, each with its text.
 * @param dirs of the packages
 */
export const licencesOf = (dirs: readonly string[]): string =>
  `${[...new Set(dirs.map(termsOf))].sort().join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
