import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverAccount } from './account.ts';
import { childrenOf, isAlive, run } from './child.ts';
import { newCluster } from './cluster.ts';
import { guarded } from './guard.ts';
import { binDir, type PostgresVersion } from './places.ts';
import { removeTemp, tempDir } from './temp.ts';
import { freePort, waitFor } from './wait.ts';

/** The least role that bkp needs, with the password that the rig gives it. */
const ROLE = { user: 'bkp', password: 'it\'s a test: $HOME "quoted"' };

const HBA = [
  'local all all trust',
  'local replication all trust',
  'host postgres bkp 127.0.0.1/32 scram-sha-256',
  'host replication bkp 127.0.0.1/32 scram-sha-256',
  '',
].join('\n');

const SETTINGS: Record<string, string> = {
  fsync: 'off',
  shared_buffers: '32MB',
  max_wal_senders: '10',
  max_replication_slots: '10',
  password_encryption: 'scram-sha-256',
  log_line_prefix: '%m [%p] ',
};

export interface PostgresOptions {
  version: PostgresVersion;
  /** An existing data directory (a restored one, say) to serve in place of a new cluster; `destroy` leaves it alone. */
  dir?: string;
  /** postgresql.conf, beyond or instead of the rig's own. */
  settings?: Record<string, string>;
  /** More arguments for initdb, e.g. `--wal-segsize=1`. */
  initdb?: readonly string[];
}

export type StopMode = 'smart' | 'fast' | 'immediate';

const STOP_SIGNAL = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

const running = new Set<Postgres>();

const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** A real PostgreSQL on a free loopback port, under an unprivileged account, in a directory of its own. */
export class Postgres {
  readonly host = '127.0.0.1';
  readonly superuser = 'postgres';
  /** The role `bkp`: REPLICATION LOGIN, nothing more. */
  readonly role = ROLE;
  readonly version: PostgresVersion;
  /** Directory of this version's programs. */
  readonly bin: string;
  readonly home: string;
  readonly dataDir: string;
  /** Directory of the private socket, where every role is trusted. */
  readonly socketDir: string;
  readonly port: number;
  readonly #ownData: boolean;
  #child: ChildProcess | undefined;

  constructor(version: PostgresVersion, port: number, dir?: string) {
    this.version = version;
    this.bin = binDir(version);
    this.port = port;
    this.home = tempDir({ forServer: true });
    this.socketDir = join(this.home, 's');
    this.dataDir = dir ?? join(this.home, 'data');
    this.#ownData = dir === undefined;
    mkdirSync(this.socketDir);
    chmodSync(this.socketDir, 0o755);
    const account = serverAccount();
    if (account) chownSync(this.socketDir, account.uid, account.gid);
    running.add(this);
  }

  /** Path of one of this version's programs. */
  tool(name: string): string {
    return join(this.bin, name);
  }

