// Bundles src/ into dist/ with code splitting, so that a command loads only what it uses.
import { rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { baked, forNode, version } from './bundle.ts';
import { licencesOf } from './licences.ts';
import { packagesIn } from './packages.ts';
import { sbomOf } from './sbom.ts';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
const common = { ...forNode, outdir: 'dist', logLevel: 'warning', metafile: true };
const main = await build({ ...common, entryPoints: { main: 'src/main.ts' }, define: baked, splitting: true });
// A restore copies this one file to where the private server may read it, so it is whole in itself.
const ready = await build({ ...common, entryPoints: { ready: 'src/system/ready.ts' } });
const carried = packagesIn([main.metafile, ready.metafile]);
writeFileSync(new URL('../dist/LICENCES.txt', import.meta.url), licencesOf(carried));
writeFileSync(new URL('../dist/sbom.cdx.json', import.meta.url), sbomOf(carried, version));
