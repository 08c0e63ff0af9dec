import { parseDuration } from '../../../../core/duration.ts';
import { BkpError } from '../../../../core/errors.ts';
import { segmentAt, segmentName } from '../../../../core/postgres/lsn.ts';
import { holdingsOf } from '../archive.ts';
import type { Live } from '../live.ts';
import { shippingOf } from '../shipping.ts';
import type { WalgBackup } from './backups.ts';
import { type Context, walgOf, who } from './program.ts';

const ASK_MS = 500;

/** Names of the segments from the start of a backup to its end. */
export function segmentsOf({ timeline, from, to }: Pick<WalgBackup, 'timeline' | 'from' | 'to'>, segmentBytes: number): string[] {
  const first = segmentAt(from, segmentBytes);
  const last = segmentAt(to - 1n, segmentBytes);
  return Array.from({ length: last - first + 1 }, (_, n) => segmentName({ timeline, number: first + n }, segmentBytes));
}

/**
 * A backup of WAL-G has no WAL inside, so without an archive there is nothing to restore (PG16).
 * @throws BkpError('refused') when nothing archives, or the archiver fails
 */
export async function refuseUnarchived(ctx: Context, live: Live): Promise<void> {
  const { archiver } = await shippingOf(ctx);
  const next = [
    `ALTER SYSTEM SET archive_mode = 'on', archive_command = 'bkp wal push ${ctx.name} "%f" "%p"'; then restart the server`,
    `or: bkp stream postgres ${ctx.name}`,
  ];
  if (live.archiveMode !== 'off' && archiver.failing)
    throw new BkpError(
      'refused',
      `${who(ctx)}: archive_command fails at ${archiver.failedWal}, last at ${archiver.failedAt}, and a backup of WAL-G needs its WAL in the archive`,
      {
        next: "look into the server's log for the reason",
      },
    );
  const commanded = live.archiveMode !== 'off' && (archiver.command !== '' || archiver.library !== null);
  if (commanded || live.slot) return;
  throw new BkpError('refused', `${who(ctx)}: nothing archives its WAL, without which a backup of WAL-G cannot be restored`, { next });
}

/** What two names begin with: few are listed then, however long the archive is. */
function commonStart(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return a.slice(0, length);
}

/**
 * Waits until every segment from start to end of a backup is in a store of the WAL, for as long as `walg.idleTimeout` allows (PG20).
 * @throws BkpError('failed') naming the first one that did not come
 */
export async function untilArchived(ctx: Context, live: Live, lineage: string, backup: WalgBackup): Promise<void> {
  const wanted = segmentsOf(backup, live.segmentBytes);
  const until = ctx.clock.now().getTime() + parseDuration(walgOf(ctx).idleTimeout);
  for (;;) {
    const { copies } = await holdingsOf(ctx, lineage, commonStart(wanted[0]!, wanted.at(-1)!));
    const absent = wanted.find(name => !copies.has(name));
    if (absent === undefined) return;
    if (ctx.clock.now().getTime() > until)
      throw new BkpError(
        'failed',
        `${who(ctx)}: WAL ${absent} did not come into the archive in ${walgOf(ctx).idleTimeout}, and backup ${backup.name} cannot be restored without it`,
        {
          next: 'see whether archive_command or `bkp stream` works: bkp doctor postgres',
        },
      );
    await ctx.clock.sleep(ASK_MS, ctx.signal);
  }
}
