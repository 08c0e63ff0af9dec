import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type Ended, type Running, run, start } from './child.ts';
import { imageStorage, root } from './places.ts';

export const IMAGE = 'localhost/bkp:test';
const SUDO = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
const names = new Set<string>();

const words = (...args: string[]): [string, string[]] => {
  const [file, ...rest] = [...SUDO, 'podman', ...imageStorage(), '--cgroup-manager', 'cgroupfs', '--runtime', 'runc', ...args];
  return [file!, rest];
};

/** Waits for the build that the set-up began in the background, or does it. @throws with the set-up's own words */
export async function imageReady(): Promise<void> {
  const setup = spawn('python3', [join(root, 'scripts/setup.py'), 'image'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const code = await new Promise(done => setup.once('exit', done));
  if (code !== 0) throw new Error('the image could not be built: the set-up says why, above');
}

/** podman with the flags that find the images of the tests, as a shell takes it. */
export const podmanLine = (): string => words().flat().join(' ');

/** podman, on the images of the tests. @throws when it fails */
export const podman = (...args: string[]): Promise<Ended> => run(...words(...args));

/** Hands directories, with what is in them, to an account: the one of the image is no user here. */
export async function givenTo(uid: number, ...dirs: string[]): Promise<void> {
  const [file, ...rest] = [...SUDO, 'chown', '-R', `${uid}:${uid}`, ...dirs];
  await run(file!, rest);
}

export interface Container {
  /** Directories of this host that it sees under the same path, e.g. stores, and others as `host:there`. */
  mounts?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Flags of `podman run`. */
  flags?: readonly string[];
  /** What runs instead of bkp. */
  entrypoint?: string;
  input?: string;
  /** uid and gid; the image's own unless set. */
  user?: number;
}

/** Runs the image as it is meant: read-only, nothing but what is mounted can be written. It is gone when it ends, after 5 minutes at most. */
export function startInImage(args: readonly string[], container: Container = {}): Running & { name: string } {
  const name = `bkp-test-${process.pid}-${names.size}`;
  names.add(name);
  const flags = [
    ...['--rm', '--name', name, '--timeout', '300', '--network', 'host', '--read-only', '--read-only-tmpfs=false'],
    ...['--user', `${container.user ?? 10001}:${container.user ?? 10001}`],
    ...['--ulimit', 'nofile=20000:20000', '--ulimit', 'nproc=10000:10000', '--cap-drop', 'all'],
    ...(container.mounts ?? []).flatMap(mount => ['-v', mount.includes(':') ? mount : `${mount}:${mount}`]),
    ...Object.entries(container.env ?? {}).flatMap(([key, value]) => ['-e', `${key}=${value}`]),
    ...(container.entrypoint ? ['--entrypoint', container.entrypoint] : []),
    ...(container.input === undefined ? [] : ['-i']),
    ...(container.flags ?? []),
  ];
  const child = start(...words('run', ...flags, IMAGE, ...args), container.input === undefined ? {} : { input: container.input });
  return { ...child, name };
}

/** The same, to its end. Any exit code is an answer. */
export const inImage = (args: readonly string[], container: Container = {}): Promise<Ended> => startInImage(args, container).ended;

/** Removes those that still run: for `afterAll`. */
export async function removeAllContainers(): Promise<void> {
  if (names.size > 0) await podman('rm', '--force', '--ignore', '--time', '0', ...names);
  names.clear();
}
