import type { Command, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import { psqlPath } from './tools.ts';

/** The session that holds WAL during a base backup says nothing for hours, and no function of whoever owns a database stands before the server's own. */
const PGOPTIONS = '-c statement_timeout=60000 -c idle_session_timeout=0 -c search_path=pg_catalog';

/** libpq's settings by environment: the password is in no argument list. */
export const connectionEnv = (config: PostgresConfig, database = config.database): Record<string, string> => ({
  PGHOST: config.host,
  PGPORT: String(config.port),
  PGUSER: config.user,
  PGDATABASE: database,
  PGCONNECT_TIMEOUT: '10',
  PGAPPNAME: 'bkp',
  PGCLIENTENCODING: 'UTF8',
  PGPASSFILE: '/dev/null',
  PGSERVICEFILE: '/dev/null',
  PGOPTIONS,
  ...(config.password === undefined ? {} : { PGPASSWORD: config.password }),
  ...(config.sslmode ? { PGSSLMODE: config.sslmode } : {}),
  ...(config.sslrootcert ? { PGSSLROOTCERT: config.sslrootcert } : {}),
  ...(config.sslcert ? { PGSSLCERT: config.sslcert } : {}),
  ...(config.sslkey ? { PGSSLKEY: config.sslkey } : {}),
});

export const psqlCommand = (ctx: TargetContext<PostgresConfig>, args: readonly string[], database?: string): Command => ({
  file: psqlPath(ctx),
  args: ['-X', '-A', '-t', '-q', '-w', '-v', 'ON_ERROR_STOP=1', ...args],
  env: connectionEnv(ctx.config, database),
});

const AWAY = /Connection refused|timeout expired|timed out|No route to host|Network is unreachable|could not translate host name/;
const NOT_YET = /the database system is (?:starting up|in recovery mode|shutting down|not yet accepting connections)/;

/** What to do about a server that does not answer, or not yet; undefined where it answered. */
export function howToReach({ host, port }: PostgresConfig, reason: string): string | undefined {
  if (NOT_YET.test(reason)) return 'wait until it is up; its log says what it is at';
  return AWAY.test(reason) ? `does it run and listen there? pg_isready -h ${host} -p ${port}; its log says why it ended` : undefined;
}

/** Runs psql and returns what it prints. Throws BkpError('failed') with the server's reason, and what to do where it does not answer. */
async function psql(ctx: TargetContext<PostgresConfig>, command: Command, options: { input?: string } = {}): Promise<string> {
  try {
    return (await ctx.run.text(command, { signal: ctx.signal, ...options })).stdout.trim();
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    const next = howToReach(ctx.config, error.message);
    if (!next) throw error;
    throw new BkpError(error.exit, error.message, { next: [...error.next, next], cause: error });
  }
}

/** Runs one statement and returns what psql prints, unaligned and without headers. Throws BkpError('failed') with the server's reason. */
export const sql = (ctx: TargetContext<PostgresConfig>, statement: string, database?: string): Promise<string> =>
  psql(ctx, psqlCommand(ctx, ['-c', statement], database));

/** What mends a server that takes no further connection for replication, none of its roles and rules being at fault. */
const moreSenders = async (ctx: TargetContext<PostgresConfig>): Promise<string[]> => [
  `SELECT application_name, client_addr FROM pg_stat_replication;   -- who takes them`,
  `ALTER SYSTEM SET max_wal_senders = ${Number(await sql(ctx, 'show max_wal_senders')) + 10};   -- then restart the server`,
];

/**
 * What the walsender says of its system: id, timeline, position and database, joined by `|`. Only a replication connection can ask.
 * @throws BkpError('failed') with the server's reason
 */
export async function identifySystem(ctx: TargetContext<PostgresConfig>): Promise<string> {
  try {
    return await psql(ctx, psqlCommand(ctx, ['-d', 'replication=true', '-c', 'IDENTIFY_SYSTEM']));
  } catch (error) {
    if (!/max_wal_senders/.test(sentence(error))) throw error;
    throw new BkpError('failed', sentence(error), { next: await moreSenders(ctx), cause: error });
  }
}

/** A database by its name as it can be shown, and by its number where that name would not lead into it. */
export interface Named {
  name: string;
  byOid?: string | undefined;
}

const APOSTROPHE = 'chr(39)';
const BACKSLASH = 'chr(92)';

/**
 * What leads psql, which reads it from its standard input, into a database by its number. A name is bytes in the encoding of whoever gave it,
 * and may be shown here as another one: such bytes go through no environment and no argument (tried on 15 and 18).
 */
export const enterBy = (oid: string): string =>
  [
    '\\encoding SQL_ASCII',
    `select 'dbname=' || ${APOSTROPHE} || replace(replace(datname, ${BACKSLASH}, ${BACKSLASH} || ${BACKSLASH}), ${APOSTROPHE}, ${BACKSLASH} || ${APOSTROPHE}) || ${APOSTROPHE} as bkp_into from pg_database where oid = ${oid} \\gset`,
    '\\connect -reuse-previous=on :"bkp_into"',
    '',
  ].join('\n');

/**
 * What psql shows of a name is what the server has only where it is the same bytes in every encoding: it leaves out what is none in its own.
 * @param octets bytes of the name at the server
 */
export const namedBy = (name: string, oid: string, octets: number): Named =>
  /^[\x20-\x7e]*$/.test(name) && name.length === octets ? { name } : { name, byOid: oid };

async function answer(ctx: TargetContext<PostgresConfig>, statement: string, into: Named | undefined, encoding: string): Promise<string> {
  const oid = into?.byOid;
  const command = oid === undefined ? psqlCommand(ctx, ['-c', statement], into?.name) : psqlCommand(ctx, ['-f', '-']);
  const there = { ...command, env: { ...command.env, PGCLIENTENCODING: encoding } };
  return psql(ctx, there, oid === undefined ? {} : { input: `${enterBy(oid)}${statement};\n` });
}

/** What the server refused, as psql ends then (1 for an argument, 3 for its input), and no connection that did not come about. */
const isRefusal = (error: unknown): boolean => error instanceof BkpError && /ended with exit code [13]\b/.test(sentence(error));

/**
 * Runs one statement that yields a single JSON value and changes nothing. Names that a server cannot say in UTF-8, as one of SQL_ASCII or of
 * another encoding may have them, come as they are, with U+FFFD for what is none (tried on 15 and 18).
 * @throws BkpError('failed') with the server's reason
 */
export async function sqlJson<T>(ctx: TargetContext<PostgresConfig>, statement: string, into?: Named): Promise<T> {
  const said = await answer(ctx, statement, into, 'UTF8').catch(async error => {
    if (!isRefusal(error)) throw error;
    return answer(ctx, statement, into, 'SQL_ASCII').catch(() => Promise.reject(error));
  });
  return JSON.parse(said) as T;
}

/** Quotes a text as an SQL literal. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
