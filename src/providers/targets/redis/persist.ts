import { parseDuration } from '../../../core/duration.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Cli, Context } from './cli.ts';
import { type Info, numberOf } from './info.ts';
import { called, infoOf, saveFault, untilInfo } from './live.ts';

const isIdle = (info: Info | undefined): info is Info =>
  info !== undefined &&
  ['rdb_bgsave_in_progress', 'aof_rewrite_in_progress', 'aof_rewrite_scheduled'].every(name => info.get(name) !== '1');

/** What is in memory is also on the server's disk, in every form that it may start from. */
async function refuseFault(ctx: Context, info: Info): Promise<void> {
  const fault = saveFault(info);
  if (fault)
    throw new BkpError('failed', `${called(ctx)} holds the restored data in memory, and could not save them: ${fault}`, {
      next: ['make room on its disk, then: redis-cli BGSAVE, and BGREWRITEAOF where appendonly is on', 'do not restart it before'],
    });
}

/**
 * Waits for the AOF that a server begins anew after it was given other data, then saves: a restart finds the data with an AOF and without.
 * @throws BkpError('failed') when it cannot save them
 */
export async function persist(ctx: Context, cli: Cli): Promise<void> {
  const until = ctx.clock.now().getTime() + parseDuration(ctx.config.timeout);
  await refuseFault(ctx, await untilInfo(ctx, cli, 'its AOF was not rewritten', until, isIdle));
  const before = await infoOf(cli);
  await cli.ask('BGSAVE', 'SCHEDULE');
  const began = Math.floor(numberOf(before, 'server_time_usec') / 1e6);
  const saved = (info: Info | undefined): boolean =>
    isIdle(info) && (info.get('rdb_last_bgsave_status') === 'err' || numberOf(info, 'rdb_last_save_time') >= began);
  await refuseFault(ctx, await untilInfo(ctx, cli, 'it did not save', until, saved));
}
