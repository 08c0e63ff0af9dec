import type { Lsn, TargetContext } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import { parseLsn } from '../../../core/postgres/lsn.ts';
import type { PostgresConfig } from './config.ts';
import { newestHeartbeat } from './heartbeat.ts';

/** The newest heartbeat on record, and how many seconds of it and what came before are not in a restored copy. */
export interface Loss {
  at: string;
  lsn: Lsn;
  /** Absent where no commit was replayed, so that there is nothing to count from. */
  lostSeconds?: number;
}

/**
 * Measures a restore to the end of the WAL against what the stream had committed: by the record beside the WAL, not by the WAL itself. More may
 * have been committed after the last heartbeat. What cannot be read is told; the restore is none the worse.
 * @param reached the position at which recovery ended
 * @param commit time of the last commit that was replayed
 * @returns undefined where the lineage has no heartbeat
 */
export async function measureLoss(
  ctx: TargetContext<PostgresConfig>,
  lineage: string,
  reached: bigint,
  commit: Date | undefined,
): Promise<Loss | undefined> {
  try {
    const beat = await newestHeartbeat(ctx, lineage);
    if (!beat) return undefined;
    if (parseLsn(beat.lsn) < reached) return { at: beat.at, lsn: beat.lsn, lostSeconds: 0 };
    const lost = commit ? { lostSeconds: Math.max(0, (Date.parse(beat.at) - commit.getTime()) / 1000) } : {};
    const how = 'lostSeconds' in lost ? `: what was committed in the ${lost.lostSeconds.toFixed(1)} s before it is lost` : '';
    ctx.report.emit({ type: 'warning', text: `the heartbeat of ${beat.at} at ${beat.lsn} is not in what was restored${how}` });
    return { at: beat.at, lsn: beat.lsn, ...lost };
  } catch (error) {
    ctx.report.emit({ type: 'warning', text: `how much was lost could not be measured: ${sentence(error)}` });
    return undefined;
  }
}
