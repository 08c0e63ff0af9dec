import type { Target } from '../../../core/contracts.ts';
import { ahead } from './ahead.ts';
import { apartIn } from './apart.ts';
import { recordsOf, walStores } from './archive.ts';
import { type PostgresConfig, postgresConfig } from './config.ts';
import { coverage } from './coverage.ts';
import { doctor } from './doctor.ts';
import { engineOf } from './engine.ts';
import { fetch } from './fetch.ts';
import { healWal } from './healWal.ts';
import { marks } from './heartbeat.ts';
import { kit } from './kit.ts';
import { live } from './liveChecks.ts';
import { expired } from './logKeep.ts';
import { distance, state } from './logState.ts';
import { prove } from './prove.ts';
import { restore } from './restore.ts';
import { owns, verify } from './verify.ts';
import { guard, orphans } from './walg/keep.ts';
import { placesOf } from './walg/layout.ts';
import { walgProgram } from './walg/settings.ts';
import { windows } from './windows.ts';

/** PostgreSQL: backups by the engine of the entry, and a private server for recovery. */
export const postgres: Target<PostgresConfig> = {
  kind: 'postgres',
  config: postgresConfig,
  defaults: {
    schedule: '0 2 * * *',
    rpo: '15m',
    retention: { daily: 30, weekly: 12, monthly: 12, wal: '30d' },
    after: ['etcd', 'volumes'],
  },
  doctor,
  async *capture(ctx, options) {
    return yield* (await engineOf(ctx)).capture(ctx, options);
  },
  restore,
  log: {
    stores: walStores,
    push: async (ctx, ...file) => (await engineOf(ctx)).push(ctx, ...file),
    fetch,
    ahead,
    state,
    marks,
    expired,
    apart: apartIn,
    records: recordsOf,
    distance,
  },
  healLog: healWal,
  async *adopt(ctx, known) {
    if (ctx.config.engine === 'wal-g') yield* (await import('./walg/adopt.ts')).adopt(ctx, known);
  },
  places: placesOf,
  guard,
  orphans,
  owns,
  verify,
  prove,
  windows,
  coverage,
  live,
  stream: async (ctx, options) => (await engineOf(ctx)).stream(ctx, options),
  program: walgProgram,
  kit,
};
