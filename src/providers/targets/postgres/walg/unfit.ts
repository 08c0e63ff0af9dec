import { BkpError } from '../../../../core/errors.ts';
import type { Live } from '../live.ts';
import { type Context, who } from './program.ts';

/**
 * What WAL-G would back up and bkp could not bring back: without WAL to roll it forward, or with tablespaces, which WAL-G puts back where they
 * were, over those of a server that still runs.
 * @throws BkpError('refused')
 */
export function refuseUnfit(ctx: Context, live: Live): void {
  if (live.walLevel === 'minimal')
    throw new BkpError('refused', `${who(ctx)}: wal_level is minimal, from which no backup can be rolled forward`, {
      next: "ALTER SYSTEM SET wal_level = 'replica'; then restart the server",
    });
  if (live.tablespaces.length > 0)
    throw new BkpError(
      'refused',
      `${who(ctx)} has tablespaces outside its data directory (${live.tablespaces.map(({ name }) => name).join(', ')}), which engine wal-g does not back up yet`,
      { next: '`engine: native` backs them up; or move their tables into pg_default' },
    );
}
