import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Ended, type Running, run as runProgram, start } from './child.ts';
import { guarded } from './guard.ts';
import { binDir } from './places.ts';
import { tempDir } from './temp.ts';
import { freePort, waitFor } from './wait.ts';

export type EtcdVersion = '3.4' | '3.6';

/** Directory of the programs of one version: Debian's, or the one that scripts/setup.py builds. @throws naming the set-up command */
export function etcdBin(version: EtcdVersion): string {
  const dir = version === '3.4' ? '/usr/bin' : resolve(binDir('18'), '../../../../etcd/bin');
  if (existsSync(join(dir, 'etcd'))) return dir;
  throw new Error(`etcd ${version} is not in ${dir}: run \`npm run setup\``);
}

export interface EtcdOptions {
  version?: EtcdVersion;
  /** A directory that a restore made; an empty one unless set. */
  dataDir?: string;
  /** Paths of PEM files; then it speaks TLS and wants client certificates of that authority. */
  tls?: { ca: string; cert: string; key: string };
  /** Bytes above which it takes no writes; its own 2 GiB unless set. */
  quota?: number;
}

const running = new Set<Running>();

/** An etcd of one member on loopback. */
export class Etcd {
  readonly version: EtcdVersion;
  readonly dataDir: string;
  readonly endpoint: string;
  readonly #peer: string;
  readonly #tls: EtcdOptions['tls'];
  readonly #quota: string[];
  #child: Running | undefined;

  constructor(options: EtcdOptions, port: number, peer: number) {
    this.version = options.version ?? '3.6';
    this.dataDir = options.dataDir ?? join(tempDir(), 'data');
    this.#tls = options.tls;
    this.#quota = options.quota === undefined ? [] : ['--quota-backend-bytes', String(options.quota)];
    this.endpoint = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`;
    this.#peer = `http://127.0.0.1:${peer}`;
  }

  /** Environment of etcdctl for it, without user. */
  get env(): Record<string, string> {
    const tls = this.#tls;
    return {
      ETCDCTL_API: '3',
      ETCDCTL_ENDPOINTS: this.endpoint,
      ...(tls ? { ETCDCTL_CACERT: tls.ca, ETCDCTL_CERT: tls.cert, ETCDCTL_KEY: tls.key } : {}),
    };
  }

  async start(): Promise<this> {
    const tls = this.#tls;
    const secure = tls ? ['--cert-file', tls.cert, '--key-file', tls.key, '--trusted-ca-file', tls.ca, '--client-cert-auth'] : [];
    const restored = existsSync(join(this.dataDir, 'member'));
    const peer = restored ? 'http://localhost:2380' : this.#peer;
    const urls = ['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint, '--listen-peer-urls', this.#peer];
    const cluster = ['--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`];
    const child = start(
      join(etcdBin(this.version), 'etcd'),
      ['--data-dir', this.dataDir, '--unsafe-no-fsync', ...urls, ...cluster, ...secure, ...this.#quota].filter(
        word => this.version === '3.6' || word !== '--unsafe-no-fsync',
      ),
      {
        env: { PATH: process.env['PATH'] ?? '' },
      },
    );
    this.#child = child;
    running.add(child);
    guarded.addPid(child.pid);
    child.process.once('exit', () => {
      guarded.dropPid(child.pid);
      running.delete(child);
    });
    await waitFor(
      async () => child.process.exitCode !== null || (await this.ctl(['endpoint', 'health'])).code === 0,
      `etcd ${this.version} at ${this.endpoint}`,
    );
    if (child.process.exitCode !== null) throw new Error(`etcd ended: ${child.output().stderr.slice(-2000)}`);
    return this;
  }

  /** Runs etcdctl of its version against it; any exit code is an answer. */
  ctl(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    return start(join(etcdBin(this.version), 'etcdctl'), args, { env: { PATH: process.env['PATH'] ?? '', ...this.env, ...env } }).ended;
  }

  /** Runs etcdctl. @returns its stdout. @throws when it fails */
  async ask(...args: string[]): Promise<string> {
    return (
      await runProgram(join(etcdBin(this.version), 'etcdctl'), args, { env: { PATH: process.env['PATH'] ?? '', ...this.env } })
    ).stdout.trim();
  }

  async stop(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#child?.ended;
    this.#child = undefined;
  }
}

/** Starts an etcd. @throws when it is not set up, or ends at its start */
export async function startEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const etcd = new Etcd(options, await freePort(), await freePort());
  if (!options.dataDir) mkdirSync(etcd.dataDir, { mode: 0o700 });
  return etcd.start();
}

/** Ends every etcd that this process started. */
export async function stopAllEtcd(): Promise<void> {
  for (const child of [...running]) {
    child.kill('SIGKILL');
    await child.ended;
  }
}
