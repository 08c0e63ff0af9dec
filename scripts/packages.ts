import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

/** `node_modules/…/NAME` of a bundled file; undefined for a file of our own. */
const packageOf = (file: string): string | undefined => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];

/**
 * The directories of the packages that bundles carry beside our own code, sorted.
 * @param metafiles of esbuild
 */
export function packagesIn(metafiles: readonly Metafile[]): string[] {
  const dirs = metafiles.flatMap(({ inputs }) => Object.keys(inputs)).flatMap(file => packageOf(file) ?? []);
  return [...new Set(dirs)].filter(dir => existsSync(join(dir, 'package.json'))).sort();
}
