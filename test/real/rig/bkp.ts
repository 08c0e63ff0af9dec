import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Ended, type Running, start } from './child.ts';
import { guarded } from './guard.ts';
import { node24, root } from './places.ts';
import { tempDir } from './temp.ts';

export interface BkpOptions {
  /** Added to a minimal environment (PATH, HOME, TMPDIR): nothing of the caller's PG* or BKP_* leaks in. */
  env?: Record<string, string>;
  cwd?: string;
  /** Path of a bkp.yaml; becomes BKP_CONFIG. */
  config?: string;
  input?: string;
}

const children = new Set<Running>();

/** One of each for all tests of a process: nothing of theirs stays in the cache or in the temporary files of the person who runs them. */
const own: Record<string, string> = {};
const ownDir = (name: string): string => {
  const dir = own[name];
  if (dir && existsSync(dir)) return dir;
  const made = tempDir();
  chmodSync(made, 0o1777);
  own[name] = made;
  return made;
};

const environment = (options: BkpOptions): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  HOME: process.env['HOME'] ?? '/',
  XDG_CACHE_HOME: ownDir('cache'),
  TMPDIR: ownDir('temp'),
  ...(options.config ? { BKP_CONFIG: options.config } : {}),
  ...options.env,
});

/** The built program and its arguments, as PostgreSQL or a test would start it. @throws when it is not built */
export function bkpCommand(args: readonly string[]): [string, string[]] {
  if (!existsSync(join(root, 'dist/main.js'))) throw new Error('dist/main.js is not there: run `npm run build`');
  return [node24(), [join(root, 'bin/bkp.js'), ...args]];
}

/** Starts the built bkp on Node 24 and leaves it running, e.g. `stream postgres`. `stopBkp` or `cleanUp` ends it. */
export function startBkp(args: readonly string[], options: BkpOptions = {}): Running {
  const [file, all] = bkpCommand(args);
  const child = start(file, all, {
    env: environment(options),
    cwd: options.cwd ?? root,
    ...(options.input === undefined ? {} : { input: options.input }),
  });
  children.add(child);
  guarded.addPid(child.pid);
  child.process.once('exit', () => {
    guarded.dropPid(child.pid);
    children.delete(child);
  });
  return child;
}

/** Runs the built bkp to its end. Any exit code is an answer; nothing is thrown for one. */
export const runBkp = (args: readonly string[], options: BkpOptions = {}): Promise<Ended> => startBkp(args, options).ended;

/** Signals a running bkp and waits for its end. */
export async function stopBkp(child: Running, signal: NodeJS.Signals = 'SIGINT'): Promise<Ended> {
  child.kill(signal);
  return child.ended;
}

/** Ends every bkp that still runs: asked first, so that it can end its own children, and killed after 5 s. */
export async function killAllBkp(): Promise<void> {
  await Promise.all(
    [...children].map(async child => {
      const late = setTimeout(() => child.kill('SIGKILL'), 5000);
      await stopBkp(child, 'SIGTERM');
      clearTimeout(late);
    }),
  );
}
