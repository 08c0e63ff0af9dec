import { realpathSync } from 'node:fs';
import type { Runner } from '../core/contracts.ts';

/** A program that is there; `version` is null where it did not say one. */
export interface Tool {
  name: string;
  version: string | null;
  path: string;
}

/** Programs that bkp starts, and how each is asked for its version. */
const ASK: Readonly<Record<string, readonly string[]>> = {
  zstd: ['--version'],
  age: ['--version'],
  tar: ['--version'],
  bzip2: ['--help'],
  postgres: ['--version'],
  pg_basebackup: ['--version'],
  psql: ['--version'],
  'wal-g': ['--version'],
  'redis-cli': ['--version'],
  'redis-server': ['--version'],
  'valkey-cli': ['--version'],
  'valkey-server': ['--version'],
  etcd: ['--version'],
  etcdctl: ['version'],
  etcdutl: ['version'],
  k3s: ['--version'],
  'samba-tool': ['--version'],
  kubectl: ['version', '--client'],
  ssh: ['-V'],
  restic: ['version'],
};

/** A slow one, as `samba-tool` is, does not hold up the others for ever. */
const PATIENCE_MS = 10_000;

async function asked(run: Runner, name: string, path: string): Promise<Tool> {
  try {
    const { stdout, stderr } = await run.text({ file: path, args: ASK[name]! }, { timeoutMs: PATIENCE_MS });
    return { name, path, version: /\d+(?:\.\d+)+[^\s,)"]*/.exec(`${stdout}\n${stderr}`)?.[0] ?? null };
  } catch {
    return { name, path, version: null };
  }
}

/** Each file once, by whatever links it is found. */
function placesOf(run: Runner, name: string, dirs: readonly string[]): { name: string; path: string }[] {
  const found = [run.which(name), ...dirs.map(dir => run.which(`${dir}/${name}`))].filter(path => path !== undefined);
  return [...new Map(found.toReversed().map(path => [realpathSync(path), path])).values()].toReversed().map(path => ({ name, path }));
}

/**
 * The programs that bkp would start, as they are found on PATH and in `dirs`; those that are missing are left out.
 * @param dirs directories of PostgreSQL's programs beside PATH
 */
export async function toolsFound(run: Runner, dirs: readonly string[]): Promise<Tool[]> {
  const places = Object.keys(ASK).flatMap(name => placesOf(run, name, dirs));
  return Promise.all(places.map(({ name, path }) => asked(run, name, path)));
}
