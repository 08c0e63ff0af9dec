import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type Ended, makeConfig, runBkp, startBkp, tempDir, type WrittenConfig } from './rig/index.ts';

/** Where restic keeps the repository of the entry `data` in a store. */
export const BASE = 'bkp/production/volumes/data';

export interface World {
  dir: string;
  /** What is backed up. */
  source: string;
  config: WrittenConfig;
  env: Record<string, string>;
  /** Another entry `data`; the rest of the config stays. */
  write(entry: Record<string, unknown>): void;
  bkp(...args: string[]): Promise<Ended>;
  start(...args: string[]): ReturnType<typeof startBkp>;
  /** The result of a command, which ended with this code. */
  result(code: number, ...args: string[]): Promise<any>;
  /** restic alone, on the repository of a directory store. */
  restic(store: string, ...args: string[]): string;
  password(): string;
}

/** An entry `volumes/data` of engine files over one directory, into these stores. */
export async function filesWorld(
  stores: Record<string, string | Record<string, unknown>>,
  entry: Record<string, unknown> = {},
): Promise<World> {
  const dir = tempDir();
  const source = join(dir, 'source');
  mkdirSync(source);
  const placed = Object.fromEntries(Object.entries(stores).map(([name, store]) => [name, store === 'directory' ? join(dir, name) : store]));
  const config = await makeConfig({ dir, stores: placed, volumes: { data: { engine: 'files', paths: [source], ...entry } } });
  const env = { HOME: join(dir, 'home') };
  mkdirSync(env.HOME);
  let password = '';
  const options = () => ({ config: config.path, env });
  const world: World = {
    dir,
    source,
    config,
    env,
    write(change) {
      const text = parse(readFileSync(config.path, 'utf8'));
      text.environments.production.volumes.data = { engine: 'files', paths: [source], ...change };
      writeFileSync(config.path, stringify(text, { lineWidth: 0 }));
    },
    bkp: (...args) => runBkp(args, options()),
    start: (...args) => startBkp(args, options()),
    async result(code, ...args) {
      const run = await runBkp([...args, '--json'], options());
      if (run.code !== code)
        throw new Error(`bkp ${args.join(' ')} ended with ${run.code ?? run.signal}, not ${code}: ${run.stderr}${run.stdout}`);
      return JSON.parse(run.stdout.trim().split('\n').at(-1)!);
    },
    restic: (store, ...args) =>
      execFileSync('restic', ['-r', join(dir, store, BASE, 'restic'), '--no-cache', ...args], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], HOME: env.HOME, RESTIC_PASSWORD: world.password() },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    password: () => password,
  };
  const derived = await world.bkp('keygen', '--derive', 'volumes/data');
  password = derived.stdout.trim();
  return world;
}

/** restic with something done to it: a program that stands in `program:`. */
export function resticWith(script: string): string {
  const file = join(tempDir(), 'restic');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** Fills a directory with a bit of everything that a file system can hold. */
export function fill(dir: string): void {
  mkdirSync(join(dir, 'docs/deep'), { recursive: true });
  writeFileSync(join(dir, 'docs/a.txt'), 'a\n');
  writeFileSync(join(dir, 'docs/deep/b [1]*.txt'), 'b\n');
  writeFileSync(join(dir, 'big'), Buffer.alloc(3_000_000, 'bkp '));
  const sh = `cd "$1" && ln docs/a.txt hard && ln -s docs/a.txt link && mkfifo pipe && chown 1234:2345 docs/a.txt docs && chmod 2750 docs &&
    chmod 4711 big && setfattr -n user.bkp -v kept docs/a.txt && setfacl -m u:1234:r-x,d:u:1234:r-x docs && setfacl -m u:99:rwx . && chmod g+s . && touch -d 2020-02-03T04:05:06.789Z . docs/a.txt`;
  execFileSync('sh', ['-c', sh, 'sh', dir]);
}

/** Everything that is to come back of a directory, by names below it. */
export function picture(dir: string): string {
  const sh = `cd "$1" && find . -printf '%p %y %U:%G %m %s %T@ %n %l\\n' | sed 's/ d \\(.*\\) [0-9]* \\([0-9.]*\\) [0-9]* $/ d \\1 \\2/' | sort && find . -print0 | sort -z | xargs -0 getfattr -h -d && find . ! -type l -print0 | sort -z | xargs -0 getfacl && sha256sum big docs/a.txt`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', sh, 'sh', dir], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** What bkp leaves in a directory for temporary files. */
export const leftIn = (dir: string): string[] => readdirSync(dir).filter(name => name.startsWith('bkp-') && !name.startsWith('bkp-rig-'));
