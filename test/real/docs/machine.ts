import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { childrenOf, type Ended, isAlive, type Running, run, start } from '../rig/child.ts';
import { guarded } from '../rig/guard.ts';
import { binDir, root } from '../rig/places.ts';
import { tempDir } from '../rig/temp.ts';
import { waitFor } from '../rig/wait.ts';

/**
 * Makes the machine and stays as its first process: this host's files with a layer in memory over them, so that a page may write to
 * /etc, /srv and /var/lib; nothing yet where bkp, PostgreSQL and people keep what is theirs; a network of its own, where $4 says so, on which every port is free. $1 = where, $2 =
 * the checkout, $3 = the cache of the set-up.
 */
const MAKE = `set -e
mount -t tmpfs machine "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay machine -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
r="$1/root"
mount -t proc proc "$r/proc"
mount --rbind /dev "$r/dev"
mount --rbind /sys "$r/sys"
mkdir -p "$r/opt/bkp" "$r$3"
mount --bind "$2" "$r/opt/bkp"
mount -o remount,bind,ro "$r/opt/bkp"
mount --bind "$3" "$r$3"
for dir in tmp var/tmp; do mount -t tmpfs -o mode=1777 machine "$r/$dir"; done
for dir in run srv mnt media root etc/bkp etc/postgresql var/lib/postgresql var/lib/bkp; do
  mkdir -p "$r/$dir"
  mount -t tmpfs -o mode=755 machine "$r/$dir"
done
chown postgres:postgres "$r/var/lib/postgresql" "$r/etc/postgresql"
[ -z "$4" ] || ip link set lo up
echo ready
exec chroot "$r" sh -c 'while read -r line; do :; done'
`;

const PROGRAM = '#!/bin/sh\nexec /opt/bkp/node_modules/node/bin/node /opt/bkp/bin/bkp.js "$@"\n';

const running = new Set<Machine>();

/** Environment of every command in there: nothing of the caller's. */
const ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8', TERM: 'xterm' };

/** A machine of one's own on this one: files, processes and network are private, and gone when it ends. It needs root. */
export class Machine {
  readonly #keeper: Running;
  readonly #init: number;
  readonly env: Record<string, string>;

  constructor(keeper: Running, init: number, env: Record<string, string>) {
    this.#keeper = keeper;
    this.#init = init;
    this.env = { ...ENV, ...env };
    running.add(this);
  }

  /** Where a path of the machine lies for this process. */
  at = (path: string): string => join(`/proc/${this.#init}/root`, path);

  exists = (path: string): boolean => existsSync(this.at(path));

  read = (path: string): string => readFileSync(this.at(path), 'utf8');

  /** Writes a file, and the directories above it. */
  write(path: string, text: string, mode = 0o644): void {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    writeFileSync(this.at(path), text);
    chmodSync(this.at(path), mode);
  }

  /** Copies a file or directory of this host into it. */
  take = (from: string, to: string): void => cpSync(from, this.at(to), { recursive: true });

  /** The command line that runs a program in there, with the environment of whoever starts it: in arguments others would see its secrets. */
  inside(file: string, args: readonly string[]): [string, string[]] {
    const into = ['--target', String(this.#init), '--mount', '--net', '--pid', '--root'];
    return ['nsenter', [...into, '/usr/bin/env', '--chdir=/root', file, ...args]];
  }

  /** Runs lines of bash as root, to their end. @throws with their words when one fails */
  sh(text: string, input?: string): Promise<Ended> {
    const [file, args] = this.inside('bash', ['-euo', 'pipefail', '-c', text]);
    return run(file, args, { env: this.env, ...(input === undefined ? {} : { input }) });
  }

  /** Starts lines of bash that go on, e.g. a server. They end with the machine. */
  start(text: string): Running {
    const [file, args] = this.inside('bash', ['-c', text]);
    return start(file, args, { env: this.env });
  }

  /** Ends every process in there at once; with them all of its files go. */
  async stop(): Promise<void> {
    if (!running.delete(this)) return;
    this.#keeper.kill('SIGKILL');
    await this.#keeper.ended;
    await waitFor(() => !isAlive(this.#init), 'the end of the machine');
    guarded.dropPid(this.#keeper.pid);
  }
}

/**
 * Starts a machine with the built bkp as /usr/bin/bkp.
 * @param env for every command in there
 * @param network `shared` = that of this host, where the servers of the tests listen
 * @throws when this host gives none
 */
export async function startMachine(env: Record<string, string> = {}, network: 'own' | 'shared' = 'own'): Promise<Machine> {
  const cache = resolve(binDir('18'), '../../../..');
  const own = network === 'own' ? ['--net'] : [];
  const spaces = ['--mount', ...own, '--pid', '--fork', '--kill-child', '--propagation', 'private'];
  const keeper = start('unshare', [...spaces, 'bash', '-c', MAKE, 'machine', tempDir(), root, cache, own[0] ?? ''], { keepInput: true });
  guarded.addPid(keeper.pid);
  const ended = (): boolean => keeper.process.exitCode !== null;
  await waitFor(() => ended() || keeper.output().stdout.includes('ready'), 'the machine', 10);
  if (ended()) throw new Error(`no machine of one's own (root and overlayfs are needed): ${keeper.output().stderr}`);
  const machine = new Machine(keeper, childrenOf(keeper.pid)[0]!, env);
  machine.write('/usr/bin/bkp', PROGRAM, 0o755);
  return machine;
}

/** Ends every machine that this process started: before `cleanUp`. */
export async function stopMachines(): Promise<void> {
  for (const machine of [...running]) await machine.stop();
}
