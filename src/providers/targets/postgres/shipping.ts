import type { Lsn, TargetContext } from '../../../core/contracts.ts';
import type { PostgresConfig } from './config.ts';
import { slotName } from './live.ts';
import { literal, sqlJson } from './sql.ts';

/** How WAL leaves a server just now, as a plain REPLICATION role may see it. Instants are ISO 8601 UTC. */
export interface Shipping {
  /** How far the WAL has got; on a standby, how far it is replayed. */
  position: Lsn;
  /** What our slot holds back, for people (`48 MB`); null without a slot, or when it holds nothing. */
  retained: string | null;
  /** Receivers of bkp that are connected now. */
  receivers: number;
  archiver: {
    /** archive_command; empty where a library does it, `(disabled)` where archive_mode is off. */
    command: string;
    library: string | null;
    /** The newest attempt failed. */
    failing: boolean;
    failedWal: string | null;
    failedAt: string | null;
    archivedWal: string | null;
    archivedAt: string | null;
  };
}

const utc = (column: string): string => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;

/**
 * Asks the server once. Our slot is never `active`: pg_receivewal runs without it, so a receiver is known by its application name. A role
 * without pg_read_all_stats sees no `state` in pg_stat_replication, not even of its own receiver, but its last command (15.20, 18.6).
 * Throws BkpError('failed') with libpq's reason when it does not answer.
 */
export const shippingOf = (ctx: TargetContext<PostgresConfig>): Promise<Shipping> =>
  sqlJson<Shipping>(
    ctx,
    `with here as (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as lsn)
    select json_build_object(
      'position', lsn::text,
      'retained', (select pg_size_pretty(lsn - restart_lsn) from pg_replication_slots where slot_name = ${literal(slotName(ctx.name))}),
      'receivers', (select count(*) from pg_stat_replication join pg_stat_activity using (pid)
        where pg_stat_activity.application_name = 'bkp'
          and coalesce(pg_stat_replication.state, case when query like 'BASE%' then 'backup' else 'streaming' end) = 'streaming'),
      'archiver', (select json_build_object(
        'command', current_setting('archive_command'),
        'library', nullif(current_setting('archive_library', true), ''),
        'failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
        'failedWal', last_failed_wal, 'failedAt', ${utc('last_failed_time')},
        'archivedWal', last_archived_wal, 'archivedAt', ${utc('last_archived_time')}) from pg_stat_archiver)) from here`,
  );
