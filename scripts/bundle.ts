import type { BuildOptions } from 'esbuild';

/** How esbuild bundles for Node here: ESM, `module` before `main`, and a `require` for what was CommonJS. */
export const forNode: BuildOptions = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  mainFields: ['module', 'main'],
  banner: { js: "import { createRequire as __cr } from 'module'; const require = __cr(import.meta.url);" },
};
