import type { TargetContext } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import { type Named, namedBy, sqlJson } from './sql.ts';

type Context = TargetContext<PostgresConfig>;

/** The connection limit of a database that a DROP DATABASE was cut short on: nobody gets in any more (15.4, 16 and later). */
export const INVALID = -2;

interface Cluster {
  databases: { name: string; oid: string; octets: number; collation: string; collationVersion: string | null; invalid: boolean }[];
  roles: string[];
  /** Only a role with pg_read_all_settings sees it. */
  preload: string | null;
  /** Where extensions (18 and later) and libraries are looked for, for the same role. */
  controlPath: string | null;
  libraryPath: string | null;
}

const cluster = (ctx: Context): Promise<Cluster> =>
  sqlJson(
    ctx,
    `select json_build_object(
      'databases', (select json_agg(json_build_object('name', datname, 'oid', oid::text, 'octets', octet_length(datname::text), 'collation', datcollate,
                                     'collationVersion', datcollversion, 'invalid', datconnlimit = ${INVALID}) order by datname)
                    from pg_database where datallowconn and not datistemplate),
      'roles', (select json_agg(rolname order by rolname) from pg_roles where rolname !~ '^pg_'),
      'preload', (select setting from pg_settings where name = 'shared_preload_libraries'),
      'controlPath', (select setting from pg_settings where name = 'extension_control_path'),
      'libraryPath', (select setting from pg_settings where name = 'dynamic_library_path'))`,
  );

const contents = (ctx: Context, database: Named): Promise<unknown> =>
  sqlJson(
    ctx,
    `select json_build_object(
      'schemas', (select coalesce(json_agg(nspname order by nspname), '[]') from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
      'tables', (select count(*) from pg_class where relkind in ('r', 'p') and relnamespace in (select oid from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')),
      'liveRows', (select coalesce(sum(n_live_tup), 0) from pg_stat_user_tables),
      'extensions', (select json_object_agg(extname, extversion) from pg_extension))`,
    database,
  );

/** What a least-privilege role sees of the cluster, for a drill to compare with. A database that it may not enter is told so. */
export async function baseline(ctx: Context): Promise<Record<string, unknown>> {
  const { databases, roles, ...settings } = await cluster(ctx);
  const seen: Record<string, unknown> = {};
  for (const { name: shown, oid, octets, invalid, ...collation } of databases) {
    // Two names of which only what is no UTF-8 differs.
    const name = shown in seen ? `${shown} (oid ${oid})` : shown;
    const into = namedBy(shown, oid, octets);
    const known = { ...collation, ...(into.byOid === undefined ? {} : { oid }) };
    if (invalid) {
      seen[name] = { ...known, invalid, unseen: 'a DROP DATABASE of it was cut short' };
      continue;
    }
    try {
      seen[name] = { ...known, contents: await contents(ctx, into) };
    } catch (error) {
      ctx.signal.throwIfAborted();
      seen[name] = { ...known, unseen: sentence(error).split('\n')[0] };
    }
  }
  return { databases: seen, roles, ...Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null)) };
}
