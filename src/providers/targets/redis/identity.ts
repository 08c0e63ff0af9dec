import type { Known, Manifest } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import type { Cli, Context } from './cli.ts';
import { called, type Live } from './live.ts';

/**
 * A Redis has no name of its own that outlives a restart: run_id is new at each, and the replication id whenever a server starts as master
 * without a save that recorded it, or is promoted. What stays, and moves with the data from server to server, is data: the value of a key
 * that the operator sets once (`marker:`). Without one the address is compared, and the replication ids, which can show that two servers
 * hold one history but never that they do not.
 */
export interface Identity {
  server: string;
  marker?: string;
}

const VALUE = /^[\w.:@/-]{1,200}$/;

/** The value of the marker on the server; undefined where the entry names none or the server has none. */
export async function markerOf(ctx: Context, cli: Cli): Promise<string | undefined> {
  const key = ctx.config.marker;
  if (key === undefined) return undefined;
  const value = (await cli.ask('GET', key)).trim();
  if (value === '' || VALUE.test(value)) return value || undefined;
  if (value.startsWith('WRONGTYPE '))
    throw new BkpError('refused', `${called(ctx)}: the marker ${key} is a key with data of the application, and no text`, {
      next: `marker: bkp:marker   # in redis/${ctx.name}, a name of its own; then: redis-cli SET bkp:marker ${ctx.name}-1`,
    });
  throw new BkpError(
    'refused',
    `${called(ctx)}: the value of the marker ${key} is none: allowed are up to 200 letters, digits and _ . : @ / -`,
    {
      next: `redis-cli SET ${key} ${ctx.name}-$(cat /proc/sys/kernel/random/uuid)`,
    },
  );
}

/** What of a server is recorded and compared. */
export async function identityOf(ctx: Context, cli: Cli): Promise<Identity> {
  const marker = await markerOf(ctx, cli);
  return { server: `${ctx.config.host}:${ctx.config.port}`, ...(marker === undefined ? {} : { marker }) };
}

const NONE = /^0*$/;

/** The replication ids under which a server's history is known. */
export const historyOf = ({ info }: Pick<Live, 'info'>): string[] =>
  [info.get('master_replid'), info.get('master_replid2')].filter(id => id !== undefined).filter(id => !NONE.test(id));

const historyIn = ({ baseline }: Manifest): string[] => {
  const { history } = baseline as { history?: unknown };
  return Array.isArray(history) ? history.filter(id => typeof id === 'string') : [];
};

/**
 * Compares a server with the newest backup of its entry.
 * @returns a warning where nothing shows that the two are one
 * @throws BkpError('refused') when the marker is another, or gone, unless a new history is asked for
 */
export function compareIdentity(
  ctx: Context,
  live: Live,
  here: Identity,
  known: readonly Known[],
  newLineage: boolean,
): string | undefined {
  const last = known.at(-1)?.manifest;
  const { marker } = ctx.config;
  if (newLineage) return undefined;
  if (marker !== undefined && (here.marker === undefined || (last?.identity['marker'] ?? here.marker) !== here.marker)) {
    const found = here.marker === undefined ? 'is not there' : `is "${here.marker}"`;
    const wanted = last?.identity['marker'];
    throw new BkpError('refused', `${called(ctx)}: the marker ${marker} ${found}${wanted ? `, and the backups are of "${wanted}"` : ''}`, {
      next: [
        'check `host:` and `port:`: this is another database',
        ...(here.marker === undefined ? [`set it: redis-cli SET ${marker} ${wanted ?? `${ctx.name}-1`}`] : []),
        `if it was set up anew on purpose: bkp backup redis ${ctx.name} --new-lineage`,
      ],
    });
  }
  if (!last || marker !== undefined || last.identity['server'] === here.server) return undefined;
  const shared = historyOf(live).some(id => historyIn(last).includes(id));
  if (shared) return undefined;
  return `the backup before was of ${last.identity['server']}, this one is of ${here.server}, and nothing shows that they hold the same data: \`marker:\` names a key that does`;
}
