// `npm run bench -- NAME`: prints what it measures; the last line is one JSON object. Nothing asserts a time.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const names = [
  'cold-start',
  'base-backup',
  'upload',
  'download',
  'prune',
  'list',
  'postgres-peers',
  'redis',
  'etcd',
  'samba',
  'files',
  'full-dr',
];
const name = process.argv[2];

if (!names.includes(name)) {
  console.error(`usage: npm run bench -- NAME, where NAME is one of: ${names.join(', ')}`);
  process.exit(2);
}
const node = join(root, 'node_modules/node/bin/node');
if (!existsSync(node)) {
  console.error('Node 24 is not installed: run `npm run setup`');
  process.exit(1);
}
const built = spawnSync(node, ['scripts/build.mjs'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
if (built.status !== 0) process.exit(1);
const bench = spawnSync(node, ['--no-warnings', join(root, 'bench', `${name}.ts`), ...process.argv.slice(3)], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(bench.status ?? 1);
