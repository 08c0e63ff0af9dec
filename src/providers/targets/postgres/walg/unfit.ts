import { BkpError } from '../../../../core/errors.ts';
import type { Live } from '../live.ts';
import { type Context, who } from './program.ts';

/**
 * What WAL-G would back up and bkp could not bring back: without WAL to roll it forward.
 * @throws BkpError('refused')
 */
export function refuseUnfit(ctx: Context, live: Live): void {
  if (live.walLevel === 'minimal')
    throw new BkpError('refused', `${who(ctx)}: wal_level is minimal, from which no backup can be rolled forward`, {
      next: "ALTER SYSTEM SET wal_level = 'replica'; then restart the server",
    });
}
