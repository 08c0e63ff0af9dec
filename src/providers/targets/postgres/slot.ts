import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { formatLsn } from '../../../core/postgres/lsn.ts';
import type { PostgresConfig } from './config.ts';
import { type Live, slotName } from './live.ts';
import { literal, psqlCommand, sql } from './sql.ts';

type Context = TargetContext<PostgresConfig>;

/** Creates the stream's slot, reserving WAL from now on. A REPLICATION role may. */
export const createSlot = (ctx: Context): Promise<string> =>
  sql(ctx, `select lsn from pg_create_physical_replication_slot(${literal(slotName(ctx.name))}, true)`);

export const dropSlot = (ctx: Context): Promise<string> => sql(ctx, `select pg_drop_replication_slot(${literal(slotName(ctx.name))})`);

/** Lets the server recycle WAL below `lsn`, which must be whole in enough stores. */
export const advanceSlot = (ctx: Context, lsn: bigint): Promise<string> =>
  sql(
    ctx,
    `select pg_replication_slot_advance(slot_name, least(${literal(formatLsn(lsn))}::pg_lsn, pg_current_wal_flush_lsn())) from pg_replication_slots
     where slot_name = ${literal(slotName(ctx.name))} and restart_lsn < ${literal(formatLsn(lsn))}::pg_lsn`,
  );

const IDLE = 'idle_replication_slot_timeout';

/** Milliseconds after which the server gives up a slot that nobody used; 0 = never, as before PostgreSQL 18. */
export const idleLimitMs = async (ctx: Context): Promise<number> =>
  1000 * Number((await sql(ctx, `select setting from pg_settings where name = '${IDLE}'`)) || 0);

/**
 * Uses the stream's slot where it is, once it was left alone for a quarter of the server's limit: no receiver holds it, and that of a quiet
 * database does not move for days. PostgreSQL 18 alone.
 */
export const keepAwake = (ctx: Context): Promise<string> =>
  sql(
    ctx,
    `select pg_replication_slot_advance(slot_name, restart_lsn) from pg_replication_slots, pg_settings
     where slot_name = ${literal(slotName(ctx.name))} and restart_lsn is not null and wal_status <> 'lost'
       and name = '${IDLE}' and setting::int > 0 and inactive_since < clock_timestamp() - make_interval(secs => setting::int / 4.0)`,
  );

/**
 * Keeps the server from recycling WAL during a base backup: the stream's slot does it where there is one, else a temporary slot
 * in a session of its own, which ends with the returned function (or with this process).
 */
export async function holdWal(ctx: Context, live: Live): Promise<() => Promise<void>> {
  if (live.slot?.restartLsn) return async () => {};
  const name = `bkp_base_${process.pid}_${ctx.clock.now().getTime()}`;
  const session = ctx.run.start(psqlCommand(ctx, []), { stdin: true });
  session.stdin?.write(`select 'held ' || slot_name from pg_create_physical_replication_slot(${literal(name)}, true, true);\n`);
  const lines: string[] = [];
  for await (const line of session.lines()) {
    lines.push(line);
    if (line.startsWith('held ')) {
      return async () => {
        session.stdin?.end('\\q\n');
        await session.ended;
      };
    }
  }
  throw new BkpError('failed', `postgres/${ctx.name}: WAL could not be held for the backup: ${lines.join(' ')}`, {
    next: 'bkp doctor postgres shows what the role lacks (max_replication_slots may be used up)',
  });
}
