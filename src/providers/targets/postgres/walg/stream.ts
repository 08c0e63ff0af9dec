import { walStores } from '../archive.ts';
import { lineageFor } from '../lineage.ts';
import { liveState, refuseStandby, slotName } from '../live.ts';
import { sql } from '../sql.ts';
import { settleLostSlot, supervise, whileReceiving } from '../supervise.ts';
import { Copier } from './copier.ts';
import { prefixOf } from './layout.ts';
import { type Context, environmentFor, program, who, words } from './program.ts';

const COPY_MS = 2000;
/** WAL-G ships whole segments only, so what is in an open one is nowhere else yet: that is said, with the setting that bounds it. */
async function tellRpo(ctx: Context): Promise<void> {
  const timeout = Number(await sql(ctx, "select setting from pg_settings where name = 'archive_timeout'"));
  const bound =
    timeout > 0
      ? `${timeout} s (archive_timeout) and the time of an upload can be lost`
      : 'everything since the last whole segment can be lost, however old';
  ctx.report.emit({
    type: timeout > 0 ? 'note' : 'warning',
    text: `WAL-G ships whole segments only: with the server, ${bound}${timeout > 0 ? '' : "; ALTER SYSTEM SET archive_timeout = '1min' bounds it"}`,
  });
}

/** One run of `wal-g wal-receive` into the first WAL store, until it ends or the signal fires. @returns its last words */
async function session(ctx: Context, newLineage: boolean, copiers: Map<string, Copier>, ready: () => void): Promise<string[]> {
  const live = await liveState(ctx);
  refuseStandby(ctx, live);
  await settleLostSlot(ctx, live, newLineage);
  const lineage = await lineageFor(ctx, live, newLineage);
  const [store] = walStores(ctx);
  const env = await environmentFor(ctx, store!, prefixOf(ctx, lineage), { server: true, segmentBytes: live.segmentBytes });
  await tellRpo(ctx);
  const copier = copiers.get(lineage) ?? new Copier(ctx, lineage);
  copiers.set(lineage, copier);
  const child = ctx.run.start(
    {
      file: program(ctx),
      args: ['wal-receive'],
      env: { ...env, WALG_SLOTNAME: slotName(ctx.name), PGAPPNAME: 'bkp' },
    },
    { tied: 'SIGKILL' },
  );
  ready();
  return whileReceiving(ctx, child, { everyMs: COPY_MS, signal: 'SIGTERM' }, () => copier.round());
}

/**
 * Supervises `wal-g wal-receive` until `ctx.signal` fires: begins it again whenever it ends, and copies what it stored to the other stores.
 * @throws BkpError for what waiting cannot mend: a foreign cluster, a lost slot
 */
export async function stream(ctx: Context, options: { newLineage: boolean }): Promise<void> {
  let { newLineage } = options;
  const copiers = new Map<string, Copier>();
  await supervise(ctx, `stream ${who(ctx)} by wal-g wal-receive`, async ready => {
    const lines = await session(ctx, newLineage, copiers, () => {
      newLineage = false;
      ready();
    });
    return `wal-g wal-receive ended: ${words(lines)}`;
  });
}
