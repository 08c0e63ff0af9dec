import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { BuildOptions } from 'esbuild';

/** Of bkp. */
export const { version }: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** BKP_COMMIT where there is no checkout to ask, as in a container build; '' where nobody knows. */
function commit(): string {
  if (process.env['BKP_COMMIT'] !== undefined) return process.env['BKP_COMMIT'];
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: new URL('..', import.meta.url), stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return '';
  }
}

/** What the program says of itself. */
export const baked = { BKP_BUILD: JSON.stringify({ version, commit: commit() }) };

/** How esbuild bundles for Node here: ESM, `module` before `main`, and a `require` for what was CommonJS. */
export const forNode: BuildOptions = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  mainFields: ['module', 'main'],
  banner: { js: "import { createRequire as __cr } from 'module'; const require = __cr(import.meta.url);" },
};
