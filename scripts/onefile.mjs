// `npm run onefile`: build/bkp, one executable that needs no Node on the machine. docs/decisions/0012-image-and-one-file.md says why it is made so.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { inject } from 'postject';
import { baked, forNode } from './bundle.ts';
import { licencesOf } from './licences.ts';
import { packagesIn } from './packages.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(root, 'build-'));
const bundle = join(scratch, 'bkp.cjs');
const blob = join(scratch, 'bkp.blob');
const made = join(scratch, 'bkp');
try {
  // Node takes CommonJS here, without `import()`: what is loaded late stays in the file, and runs when it is asked for.
  const { metafile } = await build({
    ...forNode,
    metafile: true,
    absWorkingDir: root,
    minifyWhitespace: true,
    minifySyntax: true,
    banner: {},
    format: 'cjs',
    supported: { 'dynamic-import': false },
    define: { ...baked, 'import.meta.url': '"file:///"' },
    entryPoints: [join(root, 'scripts/onefile/start.mjs')],
    outfile: bundle,
    logLevel: 'warning',
  });
  const config = join(scratch, 'sea.json');
  // NODE_OPTIONS of whoever calls, be it PostgreSQL's archiver, changes nothing.
  writeFileSync(
    config,
    JSON.stringify({ main: bundle, output: blob, disableExperimentalSEAWarning: true, useCodeCache: true, execArgvExtension: 'none' }),
  );
  execFileSync(process.execPath, ['--experimental-sea-config', config], { stdio: ['ignore', 'ignore', 'inherit'] });
  copyFileSync(process.execPath, made);
  chmodSync(made, 0o755);
  await inject(made, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2' });
  mkdirSync(join(root, 'build'), { recursive: true });
  writeFileSync(
    join(root, 'build/LICENCES.txt'),
    `Node.js ${process.version}: see https://github.com/nodejs/node/blob/${process.version}/LICENSE\n\n${licencesOf(packagesIn([metafile]))}`,
  );
  renameSync(made, join(root, 'build/bkp'));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
