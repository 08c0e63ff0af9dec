import { existsSync } from 'node:fs';
import { chown, copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import type { Child, Command, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { quoted, shellCommand, shellWord } from '../../../core/shell.ts';
import type { Owner } from '../../../flow/place.ts';
import type { PostgresConfig } from './config.ts';
import { feederPlaces } from './feeder.ts';
import type { Tools } from './tools.ts';
import { END_OF_WAL } from './wire.ts';

type Context = TargetContext<PostgresConfig>;

/** Where a private server lives: its data, and a directory of ours for socket, hba file and log. */
export interface Private {
  dataDir: string;
  dir: string;
  tools: Tools;
  owner: Owner | undefined;
  superuser: string;
  /** Where its questions are asked; default: postgres. */
  database?: string;
  /** What the source had, from pg_control, and the copy needs to replay or would lose; read by `prepare`. */
  source?: { maxPrepared: number; segmentBytes: number; commitTimes: string };
}

/** Reads what a private server has to be told of its own data, and writes the files that it needs beside it: own access rules, none of the source's. */
export async function prepare(ctx: Context, place: Private): Promise<void> {
  const control = await controlData(ctx, place);
  place.source = {
    maxPrepared: Number(control.get('max_prepared_xacts setting') ?? 0),
    segmentBytes: Number(control.get('Bytes per WAL segment')),
    commitTimes: control.get('track_commit_timestamp setting') ?? 'off',
  };
  const files: [string, string][] = [
    ['hba.conf', 'local all all trust\n'],
    ['ident.conf', ''],
    ['server.conf', ''],
  ];
  for (const [name, text] of files) {
    await writeFile(join(place.dir, name), text, { mode: 0o600 });
    if (place.owner) await chown(join(place.dir, name), place.owner.uid, place.owner.gid);
  }
}

/** MiB: PostgreSQL's default, or twice a segment, which is the least that it starts with. */
const leastWal = ({ source }: Private): number => Math.max(80, (2 * (source?.segmentBytes ?? 0)) / 2 ** 20);

/** MiB: what does not fit is written and read again while WAL is replayed. An eighth of what this host, or its container, has left. */
const buffers = (): number => Math.max(32, Math.min(1024, Math.floor(process.availableMemory() / 8 / 2 ** 20)));

/** The flags of a server that talks to nobody and changes nothing outside its data directory (each was tried). */
export const privateSettings = (place: Private): Record<string, string> => ({
  config_file: join(place.dir, 'server.conf'),
  hba_file: join(place.dir, 'hba.conf'),
  ident_file: join(place.dir, 'ident.conf'),
  external_pid_file: '',
  listen_addresses: '',
  unix_socket_directories: place.dir,
  unix_socket_group: '',
  unix_socket_permissions: '0700',
  port: '5432',
  archive_mode: 'off',
  archive_library: '',
  archive_cleanup_command: '',
  recovery_end_command: '',
  primary_conninfo: '',
  primary_slot_name: '',
  synchronous_standby_names: '',
  // A subscription of the copy would go on where the source's is: at the publisher, which then forgets what the source still needs.
  max_logical_replication_workers: '0',
  shared_preload_libraries: '',
  session_preload_libraries: '',
  local_preload_libraries: '',
  huge_pages: 'off',
  ssl: 'off',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '',
  log_min_messages: 'info',
  log_timezone: 'UTC',
  timezone: 'UTC',
  lc_messages: 'C',
  hot_standby: 'off',
  autovacuum: 'off',
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'replica',
  // At the end of recovery a server that does not track them removes those that are there.
  track_commit_timestamp: place.source?.commitTimes ?? 'off',
  max_prepared_transactions: String(place.source?.maxPrepared ?? 0),
  min_wal_size: `${leastWal(place)}MB`,
  max_wal_size: '4GB',
  shared_buffers: `${buffers()}MB`,
  min_dynamic_shared_memory: '0',
  ...plain(place.tools.major),
});

/**
 * What ALTER SYSTEM left is read from the copy's own postgresql.auto.conf, and what goes with it stood in a postgresql.conf that is not read here:
 * more reserved connections than there are, or what this host does not have, is the end of the server; a delay, which holds back what is
 * archived too, is waited for (tried on 15 and 18).
 */
const plain = (major: number): Record<string, string> => ({
  superuser_reserved_connections: '3',
  recovery_min_apply_delay: '0',
  max_stack_depth: '2MB',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  ...(major >= 16 ? { reserved_connections: '0' } : {}),
  ...(major >= 18 ? { io_method: 'worker' } : {}),
});

export const postgresCommand = (place: Private, settings: Readonly<Record<string, string>>): Command => ({
  file: place.tools.path('postgres'),
  args: ['-D', place.dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
  cwd: place.dataDir,
  ...(place.owner ?? {}),
});

const PROGRAM = ['./ready.js', '../../../../dist/ready.js'];

/** The built fetch program: beside this bundle, or in dist/ when run from the sources. */
const fetchProgram = (): string => {
  const found = PROGRAM.map(path => fileURLToPath(new URL(path, import.meta.url))).find(path => existsSync(path));
  if (!found)
    throw new BkpError('failed', 'dist/ready.js, the program that hands WAL to the private server, is missing', { next: 'npm run build' });
  return found;
};

/** PostgreSQL takes Node's own exit code 1 for the end of the WAL and would promote: whatever goes wrong has to end with 255. */
const STARTER = [
  'process.exitCode = 255;',
  "process.on('uncaughtException', error => { console.error(error.message); process.exit(255); });",
  "const { main } = await import('./ready.mjs');",
  'process.exitCode = await main(process.argv.slice(2));',
  '',
].join('\n');

/**
 * The restore_command: what lies ready is taken by the shell, and what no store has is told by it, which is a tenth of the time of a Node; all else
 * is asked for by a copy of the small fetch program, run by a Node that the server's user may execute. The one-file executable is both in one. A link
 * will do where there can be one: the server writes into a segment only once it has promoted, and then asks for none.
 * @throws BkpError('refused') when that user can execute neither
 */
export async function restoreCommand(ctx: Context, place: Private, socket: string): Promise<string> {
  const { ready, absent, taken } = feederPlaces(place.dir);
  const unlessAbsent = `[ -e ${shellWord(`${absent}/`)}"%f" ] && exit ${END_OF_WAL}`;
  const take = (how: string): string => `${how} ${shellWord(`${ready}/`)}"%f" "%p" 2>/dev/null`;
  const atOnce = `${unlessAbsent}; ${take('ln')} || ${take('cp')} && : > ${shellWord(`${taken}/`)}"%f"`;
  return `${atOnce} || ${shellCommand([...(await fetcher(ctx, place)), socket, '%f', '%p'])}`;
}

async function fetcher(ctx: Context, place: Private): Promise<string[]> {
  if (isSea()) return [await executable(ctx, place.owner, [process.execPath]), 'wal', 'fetch', '--ready'];
  const start = join(place.dir, 'fetch.mjs');
  await copyFile(fetchProgram(), join(place.dir, 'ready.mjs'));
  await writeFile(start, STARTER);
  if (place.owner) for (const file of [start, join(place.dir, 'ready.mjs')]) await chown(file, place.owner.uid, place.owner.gid);
  return [await executable(ctx, place.owner, [process.execPath, '/usr/bin/node', '/usr/local/bin/node']), start];
}

async function executable(ctx: Context, owner: Owner | undefined, files: readonly string[]): Promise<string> {
  for (const file of files) {
    const works = await ctx.run.text({ file, args: ['--version'], cwd: '/', ...(owner ?? {}) }).then(
      () => true,
      () => false,
    );
    if (works) return file;
  }
  const [what, next] = isSea()
    ? ['bkp cannot be run by uid', 'put it where every user can run it, such as /usr/local/bin']
    : ['no Node.js can be run by uid', 'install Node.js where every user can run it'];
  throw new BkpError(
    'refused',
    `postgres/${ctx.name}: ${what} ${owner?.uid}, which replays the WAL (${process.execPath} is not readable for it)`,
    { next: `${next}, or run bkp as the user that will own the data directory` },
  );
}

/** What was changed meanwhile is in no WAL. */
const BEHIND_MINIMAL = [
  'what came after that is brought back only by a backup that was taken later: bkp list postgres',
  'up to then: --target-time, with a time before the server ran with wal_level = minimal',
];

/**
 * Collects the server's log into `log` and resolves when it takes connections.
 * @throws BkpError('failed') with its last words when it ends before
 */
export function untilReady(child: Child, log: string[], onLine: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    (async () => {
      for await (const line of child.lines()) {
        log.push(line);
        onLine(line);
        if (/database system is ready to accept (?:read-only )?connections/.test(line)) resolve();
      }
      await child.ended;
      const words = log.filter(line => /FATAL|PANIC|ERROR|HINT|DETAIL/.test(line)).slice(-6);
      reject(
        new BkpError(
          'failed',
          `the private server ended before recovery was complete: ${(words.length > 0 ? words : log.slice(-4)).join(' | ')}`,
          { next: words.some(line => /wal_level="?minimal/.test(line)) ? BEHIND_MINIMAL : [] },
        ),
      );
    })().catch(reject);
  });
}

/**
 * Beats what roles and databases of the copy set for their sessions: no library, trigger, time limit or function of theirs gets in between.
 * A standby takes no serializable transaction.
 */
const sessionSettings = (major: number): Record<string, string> => ({
  role: 'none',
  default_transaction_isolation: 'read\\ committed',
  default_tablespace: '',
  default_table_access_method: 'heap',
  session_preload_libraries: '',
  local_preload_libraries: '',
  session_replication_role: 'replica',
  default_transaction_read_only: 'off',
  statement_timeout: '0',
  // Nobody else is there: what holds a lock came along, and would hold it for ever.
  lock_timeout: '60s',
  idle_session_timeout: '0',
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
  ...(major >= 17 ? { event_triggers: 'off', transaction_timeout: '0' } : {}),
});

type Settings = Readonly<Record<string, string>>;

/** For questions of ours: what the server has, before all that whoever owns a database put there under the same name. */
const OURS: Settings = { search_path: 'pg_catalog' };

/** The database of a private server by which it is entered: every cluster of initdb has that of the default. */
export const databaseOf = ({ database = 'postgres' }: Pick<Private, 'database'>): string => database;

/**
 * How libpq's programs reach a private server, and no other one: over its socket, as a superuser of the source.
 * @param settings of the session, beyond those of every one
 */
export const privateEnv = (place: Private, database = databaseOf(place), settings: Settings = OURS): Record<string, string> => ({
  PGHOST: place.dir,
  PGPORT: '5432',
  PGUSER: place.superuser,
  PGDATABASE: database,
  PGCLIENTENCODING: 'UTF8',
  PGOPTIONS: Object.entries({ ...sessionSettings(place.tools.major), ...settings })
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' '),
});

/** psql on a private server, unaligned and without headers, ending at the first error. */
export const privatePsql = (place: Private, args: readonly string[], database?: string, settings?: Settings): Command => ({
  file: place.tools.path('psql'),
  args: ['-X', '-A', '-t', '-q', '-w', '-v', 'ON_ERROR_STOP=1', ...args],
  cwd: '/',
  env: privateEnv(place, database, settings),
  ...(place.owner ?? {}),
});

/** Asks the private server: each statement is a transaction of its own. @returns what psql prints. Throws BkpError('failed'). */
export async function askPrivate(ctx: Context, place: Private, ...statements: readonly string[]): Promise<string> {
  const args = statements.flatMap(statement => ['-c', statement]);
  const { stdout } = await ctx.run.text(privatePsql(place, args), { signal: ctx.signal });
  return stdout.trim();
}

/** Fast shutdown, and its proof: pg_controldata says so. Throws BkpError('failed') otherwise. */
export async function stopClean(ctx: Context, place: Private, child: Child, wanted: 'shut down' | 'shut down in recovery'): Promise<void> {
  child.kill('SIGINT');
  const { code, signal } = await child.ended;
  const state = (await controlData(ctx, place)).get('Database cluster state');
  if (code !== 0 || state !== wanted) {
    throw new BkpError('failed', `the private server did not shut down clean (exit ${code ?? signal}, state "${state}")`);
  }
}

/** pg_controldata's lines by name. */
export async function controlData(
  ctx: Context,
  place: { dataDir: string; tools: Tools; owner: Owner | undefined },
): Promise<Map<string, string>> {
  const { stdout } = await ctx.run.text({
    file: place.tools.path('pg_controldata'),
    args: ['-D', place.dataDir],
    cwd: '/',
    ...(place.owner ?? {}),
  });
  return new Map(
    stdout
      .split('\n')
      .map(line => /^([^:]+):\s+(.*)$/.exec(line))
      .filter(match => match !== null)
      .map(match => [match[1]!, match[2]!]),
  );
}

/** Leaves the restored copy running on its private socket, by pg_ctl, which hands its options to a shell. */
export async function serve(ctx: Context, place: Private): Promise<void> {
  const settings = { ...privateSettings(place), hot_standby: 'on', autovacuum: 'on', fsync: 'on', full_page_writes: 'on' };
  const options = Object.entries(settings).map(([name, value]) => `-c ${quoted(`${name}=${value}`)}`);
  await ctx.run.text({
    file: place.tools.path('pg_ctl'),
    args: ['-D', place.dataDir, '-l', join(place.dir, 'server.log'), '-w', '-s', '-o', options.join(' '), 'start'],
    cwd: '/',
    ...(place.owner ?? {}),
  });
}
