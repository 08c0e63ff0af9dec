import { access, constants, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { formatDuration } from '../../../core/age.ts';
import type { Check, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { pasted } from '../../../core/shell.ts';
import { walStores } from './archive.ts';
import type { PostgresConfig } from './config.ts';
import { chunkStore } from './flusher.ts';
import { identify } from './identity.ts';
import { incrementChecks } from './incrementDoctor.ts';
import { type Live, liveState } from './live.ts';
import { shippingChecks } from './liveChecks.ts';
import { shippingOf } from './shipping.ts';
import { idleLimitMs } from './slot.ts';
import { slotRoom } from './slotRoom.ts';
import { howToReach, identifySystem, sql } from './sql.ts';
import { clientTools } from './tools.ts';

type Context = TargetContext<PostgresConfig>;

const role = (user: string): string => (/^[a-z_][a-z0-9_]*$/.test(user) ? user : `"${user.replaceAll('"', '""')}"`);

/** What to paste for the role and its access. */
const grants = ({ config }: Context, why = ''): string => {
  const reach = howToReach(config, why);
  if (reach) return reach;
  if (why.includes(`database "${config.database}" does not exist`)) return `database: NAME   # one that is there, in the entry`;
  // libpq names where a FATAL came from only where code of the database raised it.
  if (/^CONTEXT: /m.test(why))
    return `an event trigger on login of database "${config.database}" does not let ${config.user} in (SELECT evtname FROM pg_event_trigger WHERE evtevent = 'login'): let it pass that role, or name another database in the entry`;
  if (/certificate|\bSSL\b|sslmode/.test(why))
    return `sslmode, sslrootcert, sslcert, sslkey: …   # in the entry; with verify-full \`host:\` is a name that the server's certificate has`;
  return [
    `SQL:          CREATE ROLE ${role(config.user)} WITH LOGIN REPLICATION PASSWORD '…';`,
    `pg_hba.conf:  host  replication         ${role(config.user)}  <address of this host>/32  scram-sha-256`,
    `pg_hba.conf:  host  ${config.database.padEnd(18)}  ${role(config.user)}  <address of this host>/32  scram-sha-256`,
    'SQL:          SELECT pg_reload_conf();',
  ].join('\n');
};

async function attempt(name: string, work: () => Promise<Check>, mend: string): Promise<Check> {
  try {
    return await work();
  } catch (error) {
    const told = error instanceof BkpError && error.next.length > 0 ? error.next.join('\n') : mend;
    return { name, state: 'fail', text: sentence(error).split('\n')[0]!, mend: told };
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

async function slotLimit(ctx: Context): Promise<Check> {
  const keep = await sql(ctx, `select current_setting('max_slot_wal_keep_size')`);
  if (keep !== '-1') return { name: 'max_slot_wal_keep_size', state: 'ok', text: keep };
  return {
    name: 'max_slot_wal_keep_size',
    state: 'warn',
    text: 'unlimited: if streaming stops for long, WAL fills the disk of the server',
    mend: "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();",
  };
}

/** While the stream runs it keeps its slot; while it is down nobody does. */
async function slotIdle(ctx: Context): Promise<Check[]> {
  const ms = await idleLimitMs(ctx);
  if (ms === 0) return [];
  const text = `${formatDuration(ms)}: a stream that is down for longer loses its slot, and the server what only that kept`;
  const mend = 'ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();';
  return [{ name: 'idle_replication_slot_timeout', state: 'warn', text, mend }];
}

/** A store that gets no open segment has what a quiet server wrote only once its segment is closed. */
async function archiveTimeout(ctx: Context): Promise<Check> {
  const name = 'archive_timeout';
  const seconds = Number(await sql(ctx, `select setting from pg_settings where name = '${name}'`));
  if (seconds > 0) return { name, state: 'ok', text: `${seconds} s` };
  const stores = walStores(ctx);
  const streams = ctx.config.spool !== undefined && ctx.config.wal.flush !== 'off';
  // A store that cannot be asked has a check of its own.
  const open = streams ? await chunkStore(stores).catch(() => undefined) : undefined;
  const whole = stores.filter(store => store !== open).map(store => store.name);
  if (whole.length === 0) return { name, state: 'ok', text: 'off, and the only store gets the open segment as it grows' };
  return {
    name,
    state: 'warn',
    text: `off: whole segments only go to ${whole.join(' and ')}, and a quiet server takes hours to fill one, heartbeats or not: there it will look late`,
    mend: "ALTER SYSTEM SET archive_timeout = '60s'; SELECT pg_reload_conf();",
  };
}

/** A directory, or the one above it in which it would be made. Throws what `stat` says of anything else. */
async function nearest(dir: string): Promise<string> {
  try {
    if ((await stat(dir)).isDirectory()) return dir;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return nearest(dirname(dir));
  }
  throw new Error(`${dir} is no directory`);
}

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
      const there = await nearest(dir);
      await access(there, constants.W_OK | constants.X_OK);
      return { name: 'spool', state: 'ok', text: there === dir ? dir : `${dir}, which the stream makes in ${there}` };
    },
    `mkdir -p ${pasted(dir)}`,
  );
}

/** Every condition of backup, stream and restore of one cluster, each with what mends it. */
export async function* doctor(ctx: Context): AsyncIterable<Check> {
  let live: Live;
  try {
    live = await liveState(ctx);
  } catch (error) {
    yield { name: 'server', state: 'fail', text: sentence(error), mend: grants(ctx, sentence(error)) };
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
  yield (await identify(ctx, live)).check;
  yield walLevel(live);
  if (live.tablespaces.length > 0 && ctx.config.engine === 'native')
    yield {
      name: 'tablespaces',
      state: 'warn',
      text: `${live.tablespaces.map(({ name }) => name).join(', ')} lie outside the data directory: each backup is written to ${tmpdir()} first, and a restore wants --tablespace OLD=NEW for each`,
      mend: '`temp:` in the config names a directory with room for the whole cluster',
    };
  if (live.inPlace.length > 0 && ctx.config.engine === 'native')
    yield {
      name: 'tablespaces',
      state: 'fail',
      text: `${live.inPlace.join(', ')} lies in pg_tblspc itself (allow_in_place_tablespaces): bkp backup refuses, since no base backup holds it`,
      mend: 'ALTER TABLE ALL IN TABLESPACE … SET TABLESPACE pg_default; DROP TABLESPACE …',
    };
  yield await slotLimit(ctx);
  yield* await slotIdle(ctx);
  if (ctx.config.engine === 'native') yield await archiveTimeout(ctx);
  yield* incrementChecks(ctx, live);
  yield* shippingChecks(ctx, live, await shippingOf(ctx));
  yield* await slotRoom(ctx, live);
  if (ctx.config.engine === 'wal-g') yield* (await import('./walg/doctor.ts')).walgChecks(ctx, live);
  else yield await spool(ctx);
}