  /** What the server wrote to its log. */
  log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  get #logFile(): string {
    return join(this.home, 'server.log');
  }

  /** The postmaster's process id, or undefined while it is stopped. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Environment with which libpq programs reach this server as the superuser over the private socket. */
  get superEnv(): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      LC_ALL: 'C.UTF-8',
      PGHOST: this.socketDir,
      PGPORT: String(this.port),
      PGUSER: this.superuser,
    };
  }

  /** Runs a program as the account that owns the server's files. */
  asServer(file: string, args: readonly string[], options: { input?: string } = {}) {
    return run(file, args, { ...options, ...serverAccount(), cwd: this.home, env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8' } });
  }

  /** Runs SQL as the superuser; returns psql's unaligned output, fields separated by `|`, without the last newline. @throws on any SQL error */
  async sql(text: string, db = 'postgres'): Promise<string> {
    const args = ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', db, '-f', '-'];
    const { stdout } = await run(this.tool('psql'), args, { env: this.superEnv, input: text });
    return stdout.replace(/\n$/, '');
  }

  /** Like `sql`, split into rows and fields; fields must hold neither newline nor tab. */
  async rows(text: string, db = 'postgres'): Promise<string[][]> {
    const args = ['-XqAt', '-F', '\t', '-v', 'ON_ERROR_STOP=1', '-d', db, '-f', '-'];
    const { stdout } = await run(this.tool('psql'), args, { env: this.superEnv, input: text });
    return stdout === ''
      ? []
      : stdout
          .replace(/\n$/, '')
          .split('\n')
          .map(row => row.split('\t'));
  }

  /** Makes the cluster's files: initdb's, the rig's hba and settings. Every cluster has a system identifier of its own. */
  async create(settings: Record<string, string>, initdb: readonly string[]): Promise<void> {
    await newCluster(this.version, this.dataDir, initdb);
    writeFileSync(join(this.dataDir, 'pg_hba.conf'), HBA);
    this.configure({ ...SETTINGS, ...settings });
  }

  /** Appends to postgresql.conf; takes effect at the next start (or `select pg_reload_conf()`). */
  configure(settings: Record<string, string>): void {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoted(value)}\n`);
    appendFileSync(join(this.dataDir, 'postgresql.conf'), lines.join(''));
  }

  /** Starts the server and waits until it answers. @throws with the end of its log when it ends instead */
  async start(): Promise<void> {
    const log = openSync(this.#logFile, 'a');
    const where = ['-p', String(this.port), '-c', `listen_addresses=${this.host}`, '-c', `unix_socket_directories=${this.socketDir}`];
    const child = spawn(this.tool('postgres'), ['-D', this.dataDir, ...where], {
      ...serverAccount(),
      cwd: this.home,
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', TZ: 'UTC' },
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
    await this.#untilReady(child);
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const ended = () => child.exitCode !== null || child.signalCode !== null;
    const answers = () =>
      this.sql('select 1').then(
        () => true,
        () => false,
      );
    await waitFor(async () => ended() || (await answers()), `PostgreSQL ${this.version} to answer`);
    if (ended()) throw new Error(`PostgreSQL ${this.version} ended at its start:\n${this.log().split('\n').slice(-15).join('\n')}`);
  }

  /** Stops the server and waits until every process of it is gone; does nothing when it is stopped. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    await this.#end(STOP_SIGNAL[mode]);
  }

  /** Ends postmaster and backends at once, as a machine that loses its memory does. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    const all = [pid, ...childrenOf(pid)];
    for (const one of signal === 'SIGKILL' ? all : [pid]) if (isAlive(one)) process.kill(one, signal);
    await waitFor(() => !all.some(isAlive) && this.#child === undefined, `PostgreSQL ${this.version} to stop`);
  }

  /** Stops (fast) and starts again, on the same port. */
  async restart(): Promise<void> {
    await this.stop('fast');
    await this.start();
  }

  /** Removes the data directory of a stopped or killed server: the disk is gone. */
  loseDisk(): void {
    if (this.#child) throw new Error('the server still runs: stop or kill9 it first');
    rmSync(this.dataDir, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Stops the server at once and removes everything of it (a data directory handed in stays). */
  async destroy(): Promise<void> {
    await this.stop('immediate');
    running.delete(this);
    removeTemp(this.home);
  }

  /** Environment for bkp with a config made of `entry`. */
  get bkpEnv(): Record<string, string> {
    return { APP_PGPASSWORD: this.role.password };
  }

  /** The entry `postgres.<name>` of a config for this server; the password comes from the environment variable APP_PGPASSWORD. */
  entry(more: Record<string, unknown> = {}): Record<string, unknown> {
    const where = { engine: 'native', host: this.host, port: this.port, user: this.role.user, password: '${APP_PGPASSWORD}' };
    return { ...where, bin: [this.bin], ...(this.#ownData ? { dataDir: this.dataDir } : {}), ...more };
  }
}

/** Starts a PostgreSQL: a new cluster with the role `bkp`, or the one in `dir` as it is. */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const server = new Postgres(options.version, await freePort(), options.dir);
  if (options.dir === undefined) await server.create(options.settings ?? {}, options.initdb ?? []);
  else if (options.settings) server.configure(options.settings);
  await server.start();
  if (options.dir === undefined) {
    await server.sql(`create role ${ROLE.user} replication login password ${quoted(ROLE.password)}`);
  }
  return server;
}

/** Destroys every server that this process started. */
export async function destroyAll(): Promise<void> {
  for (const server of [...running]) await server.destroy();
}
