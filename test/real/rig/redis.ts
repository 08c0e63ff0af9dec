import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isAlive, run } from './child.ts';
import { guarded } from './guard.ts';
import { redisServer, valkeyServer } from './places.ts';
import { removeTemp, tempDir } from './temp.ts';
import { freePort, waitFor } from './wait.ts';

export type RedisVersion = 'redis7' | 'valkey9';

export interface RedisOptions {
  version?: RedisVersion;
  /** An existing data directory (a restored one, say); `destroy` leaves it alone. The server runs as its owner. */
  dir?: string;
  /** Settings as arguments, e.g. `{ appendonly: 'yes' }`. */
  settings?: Record<string, string>;
  /** The data directory is a file system of its own, of so many MiB, which only this server sees. */
  diskMb?: number;
}

/** Replicas that gather first would cost each dump five seconds. */
const SETTINGS: Record<string, string> = { 'repl-diskless-sync-delay': '0', save: '', 'enable-debug-command': 'yes' };

const running = new Set<Redis>();

/** A command line that mounts a small file system over a directory, in a world of mounts of its own, and goes on as the program. */
function onSmallDisk(dir: string, mb: number, program: string, args: readonly string[]): [string, string[]] {
  const names = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user'];
  const script = 'mount -t tmpfs -o "size=$1m" tmpfs "$2" && shift 2 && exec "$@"';
  return ['unshare', [...names, 'sh', '-c', script, 'sh', String(mb), dir, program, ...args]];
}

/** A real Redis or Valkey on a free loopback port, in a directory of its own. */
export class Redis {
  readonly host = '127.0.0.1';
  readonly version: RedisVersion;
  readonly port: number;
  readonly home: string;
  readonly dir: string;
  settings: Record<string, string>;
  readonly #diskMb: number | undefined;
  #child: ChildProcess | undefined;

  constructor(port: number, { version = 'redis7', dir, settings = {}, diskMb }: RedisOptions) {
    this.#diskMb = diskMb;
    this.version = version;
    this.port = port;
    this.home = tempDir();
    this.dir = dir ?? join(this.home, 'data');
    if (dir === undefined) mkdirSync(this.dir);
    this.settings = { ...SETTINGS, ...settings };
    running.add(this);
  }

  get program(): string {
    return this.version === 'redis7' ? redisServer() : valkeyServer();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  log(): string {
    return readFileSync(join(this.home, 'server.log'), 'utf8');
  }

  /** Runs redis-cli against it; returns its output without the last newline. */
  async cli(...words: string[]): Promise<string> {
    const { stdout } = await run('redis-cli', ['-p', String(this.port), ...words], { env: { PATH: process.env['PATH'] ?? '' } });
    return stdout.replace(/\n$/, '');
  }

  /** One value of INFO. */
  async info(name: string): Promise<string | undefined> {
    return new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(await this.cli('INFO'))?.[1];
  }

  /** Waits until it answers and has loaded its data. @throws with the end of its log when it ends instead */
  async start(): Promise<void> {
    const { uid, gid } = statSync(this.dir);
    const log = openSync(join(this.home, 'server.log'), 'a');
    const settings = { port: String(this.port), bind: this.host, dir: this.dir, ...this.settings };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const [file, all] = this.#diskMb === undefined ? [this.program, args] : onSmallDisk(this.dir, this.#diskMb, this.program, args);
    const child = spawn(file, all, {
      uid,
      gid,
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '' },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    if (child.pid) guarded.addPid(child.pid);
    child.once('exit', () => {
      if (child.pid) guarded.dropPid(child.pid);
      if (this.#child === child) this.#child = undefined;
    });
    const ended = () => child.exitCode !== null || child.signalCode !== null;
    await waitFor(async () => ended() || (await this.info('loading')) === '0', `${this.version} to answer`);
    if (ended()) throw new Error(`${this.version} ended at its start:\n${this.log().split('\n').slice(-15).join('\n')}`);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    process.kill(pid, signal);
    await waitFor(() => !isAlive(pid) && this.#child === undefined, `${this.version} to stop`);
  }

  stop = (): Promise<void> => this.#end('SIGTERM');

  kill9 = (): Promise<void> => this.#end('SIGKILL');

  /** Stops and starts again, on the same port; `settings` are beside those before. */
  async restart(settings: Record<string, string> = {}): Promise<void> {
    await this.stop();
    this.settings = { ...this.settings, ...settings };
    await this.start();
  }

  async destroy(): Promise<void> {
    await this.kill9();
    running.delete(this);
    removeTemp(this.home);
  }

  /** The entry `redis.<name>` of a config for this server. */
  entry(more: Record<string, unknown> = {}): Record<string, unknown> {
    return { host: this.host, port: this.port, bin: [dirname(this.program)], ...more };
  }
}

/** Starts a server with an empty data directory, or on the one in `dir` as it is. */
export async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  const server = new Redis(await freePort(), options);
  await server.start();
  return server;
}

/** Destroys every server that this process started. */
export async function destroyAllRedis(): Promise<void> {
  for (const server of [...running]) await server.destroy();
}
