// 10,000 small files and one of 2 GiB: first and second backup and a restore by bkp, against restic alone into a directory. The same
// restic, options of the repository and cache (none) on both sides; the first backup of both makes the repository. Rounds take turns, and
// what was written before is on the disk before a step begins. Processes of restic are counted on a few files.

import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { bkpCommand, cleanUp, makeConfig, tempDir } from '../test/real/rig/index.ts';
import { round } from './measure.ts';
import { type Metered, medians, metered } from './metered.ts';

const SMALL = 10_000;
const LARGE = Number(process.argv[2] ?? 2048);
const ROUNDS = Number(process.argv[3] ?? 3);
const STEPS = ['first', 'second', 'restore'] as const;
type Step = (typeof STEPS)[number];

function fill(dir: string, files: number, mib: number): string {
  for (let n = 0; n < files; n += 1) {
    const folder = join(dir, String(n % 100));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${n}`), randomBytes(2000));
  }
  const file = openSync(join(dir, 'large'), 'w');
  for (let n = 0; n < mib; n += 16) writeSync(file, randomBytes(16 * 1024 * 1024));
  closeSync(file);
  return dir;
}

const dir = tempDir();
const [source, few] = [fill(join(dir, 'source'), SMALL, LARGE), fill(join(dir, 'few'), 10, 16)];
const [store, plain, out, log] = ['store', 'plain', 'out', 'log'].map(name => join(dir, name)) as [string, string, string, string];
mkdirSync(store);
const volumes = { data: { engine: 'files', paths: [source] }, few: { engine: 'files', paths: [few] } };
const config = await makeConfig({ dir, stores: { local: store }, volumes });

const quoted = (words: readonly string[]): string => words.map(word => `'${word}'`).join(' ');
const env = { HOME: dir, BKP_CONFIG: config.path, RESTIC_PASSWORD: 'bench' };

/** One command, alone on the disk. */
function step(words: readonly string[], path = process.env['PATH']!): Metered {
  metered('sync', {});
  return metered(`${quoted(words)} >/dev/null`, { ...env, PATH: path });
}

const bkp = (args: readonly string[], path?: string): Metered => {
  const [file, words] = bkpCommand([...args, '--quiet']);
  return step([file, ...words], path);
};

const ours: Record<Step, (name: string, path?: string) => Metered> = {
  first: (name, path) => bkp(['backup', 'volumes', name], path),
  second: (name, path) => bkp(['backup', 'volumes', name], path),
  restore: (name, path) => bkp(['restore', 'volumes', name, '--latest', '--to', out, '--yes'], path),
};
const restic = (line: string): Metered => {
  metered('sync', {});
  return metered(`exec 1>/dev/null; ${line}`, env);
};
const alone = `restic -r '${plain}' --no-cache`;
const theirs: Record<Step, () => Metered> = {
  first: () => restic(`${alone} init && ${alone} backup '${source}'`),
  second: () => restic(`${alone} backup '${source}'`),
  restore: () => restic(`${alone} restore latest --target '${out}'`),
};

/** How many processes of restic each step of bkp starts. Compiles bkp for the steps that are measured, too. */
function counted(): Record<Step, number> {
  const real = metered('command -v restic', {}).stdout.trim();
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'restic'), `#!/bin/sh\necho "$1" >> '${log}'\nexec '${real}' "$@"\n`);
  chmodSync(join(bin, 'restic'), 0o755);
  const count = (name: Step): [Step, number] => {
    writeFileSync(log, '');
    ours[name]('few', `${bin}:${process.env['PATH']}`);
    return [name, readFileSync(log, 'utf8').split('\n').length - 1];
  };
  const found = Object.fromEntries(STEPS.map(count)) as Record<Step, number>;
  rmSync(out, { recursive: true });
  return found;
}

const processes = counted();
const runs: Record<'bkp' | 'restic', Record<Step, Metered[]>> = {
  bkp: { first: [], second: [], restore: [] },
  restic: { first: [], second: [], restore: [] },
};
const startUp: Metered[] = [];
for (let n = 0; n < ROUNDS; n += 1) {
  startUp.push(bkp(['list', 'volumes', 'few']));
  for (const name of STEPS)
    for (const who of n % 2 === 0 ? (['restic', 'bkp'] as const) : (['bkp', 'restic'] as const)) {
      runs[who][name].push(who === 'bkp' ? ours[name]('data') : theirs[name]());
      if (name === 'restore') rmSync(out, { recursive: true });
    }
  for (const made of [join(store, 'bkp/production/volumes/data'), plain]) rmSync(made, { recursive: true });
}
await cleanUp();

const ratios = (field: 'wall' | 'cpu'): Record<string, number> =>
  Object.fromEntries(STEPS.map(name => [name, round(medians(runs.bkp[name])[field] / medians(runs.restic[name])[field])]));
for (const name of STEPS) {
  const [a, b] = [medians(runs.bkp[name]), medians(runs.restic[name])];
  const cpu = `cpu ${a.cpu.toFixed(2)} and ${b.cpu.toFixed(2)} s`;
  console.log(
    `${name.padEnd(8)} bkp ${a.wall.toFixed(2)} s  restic ${b.wall.toFixed(2)} s  ${cpu}  ${processes[name]} processes of restic`,
  );
}
console.log(
  JSON.stringify({
    bench: 'files',
    rounds: ROUNDS,
    files: SMALL + 1,
    largeMiB: LARGE,
    startUpSeconds: round(medians(startUp).wall),
    startUpCpuSeconds: round(medians(startUp).cpu),
    processes,
    ratioCpu: ratios('cpu'),
    ratio: ratios('wall'),
  }),
);
