import type { Check, TargetContext } from '../../../core/contracts.ts';
import type { PostgresConfig } from './config.ts';
import { type Live, slotName } from './live.ts';
import { literal, sqlJson } from './sql.ts';

type Context = TargetContext<PostgresConfig>;

interface Slots {
  most: number;
  used: string[];
  /** Those of others, to which nobody is connected, that hold back more than the server would keep by itself. */
  left: { name: string; retained: string }[];
}

const slotsOf = (ctx: Context): Promise<Slots> =>
  sqlJson(
    ctx,
    `with here as (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as lsn)
    select json_build_object(
      'most', current_setting('max_replication_slots')::int,
      'used', (select coalesce(json_agg(slot_name order by slot_name), '[]') from pg_replication_slots),
      'left', (select coalesce(json_agg(json_build_object('name', slot_name, 'retained', pg_size_pretty(lsn - restart_lsn)) order by slot_name), '[]')
        from pg_replication_slots, here where not active and slot_name <> ${literal(slotName(ctx.name))} and wal_status <> 'lost'
        and lsn - restart_lsn > pg_size_bytes(current_setting('max_wal_size'))))`,
  );

/** A stream makes a slot once, and a backup without one takes another while it runs. */
function room({ slot }: Live, { most, used }: Slots): Check {
  const name = 'replication slots';
  const text = `${used.length} of ${most} are in use`;
  if (slot?.restartLsn || used.length < most) return { name, state: 'ok', text };
  const by = used.length > 0 ? ` (${used.join(', ')})` : '';
  return {
    name,
    state: 'fail',
    text: `${text}${by}: neither bkp backup nor bkp stream gets one`,
    mend: [
      ...(used.length > 0 ? ["SELECT pg_drop_replication_slot('…');   -- of one that nobody comes back for"] : []),
      `ALTER SYSTEM SET max_replication_slots = ${most + 10};   -- then restart the server`,
    ].join('\n'),
  };
}

/** Whether a slot is left for a backup and a stream, and which ones of others fill the disk of the server. */
export async function slotRoom(ctx: Context, live: Live): Promise<Check[]> {
  const slots = await slotsOf(ctx);
  const left = slots.left.map(
    ({ name, retained }): Check => ({
      name: `slot ${name}`,
      state: 'warn',
      text: `nobody is connected to it, and it holds back ${retained} of WAL on the server, until the disk is full`,
      mend: `SELECT pg_drop_replication_slot('${name}');   -- where nobody comes back for it`,
    }),
  );
  return [room(live, slots), ...left];
}
