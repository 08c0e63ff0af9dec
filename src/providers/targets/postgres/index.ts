import type { Target } from '../../../core/contracts.ts';
import { capture } from './capture.ts';
import { type PostgresConfig, postgresConfig } from './config.ts';
import { doctor } from './doctor.ts';
import { healWal } from './healWal.ts';
import { live } from './liveChecks.ts';
import { fetch, push } from './log.ts';
import { expired } from './logKeep.ts';
import { distance, state } from './logState.ts';
import { prove } from './prove.ts';
import { restore } from './restore.ts';
import { stream } from './stream.ts';
import { owns, verify } from './verify.ts';
import { windows } from './windows.ts';

/** PostgreSQL, engine `native`: pg_basebackup, pg_receivewal and a private server for recovery. */
export const postgres: Target<PostgresConfig> = {
  kind: 'postgres',
  config: postgresConfig,
  defaults: { schedule: '0 2 * * *', rpo: '15m', retention: { daily: 30, weekly: 12, monthly: 12, wal: '30d' } },
  doctor,
  capture,
  restore,
  log: { push, fetch, state, expired, distance },
  healLog: healWal,
  owns,
  verify,
  prove,
  windows,
  live,
  stream,
};
