import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { cleanUp, node24, root, run, tempDir } from './rig/index.ts';

afterAll(cleanUp);

const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
let tarball: string;
let files: string[];

/** npm on Node 24, with a cache of its own that is empty: what it needs it has to have. */
const npm = async (args: string[], cwd: string) => {
  const env = { ...process.env, PATH: `${join(node24(), '..')}:${process.env['PATH']}`, npm_config_cache: tempDir() };
  return (await run('npm', args, { cwd, env })).stdout;
};

beforeAll(async () => {
  const dir = tempDir();
  // dist/ was built before the tests, which run from it: it is not built anew under them.
  const [packed] = JSON.parse(await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', dir], root));
  tarball = join(dir, packed.filename);
  files = packed.files.map(({ path }: { path: string }) => path);
});

it('has the program, its docs, its licence and those of what is bundled in it, and nothing else', () => {
  const first = new Set(files.map(file => file.split('/')[0]));
  expect([...first].sort()).toEqual(['LICENSE', 'README.md', 'bin', 'deploy', 'dist', 'docs', 'package.json']);
  expect(files).toEqual(expect.arrayContaining(['bin/bkp.js', 'bin/launch.js', 'dist/main.js', 'dist/ready.js', 'dist/LICENCES.txt']));
  const licences = readFileSync(join(root, 'dist/LICENCES.txt'), 'utf8');
  for (const name of ['@aws-sdk/client-s3', 'commander', 'zod', 'yaml', 'age-encryption'])
    expect(licences).toMatch(new RegExp(`^${name} \\d.*\\)\\n\\n`, 'm'));
  expect(about).toMatchObject({ engines: { node: '>=22.15' }, bin: { bkp: 'bin/bkp.js' }, license: 'MIT' });
});

it('tells what is bundled in it, as npm knows those packages, and all of it under terms that ask for a notice at most', async () => {
  expect(files).toContain('dist/sbom.cdx.json');
  const ours = JSON.parse(readFileSync(join(root, 'dist/sbom.cdx.json'), 'utf8'));
  const theirs = JSON.parse(await npm(['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], root));
  interface Component {
    purl: string;
    licenses: [{ license: { id: string } }];
    hashes: { alg: string; content: string }[];
  }
  const known = new Map(theirs.components.map((one: Component) => [one.purl, one]));
  for (const { purl, licenses, hashes } of ours.components as Component[])
    expect({ purl, known: known.get(purl) }).toEqual({ purl, known: expect.objectContaining({ licenses, hashes }) });
  const bundled = readFileSync(join(root, 'dist/LICENCES.txt'), 'utf8').match(/^\S+ \d+\.\d+\.\S+ \(.*\)$/gm)!;
  expect(bundled).toHaveLength(ours.components.length);
  const terms = new Set((ours.components as Component[]).map(({ licenses: [{ license }] }) => license.id));
  const free = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'MIT-0'];
  expect([...terms].filter(id => !free.includes(id))).toEqual([]);
  const twice = ours.components.map(({ purl }: Component) => purl);
  expect(new Set(twice).size).toBe(twice.length);
});

it('installs into an empty prefix without a network and runs', async () => {
  const prefix = tempDir();
  await npm(['install', '--offline', '--no-audit', '--no-fund', '--prefix', prefix, tarball], prefix);
  const bkp = join(prefix, 'node_modules/.bin/bkp');
  const env = { PATH: join(node24(), '..'), HOME: tempDir() };
  expect((await run(bkp, ['--version'], { env })).stdout).toBe(`${about.version}\n`);
  expect((await run(bkp, ['list', '--help'], { env })).stdout).toContain('Usage: bkp list');
  expect(JSON.parse((await run(bkp, ['version', '--json'], { env })).stdout)).toMatchObject({ version: about.version, oneFile: false });
});
