import type { TargetContext } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import { baseline } from './baseline.ts';
import type { PostgresConfig } from './config.ts';
import { askPrivate, databaseOf, type Private, privateEnv, privatePsql } from './private.ts';
import type { Rows } from './proveBaseline.ts';

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
  const text: Context['run']['text'] = (command, options) =>
    ctx.run.text({ ...command, cwd: '/', env: privateEnv(place, command.env?.['PGDATABASE']), ...(place.owner ?? {}) }, options);
  return baseline({ ...ctx, config, run: { ...ctx.run, text } });
}

const OWN = `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;

/** Counts table by table. Statistics do not come with a base backup, and unlogged and temporary tables come back empty. */
const COUNT = `
select format('select ''kept'', count(*), pg_relation_size(%s) from only %I.%I', c.oid, n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relispopulated and c.relpersistence = 'p' and ${OWN} \\gexec
select 'lost', greatest(c.reltuples, 0)::bigint, (c.reltuples < 0)::int from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 'p' and n.nspname not in ('pg_catalog', 'information_schema');
`;

/** Rows and bytes of every table of one database of the copy. Throws BkpError('failed') naming what cannot be read. */
export async function rowsOf(ctx: Context, place: Private, database: string): Promise<Rows> {
  const { stdout } = await ctx.run.text(privatePsql(place, ['-f', '-'], database), { input: COUNT, signal: ctx.signal });
  const rows: Rows = { kept: 0, bytes: 0, lost: 0, unknown: 0 };
  for (const line of stdout.trim().split('\n')) {
    const [what, count, other] = line.split('|');
    if (what === 'kept') Object.assign(rows, { kept: rows.kept + Number(count), bytes: rows.bytes + Number(other) });
    if (what === 'lost') Object.assign(rows, { lost: rows.lost + Number(count), unknown: rows.unknown + Number(other) });
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
async function driftOf(ctx: Context, place: Private, database: string): Promise<string | undefined> {
  try {
    const { stdout } = await ctx.run.text(privatePsql(place, ['-c', DRIFT], database), { signal: ctx.signal });
    const [name, recorded, actual] = stdout.trim().split('\n')[0]!.split('|');
    return name ? `collation ${name} is of version ${recorded} in database "${database}", and of ${actual} on this host` : undefined;
  } catch (error) {
    ctx.signal.throwIfAborted();
    return `the collations of database "${database}" could not be compared: ${sentence(error)}`;
  }
}

/** What to type in each of those databases. */
export const REBUILD = 'REINDEX DATABASE …; ALTER DATABASE … REFRESH COLLATION VERSION';

/** Why, by database, of those that can be entered; empty where this host sorts as the source did. Throws BkpError('failed') when it cannot ask. */
export async function driftsOf(ctx: Context, place: Private): Promise<Map<string, string>> {
  const names = await askPrivate(ctx, place, 'select json_agg(datname order by datname) from pg_database where datallowconn');
  const found = new Map<string, string>();
  for (const name of JSON.parse(names) as string[]) {
    const why = await driftOf(ctx, place, name);
    if (why) found.set(name, why);
  }
  return found;
}
