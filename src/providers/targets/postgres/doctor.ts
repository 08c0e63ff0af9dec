import { access, constants, stat } from 'node:fs/promises';
import type { Check, TargetContext } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import { knownLineages } from './lineage.ts';
import { type Live, liveState, slotName } from './live.ts';
import { identifySystem, literal, sql, sqlJson } from './sql.ts';
import { clientTools } from './tools.ts';

type Context = TargetContext<PostgresConfig>;

const role = (user: string): string => (/^[a-z_][a-z0-9_]*$/.test(user) ? user : `"${user.replaceAll('"', '""')}"`);

/** What to paste for the role and its access. */
const grants = ({ config }: Context): string =>
  [
    `SQL:          CREATE ROLE ${role(config.user)} WITH LOGIN REPLICATION PASSWORD '…';`,
    `pg_hba.conf:  host  replication         ${role(config.user)}  <address of this host>/32  scram-sha-256`,
    `pg_hba.conf:  host  ${config.database.padEnd(18)}  ${role(config.user)}  <address of this host>/32  scram-sha-256`,
    'SQL:          SELECT pg_reload_conf();',
  ].join('\n');

async function attempt(name: string, work: () => Promise<Check>, mend: string): Promise<Check> {
  try {
    return await work();
  } catch (error) {
    return { name, state: 'fail', text: sentence(error).split('\n')[0]!, mend };
  }
}

const replicates = (ctx: Context): Promise<Check> =>
  attempt(
    'replication role',
    async () => {
      const may = await sql(ctx, 'select rolreplication or rolsuper from pg_roles where rolname = current_user');
      if (may !== 't')
        return {
          name: 'replication role',
          state: 'fail',
          text: `${ctx.config.user} lacks REPLICATION`,
          mend: `ALTER ROLE ${role(ctx.config.user)} REPLICATION;`,
        };
      const line = await identifySystem(ctx);
      return { name: 'replication role', state: 'ok', text: `${ctx.config.user} may replicate (${line.split('|')[0]})` };
    },
    grants(ctx),
  );

function walLevel(live: Live): Check {
  const fit = live.walLevel !== 'minimal';
  return {
    name: 'wal_level',
    state: fit ? 'ok' : 'fail',
    text: live.walLevel,
    ...(fit ? {} : { mend: "ALTER SYSTEM SET wal_level = 'replica';   -- then restart the server" }),
  };
}

async function slotCheck(ctx: Context, live: Live): Promise<Check[]> {
  const keep = await sql(ctx, `select current_setting('max_slot_wal_keep_size')`);
  const limit: Check =
    keep === '-1'
      ? {
          name: 'max_slot_wal_keep_size',
          state: 'warn',
          text: 'unlimited: if streaming stops for long, WAL fills the disk of the server',
          mend: "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();",
        }
      : { name: 'max_slot_wal_keep_size', state: 'ok', text: keep };
  if (!live.slot)
    return [
      limit,
      {
        name: 'slot',
        state: 'warn',
        text: `${slotName(ctx.name)} does not exist: WAL is not streamed`,
        mend: `bkp stream postgres ${ctx.name}`,
      },
    ];
  const lost = live.slot.walStatus === 'lost';
  const behind = await sql(
    ctx,
    `select pg_size_pretty((case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end) - restart_lsn) from pg_replication_slots where slot_name = ${literal(slotName(ctx.name))}`,
  );
  return [
    limit,
    {
      name: 'slot',
      state: lost ? 'fail' : 'ok',
      text: `${slotName(ctx.name)} ${live.slot.walStatus}, ${behind} not yet stored`,
      ...(lost ? { mend: `bkp stream postgres ${ctx.name} --new-lineage, then bkp backup postgres ${ctx.name}` } : {}),
    },
  ];
}

/** Archiver state counts only where archiving is on: with streaming, archive_mode may be off (PG16). */
async function archiver(ctx: Context, live: Live): Promise<Check> {
  if (live.archiveMode === 'off')
    return {
      name: 'archiver',
      state: live.slot ? 'ok' : 'warn',
      text: `archive_mode is off${live.slot ? ', WAL is to be streamed' : ' and nothing streams: only whole backups can be restored'}`,
      ...(live.slot ? {} : { mend: `bkp stream postgres ${ctx.name}` }),
    };
  const seen = await sqlJson<{ failing: boolean; last: string | null; set: boolean }>(
    ctx,
    `select json_build_object(
      'set', current_setting('archive_command') <> '' or current_setting('archive_library', true) <> '',
      'failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false), 'last', last_failed_wal) from pg_stat_archiver`,
  );
  if (!seen.set)
    return {
      name: 'archiver',
      state: 'fail',
      text: `archive_mode is ${live.archiveMode} and archive_command is empty: WAL piles up on the server until its disk is full`,
      mend: `ALTER SYSTEM SET archive_command = 'bkp wal push ${ctx.name} "%f" "%p"'; SELECT pg_reload_conf();`,
    };
  if (seen.failing)
    return {
      name: 'archiver',
      state: 'fail',
      text: `archive_command fails at ${seen.last}`,
      mend: `look into the server's log; the command is: bkp wal push ${ctx.name} '%f' '%p'`,
    };
  return { name: 'archiver', state: 'ok', text: `archive_mode is ${live.archiveMode}` };
}

