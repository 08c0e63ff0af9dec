import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { parseHistory, pathTo, type Stretch } from '../../../core/postgres/history.ts';
import { newestTimeline } from '../../../core/postgres/resume.ts';
import { putWal, sealWal, walStores } from './archive.ts';
import type { PostgresConfig } from './config.ts';
import { identifySystem, psqlCommand } from './sql.ts';

type Context = TargetContext<PostgresConfig>;

/**
 * The way by which a server came to its timeline, oldest first, from its own history file. The walsender is asked: right after a promotion
 * pg_control still names the old timeline (15 and 18). Throws BkpError('failed') with the server's reason.
 */
export async function serverPath(ctx: Context): Promise<Stretch[]> {
  const { timeline, text } = await serverHistory(ctx);
  return pathTo(timeline, new Map([[timeline, parseHistory(text)]]));
}

/** The server's present timeline and the text of its history file; empty on timeline 1, which has none. */
export async function serverHistory(ctx: Context): Promise<{ timeline: number; text: string }> {
  const timeline = Number((await identifySystem(ctx)).split('|')[1]);
  if (timeline === 1) return { timeline, text: '' };
  const asked = psqlCommand(ctx, ['-d', 'replication=true', '-c', `TIMELINE_HISTORY ${timeline}`]);
  const { stdout } = await ctx.run.text(asked, { signal: ctx.signal });
  // The answer is `00000002.history|`, the text of the file, and a newline of psql.
  return { timeline, text: stdout.slice(stdout.indexOf('|') + 1).replace(/\n$/, '') };
}

/**
 * Stores the history of the server's timeline, byte for byte as the server has it, where a store lacks it: without it no restore finds
 * the way from an older base to this one.
 */
export async function storeHistory(ctx: Context, lineage: string): Promise<void> {
  const { timeline, text } = await serverHistory(ctx);
  if (timeline === 1) return;
  const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
  const sealed = await sealWal(ctx, lineage, name, Buffer.from(text));
  for (const store of walStores(ctx)) {
    await putWal(store, ctx.base, lineage, sealed).catch(error => {
      if (error instanceof BkpError && error.exit === 'conflict') throw error;
      ctx.report.emit({ type: 'warning', text: `${name} is not in store ${store.name}: ${sentence(error)}` });
    });
  }
}

/**
 * A primary that stayed behind at a failover must not be streamed again: its WAL is another one than that which the lineage goes on with.
 * @param names what stores and spool hold of the lineage
 * @throws BkpError('refused')
 */
export function refuseLeft(ctx: Context, lineage: string, path: readonly Stretch[], names: Iterable<string>): void {
  const own = path.at(-1)!.timeline;
  const newest = newestTimeline(names);
  if (newest <= own) return;
  throw new BkpError(
    'refused',
    `postgres/${ctx.name}: ${ctx.config.host}:${ctx.config.port} is on timeline ${own}, and lineage ${lineage} has gone on to timeline ${newest}: this is a primary from before a failover`,
    {
      next: [
        'name the present primary as `host:` and `port:`',
        'if this one is meant to go on: bkp stream postgres --new-lineage, and then: bkp backup postgres',
      ],
    },
  );
}
