import pMap from 'p-map';
import type { TargetContext } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import { baseline, INVALID } from './baseline.ts';
import type { PostgresConfig } from './config.ts';
import { askPrivate, databaseOf, type Private, privateEnv, privatePsql } from './private.ts';
import type { Rows } from './proveBaseline.ts';
import { enterBy, type Named, namedBy } from './sql.ts';

type Context = TargetContext<PostgresConfig>;

/** The questions that are put to a source at backup time, put to its copy: same words, another door. */
export function copyBaseline(ctx: Context, place: Private): Promise<Record<string, unknown>> {
  const config: PostgresConfig = {
    engine: 'native',
    host: place.dir,
    port: 5432,
    user: place.superuser,
    database: databaseOf(place),
    bin: ctx.config.bin,
    wal: {},
    checks: [],
  };
  const text: Context['run']['text'] = ({ env = {}, ...command }, options) => {
    const encoding = env['PGCLIENTENCODING'];
    const own = { ...privateEnv(place, env['PGDATABASE']), ...(encoding === undefined ? {} : { PGCLIENTENCODING: encoding }) };
    return ctx.run.text({ ...command, cwd: '/', env: own, ...(place.owner ?? {}) }, options);
  };
  return baseline({ ...ctx, config, run: { ...ctx.run, text } });
}

/** Runs a script in a database of the copy, whatever its name is. */
const inDatabase = async (ctx: Context, place: Private, { name, byOid }: Named, script: string): Promise<string> => {
  const psql = privatePsql(place, ['-f', '-'], byOid === undefined ? name : undefined);
  // Names are put back into the questions as they came.
  const command = { ...psql, env: { ...psql.env, PGCLIENTENCODING: 'SQL_ASCII' } };
  return (await ctx.run.text(command, { input: `${byOid === undefined ? '' : enterBy(byOid)}${script}`, signal: ctx.signal })).stdout;
};

const OWN = `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;

/**
 * A table that nobody may even read: a prepared transaction came along that changes it, or one was at it when the backup ended, which is for
 * ever so on a standby that replays no further (tried on 15 and 18).
 */
const SHUT = `exists (select from pg_locks l where l.granted and l.mode = 'AccessExclusiveLock'
  and l.database = (select oid from pg_database where datname = current_database())
  and (l.relation = c.oid or l.relation in (select indexrelid from pg_index where indrelid = c.oid)))`;

/** Counts table by table. Statistics do not come with a base backup, and unlogged and temporary tables come back empty. */
const COUNT = `
select format('select ''kept'', count(*), pg_relation_size(%s) from only %I.%I', c.oid, n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relispopulated and c.relpersistence = 'p' and ${OWN} and not ${SHUT} \\gexec
select 'lost', greatest(c.reltuples, 0)::bigint, (c.reltuples < 0)::int from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 'p' and n.nspname not in ('pg_catalog', 'information_schema');
select 'shut', greatest(c.reltuples, 0)::bigint, (c.reltuples < 0)::int from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence = 'p' and ${OWN} and ${SHUT};
`;

/** Rows and bytes of every table of one database of the copy. Throws BkpError('failed') naming what cannot be read. */
export async function rowsOf(ctx: Context, place: Private, database: Named): Promise<Rows> {
  const stdout = await inDatabase(ctx, place, database, COUNT);
  const rows: Rows = { kept: 0, bytes: 0, lost: 0, unknown: 0, shut: 0 };
  for (const line of stdout.trim().split('\n')) {
    const [what, count, other] = line.split('|');
    if (what === 'kept') Object.assign(rows, { kept: rows.kept + Number(count), bytes: rows.bytes + Number(other) });
    if (what === 'lost' || what === 'shut') rows.lost += Number(count);
    if (what === 'lost') rows.unknown += Number(other);
    if (what === 'shut') rows.shut += Number(other);
  }
  return rows;
}

const DRIFT = `
select 'its default', datcollversion, pg_database_collation_actual_version(oid) from pg_database
where datname = current_database() and datcollversion <> pg_database_collation_actual_version(oid)
union all
select collname, collversion, pg_collation_actual_version(oid) from pg_collation
where oid in (select unnest(indcollation) from pg_index) and collversion <> pg_collation_actual_version(oid)`;

/** Why the indexes of a database may be in another order than this host's libc or ICU would have them; undefined when they are not. */
async function driftOf(ctx: Context, place: Private, database: Named): Promise<string | undefined> {
  try {
    const [name, recorded, actual] = (await inDatabase(ctx, place, database, `${DRIFT};\n`)).trim().split('\n')[0]!.split('|');
    return name ? `collation ${name} is of version ${recorded} in database "${database.name}", and of ${actual} on this host` : undefined;
  } catch (error) {
    ctx.signal.throwIfAborted();
    return `the collations of database "${database.name}" could not be compared: ${sentence(error)}`;
  }
}

/** What to type in each of those databases. */
export const REBUILD = 'REINDEX DATABASE …; ALTER DATABASE … REFRESH COLLATION VERSION';

/** Databases that are asked at once. */
const AT_ONCE = 4;

/** Why, by database, of those that can be entered; empty where this host sorts as the source did. Throws BkpError('failed') when it cannot ask. */
export async function driftsOf(ctx: Context, place: Private): Promise<Map<string, string>> {
  const asked = await pMap(await databasesOf(ctx, place), async database => [database.name, await driftOf(ctx, place, database)] as const, {
    concurrency: AT_ONCE,
  });
  return new Map(asked.filter((each): each is [string, string] => each[1] !== undefined));
}

const DATABASES = `select json_agg(json_build_object('name', datname, 'oid', oid::text, 'octets', octet_length(datname::text)) order by datname) from pg_database
where datallowconn and datconnlimit <> ${INVALID};`;

/** Databases of a copy that can be entered. */
async function databasesOf(ctx: Context, place: Private): Promise<Named[]> {
  const found = JSON.parse(await inDatabase(ctx, place, { name: databaseOf(place) }, DATABASES)) as {
    name: string;
    oid: string;
    octets: number;
  }[];
  return found.map(({ name, oid, octets }) => namedBy(name, oid, octets));
}

/** A prepared transaction can only be ended in its own database. */
const END_PREPARED = `select format('rollback prepared %L', gid) from pg_prepared_xacts where database = current_database() \\gexec
`;

/** How many prepared transactions came along: they hold their locks. Throws BkpError('failed'). */
export const preparedIn = async (ctx: Context, place: Private): Promise<number> =>
  Number(await askPrivate(ctx, place, 'select count(*) from pg_prepared_xacts'));

/**
 * Rolls back, in a copy that is thrown away, what stands prepared there, so that all of its tables can be read.
 * @returns how many these were. Throws BkpError('failed')
 */
export async function endPrepared(ctx: Context, place: Private): Promise<number> {
  const count = await preparedIn(ctx, place);
  if (count > 0) for (const database of await databasesOf(ctx, place)) await inDatabase(ctx, place, database, END_PREPARED);
  return count;
}
