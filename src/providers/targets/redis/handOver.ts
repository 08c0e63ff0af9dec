import { parseDuration } from '../../../core/duration.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Cli, Context } from './cli.ts';
import { logOf } from './dump.ts';
import type { Feeder } from './feeder.ts';
import { type Info, numberOf } from './info.ts';
import { called, type Live, untilInfo } from './live.ts';

/** How long a server has to come for the dump; it tries once a second. */
const COMES_MS = 30_000;
/** How long one that has dropped its link may be silent, as while it is busy. */
const SILENT_MS = 15_000;

/**
 * Until the server has loaded the dump and every byte that followed it.
 * @throws BkpError('refused') where it does not come for it, 'failed' where it ends meanwhile or takes longer than `timeout`
 */
export async function inStep(ctx: Context, cli: Cli, feeder: Feeder, live: Live): Promise<void> {
  ctx.report.emit({ type: 'started', what: 'hand over' });
  const began = ctx.clock.now().getTime();
  const until = began + parseDuration(ctx.config.timeout);
  let silentSince: number | undefined;
  const done = (info: Info | undefined): boolean => {
    const failure = feeder.failure();
    if (failure) throw failure;
    if (info && info.get('run_id') !== live.info.get('run_id')) throw new Gone('was started again while it took the data');
    const now = ctx.clock.now().getTime();
    silentSince = info || !feeder.left() ? undefined : (silentSince ?? now);
    if (silentSince !== undefined && now - silentSince > SILENT_MS) throw new Gone('has ended while it took the data');
    if (feeder.state() === 'waiting' && now - began > COMES_MS)
      throw new BkpError(
        'refused',
        `${called(ctx)} did not come for the data within ${COMES_MS / 1000} s: it does not reach this host there`,
        {
          next: [
            `listen: ADDRESS   # of this host, which the server reaches, in redis/${ctx.name}`,
            'a server in a container has a loopback of its own',
          ],
        },
      );
    if (!info || feeder.state() !== 'sent' || info.get('loading') === '1' || info.get('master_link_status') !== 'up') return false;
    return numberOf(info, 'slave_repl_offset') >= feeder.offset();
  };
  await untilInfo(ctx, cli, 'the data were not loaded', until, done).catch(async error => {
    throw error instanceof Gone ? await fallen(ctx, cli, live, error) : error;
  });
}

/** The server is not the one any more that was made a replica. */
class Gone extends Error {}

/** What its log says of that. It may lie on its disk already, instead of what was there. */
async function fallen(ctx: Context, cli: Cli, live: Live, { message }: Gone): Promise<BkpError> {
  const log = await logOf(ctx, cli, live);
  return new BkpError('failed', `${called(ctx)} ${message}${log ? `; its log says: ${log}` : ''}`, {
    next: [
      'look into its log, and whether it starts',
      `where it does not: its ${live.settings?.get('dbfilename') ?? 'dump'} is that of the backup, and has to be moved away`,
    ],
  });
}
