import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

/** `node_modules/…/NAME` of a bundled file; undefined for a file of our own. */
const packageOf = (file: string): string | undefined => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];

function termsOf(dir: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  const files = readdirSync(dir).filter(file => /^(licen[cs]e|notice|copying)/i.test(file));
  const texts = files.map(file => readFileSync(join(dir, file), 'utf8').trim());
  return [`${name} ${version} (${license})`, ...texts].join('\n\n');
}

/**
 * The terms of everything that a bundle carries beside our own code, each with its text.
 * @param metafiles of esbuild
 */
export function licencesOf(...metafiles: readonly Metafile[]): string {
  const dirs = metafiles.flatMap(({ inputs }) => Object.keys(inputs)).flatMap(file => packageOf(file) ?? []);
  const terms = [...new Set(dirs)].filter(dir => existsSync(join(dir, 'package.json'))).map(termsOf);
  return `${[...new Set(terms)].sort().join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
