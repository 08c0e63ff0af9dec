import type { TargetContext } from '../../../core/contracts.ts';
import type { PostgresConfig } from './config.ts';
import { controlData, type Private } from './private.ts';
import { type Recovery, standBy } from './recover.ts';

type Context = TargetContext<PostgresConfig>;

/** A standby wants at least what its primary had, and pg_control says what that was (PostgreSQL 15 and 18). */
const LIKE_SOURCE = {
  max_connections: 'max_connections setting',
  max_worker_processes: 'max_worker_processes setting',
  max_wal_senders: 'max_wal_senders setting',
  max_locks_per_transaction: 'max_locks_per_xact setting',
};

async function settingsOf(ctx: Context, place: Private): Promise<Record<string, string>> {
  const control = await controlData(ctx, place);
  const known = Object.entries(LIKE_SOURCE).flatMap(([name, line]) => {
    const value = control.get(line);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(known);
}

/**
 * Looks at a copy as it was at the backup's own end, and leaves it as one that can be replayed further. It is down when this answers.
 * @param recovery to that end
 * @returns false when the copy let nobody in there: a transaction of that time had more than 64 subtransactions
 * @throws BkpError('failed') with the server's words; what `use` throws
 */
export const atOwnEnd = async (
  ctx: Context,
  place: Private,
  recovery: Recovery,
  settings: Readonly<Record<string, string>>,
  use: () => Promise<void>,
): Promise<boolean> => standBy(ctx, place, recovery, use, { ...settings, ...(await settingsOf(ctx, place)) });
