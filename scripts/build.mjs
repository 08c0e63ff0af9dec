// Bundles src/ into dist/ with code splitting, so that a command loads only what it uses.
import { rmSync } from 'node:fs';
import { build } from 'esbuild';
import { forNode } from './bundle.ts';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
const common = { ...forNode, outdir: 'dist', logLevel: 'warning' };
await build({ ...common, entryPoints: { main: 'src/main.ts' }, splitting: true });
// A restore copies this one file to where the private server may read it, so it is whole in itself.
await build({ ...common, entryPoints: { ready: 'src/system/ready.ts' } });
