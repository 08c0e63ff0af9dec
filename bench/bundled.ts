import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { forNode } from '../scripts/bundle.ts';
import { root } from '../test/real/rig/index.ts';

/** Bundles a program of bench/, as bkp itself is bundled, into a directory. @returns its path */
export async function bundled(program: string, into: string): Promise<string> {
  await build({ entryPoints: [join(root, 'bench', program)], outdir: into, outExtension: { '.js': '.mjs' }, ...forNode, splitting: true });
  return join(into, basename(program).replace(/\.ts$/, '.mjs'));
}
