// Bundles src/ into dist/ with code splitting, so that a command loads only what it uses.
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
const common = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  mainFields: ['module', 'main'],
  banner: { js: "import { createRequire as __cr } from 'module'; const require = __cr(import.meta.url);" },
  logLevel: 'warning',
};
await build({ ...common, entryPoints: { main: 'src/main.ts' }, splitting: true });
// A restore copies this one file to where the private server may read it, so it is whole in itself.
await build({ ...common, entryPoints: { ready: 'src/system/ready.ts' } });
