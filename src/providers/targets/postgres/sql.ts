import type { Command, TargetContext } from '../../../core/contracts.ts';
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
});

export const psqlCommand = (ctx: TargetContext<PostgresConfig>, args: readonly string[], database?: string): Command => ({
  file: psqlPath(ctx),
  args: ['-X', '-A', '-t', '-q', '-w', '-v', 'ON_ERROR_STOP=1', ...args],
  env: connectionEnv(ctx.config, database),
});

/** Runs one statement and returns what psql prints, unaligned and without headers. Throws BkpError('failed') with the server's reason. */
export async function sql(ctx: TargetContext<PostgresConfig>, statement: string, database?: string): Promise<string> {
  const { stdout } = await ctx.run.text(psqlCommand(ctx, ['-c', statement], database), { signal: ctx.signal });
  return stdout.trim();
}

/** What the walsender says of its system: id, timeline, position and database, joined by `|`. Only a replication connection can ask. */
export async function identifySystem(ctx: TargetContext<PostgresConfig>): Promise<string> {
  const { stdout } = await ctx.run.text(psqlCommand(ctx, ['-d', 'replication=true', '-c', 'IDENTIFY_SYSTEM']), { signal: ctx.signal });
  return stdout.trim();
}

/** Runs one statement that yields a single JSON value. */
export const sqlJson = async <T>(ctx: TargetContext<PostgresConfig>, statement: string, database?: string): Promise<T> =>
  JSON.parse(await sql(ctx, statement, database)) as T;

/** Quotes a text as an SQL literal. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
