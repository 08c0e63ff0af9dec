import type { TargetContext } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import { sqlJson } from './sql.ts';

type Context = TargetContext<PostgresConfig>;

interface Cluster {
  databases: { name: string; collation: string; collationVersion: string | null }[];
  roles: string[];
  /** Only a role with pg_read_all_settings sees it. */
  preload: string | null;
}

const cluster = (ctx: Context): Promise<Cluster> =>
  sqlJson(
    ctx,
    `select json_build_object(
      'databases', (select json_agg(json_build_object('name', datname, 'collation', datcollate, 'collationVersion', datcollversion) order by datname)
                    from pg_database where datallowconn and not datistemplate),
      'roles', (select json_agg(rolname order by rolname) from pg_roles where rolname !~ '^pg_'),
      'preload', (select setting from pg_settings where name = 'shared_preload_libraries'))`,
  );

const contents = (ctx: Context, database: string): Promise<unknown> =>
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
  const { databases, roles, preload } = await cluster(ctx);
  const seen: Record<string, unknown> = {};
  for (const { name, ...collation } of databases) {
    try {
      seen[name] = { ...collation, contents: await contents(ctx, name) };
    } catch (error) {
      ctx.signal.throwIfAborted();
      seen[name] = { ...collation, unseen: sentence(error).split('\n')[0] };
    }
  }
  return { databases: seen, roles, ...(preload === null ? {} : { preload }) };
}
