import type { Tablespace, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { PostgresConfig } from './config.ts';
import { literal, sqlJson } from './sql.ts';

/** What a running server says of itself, as a plain REPLICATION role may see it (tried on 15.20 and 18.6). */
export interface Live {
  systemIdentifier: string;
  versionNum: number;
  version: string;
  timeline: number;
  segmentBytes: number;
  inRecovery: boolean;
  /** Marker that a restore left in postgresql.auto.conf; null on a cluster that was never restored by us. */
  restored: string | null;
  walLevel: string;
  archiveMode: string;
  /** The first superuser that may log in, for the private server of a restore. */
  superuser: string;
  /** Those outside the data directory. */
  tablespaces: Tablespace[];
  /** Names of those made with allow_in_place_tablespaces, whose directories lie in pg_tblspc. */
  inPlace: string[];
  slot: { active: boolean; restartLsn: string | null; walStatus: string | null } | null;
}

export const slotName = (name: string): string => `bkp_${name.replaceAll('-', '_')}`;

/** Asks the server. Throws BkpError('failed') with libpq's reason when it does not answer. */
export const liveState = (ctx: TargetContext<PostgresConfig>): Promise<Live> =>
  sqlJson<Live>(
    ctx,
    `select json_build_object(
      'systemIdentifier', (select system_identifier::text from pg_control_system()),
      'versionNum', current_setting('server_version_num')::int,
      'version', current_setting('server_version'),
      'timeline', (select timeline_id from pg_control_checkpoint()),
      'segmentBytes', pg_size_bytes(current_setting('wal_segment_size')),
      'inRecovery', pg_is_in_recovery(),
      'restored', nullif(current_setting('bkp.restored', true), ''),
      'walLevel', current_setting('wal_level'),
      'archiveMode', current_setting('archive_mode'),
      'superuser', (select rolname from pg_roles where rolsuper order by rolcanlogin desc, oid limit 1),
      'tablespaces', (select coalesce(json_agg(json_build_object(
                        'oid', oid::text, 'name', spcname, 'location', pg_tablespace_location(oid)) order by oid), '[]')
                      from pg_tablespace where pg_tablespace_location(oid) like '/%'),
      'inPlace', (select coalesce(json_agg(spcname order by oid), '[]') from pg_tablespace where pg_tablespace_location(oid) like 'pg_tblspc/%'),
      'slot', (select json_build_object('active', active, 'restartLsn', restart_lsn::text, 'walStatus', wal_status)
               from pg_replication_slots where slot_name = ${literal(slotName(ctx.name))}))`,
  );

/**
 * A standby can lie behind by any time, and its slot does not move: what is backed up and streamed is the primary.
 * @throws BkpError('refused')
 */
export function refuseStandby(ctx: TargetContext<PostgresConfig>, live: Live): void {
  if (!live.inRecovery) return;
  throw new BkpError(
    'refused',
    `postgres/${ctx.name}: ${ctx.config.host}:${ctx.config.port} is a standby (it is in recovery), which may lag behind`,
    {
      next: 'name the primary as `host:`, or promote this one',
    },
  );
}