/** A slot alone ships nothing: somebody has to be connected. */
async function streaming(ctx: Context, live: Live): Promise<Check[]> {
  if (!live.slot) return [];
  const receivers = Number(
    await sql(ctx, "select count(*) from pg_stat_replication where application_name = 'bkp' and state = 'streaming'"),
  );
  if (receivers > 0) return [{ name: 'stream', state: 'ok', text: 'a receiver of bkp is connected' }];
  return [
    {
      name: 'stream',
      state: 'warn',
      text: 'nobody streams now, and WAL gathers on the server behind the slot',
      mend: `bkp stream postgres ${ctx.name}   # as a service`,
    },
  ];
}

/** `bkp backup` would refuse it; here nothing is recorded. */
const history = (ctx: Context, live: Live): Promise<Check> =>
  attempt(
    'identity',
    async () => {
      const known = [...(await knownLineages(ctx)).values()];
      const own = known.some(({ systemIdentifier }) => systemIdentifier === live.systemIdentifier);
      if (own || known.length === 0)
        return {
          name: 'identity',
          state: 'ok',
          text: known.length === 0 ? 'nothing is stored yet' : 'the stores hold backups of this very cluster',
        };
      const theirs = [...new Set(known.map(each => each.systemIdentifier))].join(', ');
      return {
        name: 'identity',
        state: 'fail',
        text: `the stores hold backups of cluster ${theirs}, and this is ${live.systemIdentifier}`,
        mend: `check host and port; if it was created anew on purpose: bkp backup postgres ${ctx.name} --new-lineage`,
      };
    },
    'bkp list postgres',
  );

async function spool(ctx: Context): Promise<Check> {
  const dir = ctx.config.spool;
  if (!dir)
    return {
      name: 'spool',
      state: 'warn',
      text: 'no `spool:` is set, so bkp stream cannot run',
      mend: `spool: /var/lib/bkp/spool   # in postgres/${ctx.name}`,
    };
  return attempt(
    'spool',
    async () => {
      if (!(await stat(dir)).isDirectory())
        return { name: 'spool', state: 'fail', text: `${dir} is no directory`, mend: 'name another one' };
      await access(dir, constants.W_OK | constants.X_OK);
      return { name: 'spool', state: 'ok', text: dir };
    },
    `mkdir -p ${dir}`,
  );
}

/** Every condition of backup, stream and restore of one cluster, each with what mends it. */
export async function* doctor(ctx: Context): AsyncIterable<Check> {
  let live: Live;
  try {
    live = await liveState(ctx);
  } catch (error) {
    yield { name: 'server', state: 'fail', text: sentence(error), mend: grants(ctx) };
    return;
  }
  yield {
    name: 'server',
    state: 'ok',
    text: `PostgreSQL ${live.version} at ${ctx.config.host}:${ctx.config.port}, system identifier ${live.systemIdentifier}`,
  };
  yield await attempt(
    'client programs',
    async () => ({
      name: 'client programs',
      state: 'ok',
      text: `PostgreSQL ${(await clientTools(ctx, Math.floor(live.versionNum / 10000))).major}`,
    }),
    'install the matching postgresql-client package',
  );
  yield await replicates(ctx);
  if (live.inRecovery)
    yield {
      name: 'standby',
      state: 'fail',
      text: 'the server is in recovery: it may lag behind, and bkp backs up and streams the primary',
      mend: `host: …   # of the primary, in postgres/${ctx.name}`,
    };
  yield await history(ctx, live);
  yield walLevel(live);
  if (live.tablespaces.length > 0)
    yield {
      name: 'tablespaces',
      state: 'fail',
      text: `${live.tablespaces.join(', ')} lie outside the data directory, and engine native does not back them up yet`,
      mend: 'ALTER TABLE … SET TABLESPACE pg_default;   -- or keep backing this cluster up by another tool',
    };
  yield* await slotCheck(ctx, live);
  yield* await streaming(ctx, live);
  yield await archiver(ctx, live);
  yield await spool(ctx);
}
