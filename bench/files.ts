// 10,000 small files and one of 2 GiB: first and second backup and a restore by bkp, against restic alone into a directory.

import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { bkpCommand, cleanUp, makeConfig, tempDir } from '../test/real/rig/index.ts';
import { round, timed } from './measure.ts';

const SMALL = 10_000;
const LARGE = Number(process.argv[2] ?? 2048);

function fill(dir: string): void {
  for (let n = 0; n < SMALL; n += 1) {
    const folder = join(dir, String(n % 100));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${n}`), randomBytes(2000));
  }
  const file = openSync(join(dir, 'large'), 'w');
  for (let n = 0; n < LARGE; n += 16) writeSync(file, randomBytes(16 * 1024 * 1024));
  closeSync(file);
}

const dir = tempDir();
const source = join(dir, 'source');
mkdirSync(source);
fill(source);
const config = await makeConfig({ dir, stores: { local: join(dir, 'store') }, volumes: { data: { engine: 'files', paths: [source] } } });
const bkp = (...args: string[]): number => {
  const [file, words] = bkpCommand([...args, '--quiet']);
  return timed(file, words, { env: { PATH: process.env['PATH']!, HOME: dir, BKP_CONFIG: config.path } });
};
const restic = (...args: string[]): number =>
  timed('restic', ['-r', join(dir, 'plain'), '--no-cache', ...args], {
    env: { PATH: process.env['PATH']!, HOME: dir, RESTIC_PASSWORD: 'bench' },
  });

const startUp = bkp('--version');
restic('init');
const plain = {
  first: restic('backup', source),
  second: restic('backup', source),
  restore: restic('restore', 'latest', '--target', join(dir, 'out')),
};
rmSync(join(dir, 'out'), { recursive: true });
const to = join(dir, 'back');
const ours = {
  first: bkp('backup', 'volumes'),
  second: bkp('backup', 'volumes'),
  restore: bkp('restore', 'volumes', 'data', '--latest', '--to', to, '--yes'),
};
await cleanUp();

const steps = ['first', 'second', 'restore'] as const;
for (const step of steps) console.log(`${step.padEnd(8)} bkp ${round(ours[step] / 1000)} s  restic ${round(plain[step] / 1000)} s`);
console.log(
  JSON.stringify({
    bench: 'files',
    files: SMALL + 1,
    largeMiB: LARGE,
    startUpSeconds: round(startUp / 1000),
    ratio: Object.fromEntries(steps.map(step => [step, round(ours[step] / plain[step])])),
  }),
);
