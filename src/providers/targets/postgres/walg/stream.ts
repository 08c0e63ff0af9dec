import { BkpError, sentence } from '../../../../core/errors.ts';
import { walStores } from '../archive.ts';
import { lineageFor } from '../lineage.ts';
import { liveState, refuseStandby, slotName } from '../live.ts';
import { sql } from '../sql.ts';
import { Copier } from './copier.ts';
import { prefixOf } from './layout.ts';
import { type Context, environmentFor, program, who, words } from './program.ts';

const COPY_MS = 2000;
const RETRY_MS = [1000, 2000, 5000, 10_000, 30_000];

const isFinal = (error: unknown): boolean => error instanceof BkpError && ['refused', 'conflict', 'usage', 'notFound'].includes(error.exit);

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
  if (live.slot?.walStatus === 'lost' && !newLineage)
    throw new BkpError(
      'refused',
      `${who(ctx)}: the server gave up our slot (max_slot_wal_keep_size was reached): WAL that was in no store is gone`,
      {
        next: ['bkp stream postgres --new-lineage declares the gap and goes on', 'take a new base right after: bkp backup postgres'],
      },
    );
  const lineage = await lineageFor(ctx, live, newLineage);
  const [store] = walStores(ctx);
  const env = await environmentFor(ctx, store!, prefixOf(ctx, lineage), { server: true, segmentBytes: live.segmentBytes });
  await tellRpo(ctx);
  const copier = copiers.get(lineage) ?? new Copier(ctx, lineage);
  copiers.set(lineage, copier);
  await copier.round();
  const child = ctx.run.start({
    file: program(ctx),
    args: ['wal-receive'],
    env: { ...env, WALG_SLOTNAME: slotName(ctx.name), PGAPPNAME: 'bkp' },
  });
  const lines: string[] = [];
  const listening = (async () => {
    for await (const line of child.lines()) if (lines.push(line) > 100) lines.shift();
  })();
  let running = true;
  const ended = child.ended.finally(() => {
    running = false;
  });
  ended.catch(() => {});
  ready();
  try {
    while (running && !ctx.signal.aborted) {
      await Promise.race([ctx.clock.sleep(COPY_MS, ctx.signal).catch(() => {}), ended.catch(() => {})]);
      await copier.round();
    }
  } finally {
    child.kill('SIGTERM');
    await ended;
    await listening;
  }
  await copier.round();
  return lines;
}

/**
 * Supervises `wal-g wal-receive` until `ctx.signal` fires: begins it again whenever it ends, and copies what it stored to the other stores.
 * @throws BkpError for what waiting cannot mend: a foreign cluster, a lost slot
 */
export async function stream(ctx: Context, options: { newLineage: boolean }): Promise<void> {
  let { newLineage } = options;
  let failures = 0;
  const copiers = new Map<string, Copier>();
  while (!ctx.signal.aborted) {
    try {
      const began = ctx.clock.now().getTime();
      const lines = await session(ctx, newLineage, copiers, () => {
        newLineage = false;
        ctx.report.emit({ type: 'started', what: `stream ${who(ctx)} by wal-g wal-receive` });
      });
      if (ctx.signal.aborted) return;
      if (ctx.clock.now().getTime() - began > 60_000) failures = 0;
      ctx.report.emit({ type: 'warning', text: `wal-g wal-receive ended: ${words(lines)}; beginning again` });
    } catch (error) {
      if (ctx.signal.aborted && !isFinal(error)) return;
      if (isFinal(error)) throw error;
      ctx.report.emit({ type: 'warning', text: `${sentence(error)}; trying again` });
    }
    const pause = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]!;
    failures += 1;
    await ctx.clock.sleep(pause, ctx.signal).catch(() => {});
  }
}
