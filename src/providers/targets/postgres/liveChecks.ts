import type { Check, LiveState, Lsn, TargetContext } from '../../../core/contracts.ts';
import { formatLsn, parseLsn } from '../../../core/postgres/lsn.ts';
import type { PostgresConfig } from './config.ts';
import { identify } from './identity.ts';
import { type Live, liveState, refuseStandby, slotName } from './live.ts';
import { type Shipping, shippingOf } from './shipping.ts';

type Context = TargetContext<PostgresConfig>;

const startStream = (ctx: Context): string => `bkp stream postgres ${ctx.name}`;

const byArchiver = (live: Live, { archiver }: Shipping): boolean => live.archiveMode !== 'off' && /\bwal push\b/.test(archiver.command);

function noSlot(ctx: Context, live: Live, shipping: Shipping): Check {
  const text = `${slotName(ctx.name)} does not exist: WAL `;
  if (byArchiver(live, shipping)) return { name: 'slot', state: 'ok', text: `${text}is to come by archive_command` };
  return { name: 'slot', state: 'warn', text: `${text}is not streamed`, mend: startStream(ctx) };
}

/** The slot that keeps WAL on the server until it is stored: there, not lost, not about to be, and how much it holds back. */
function slotCheck(ctx: Context, live: Live, shipping: Shipping): Check {
  const slot = slotName(ctx.name);
  if (!live.slot) return noSlot(ctx, live, shipping);
  const { walStatus, restartLsn } = live.slot;
  const fail = (text: string, mend: string): Check => ({ name: 'slot', state: 'fail', text: `${slot} ${text}`, mend });
  if (walStatus === 'lost')
    return fail(
      'is lost: the server may have removed WAL that was not stored',
      `start it again: ${startStream(ctx)}, which goes on where it was; where WAL is gone it says so: ${startStream(ctx)} --new-lineage, then bkp backup postgres ${ctx.name}`,
    );
  if (restartLsn === null)
    return fail(
      'holds no WAL back: it was made without reserving any',
      `SELECT pg_drop_replication_slot('${slot}');   -- bkp stream makes it anew`,
    );
  if (walStatus === 'unreserved')
    return fail(
      `is about to be lost: ${shipping.retained} not yet stored are more than max_slot_wal_keep_size`,
      `${startStream(ctx)}   # now`,
    );
  return { name: 'slot', state: 'ok', text: `${slot} ${walStatus}, ${shipping.retained} not yet stored` };
}

/** A slot alone ships nothing: somebody has to be connected. Nothing to say without a slot. */
function streamChecks(ctx: Context, live: Live, { receivers }: Shipping): Check[] {
  if (!live.slot) return [];
  if (receivers > 0) return [{ name: 'stream', state: 'ok', text: 'a receiver of bkp is connected' }];
  return [
    {
      name: 'stream',
      state: 'warn',
      text: 'nobody streams now, and WAL gathers on the server behind the slot',
      mend: `${startStream(ctx)}   # as a service`,
    },
  ];
}

function notArchiving(ctx: Context, live: Live, { receivers }: Shipping): Check {
  const off = 'archive_mode is off';
  if (live.slot && receivers > 0) return { name: 'archiver', state: 'ok', text: `${off}, WAL is streamed` };
  const text = live.slot ? `${off} and nobody streams now` : `${off} and nothing streams: only whole backups can be restored`;
  return { name: 'archiver', state: 'warn', text, mend: startStream(ctx) };
}

/** The server's archiver counts only where archiving is on: with streaming, archive_mode may be off (PG16). */
function archiverCheck(ctx: Context, live: Live, shipping: Shipping): Check {
  if (live.archiveMode === 'off') return notArchiving(ctx, live, shipping);
  const { command, library, failing, failedWal, failedAt, archivedWal, archivedAt } = shipping.archiver;
  const mode = `archive_mode is ${live.archiveMode}`;
  const last = archivedWal ? `the last file archived is ${archivedWal}, at ${archivedAt}` : 'nothing was archived yet';
  if (command === '' && library === null)
    return {
      name: 'archiver',
      state: 'fail',
      text: `${mode} and archive_command is empty: WAL piles up on the server until its disk is full`,
      mend: `ALTER SYSTEM SET archive_command = 'bkp wal push ${ctx.name} "%f" "%p"'; SELECT pg_reload_conf();`,
    };
  if (failing)
    return {
      name: 'archiver',
      state: 'fail',
      text: `archive_command fails at ${failedWal}, last at ${failedAt}; ${last}`,
      mend: `look into the server's log; the command is: bkp wal push ${ctx.name} '%f' '%p'`,
    };
  return { name: 'archiver', state: 'ok', text: `${mode}; ${last}` };
}

/** What slot, receiver and archiver of a server say, for `doctor` and `status`. */
export const shippingChecks = (ctx: Context, live: Live, shipping: Shipping): Check[] => [
  slotCheck(ctx, live, shipping),
  ...streamChecks(ctx, live, shipping),
  archiverCheck(ctx, live, shipping),
];

/** What PostgreSQL writes by itself into a new segment: the page's header (40 bytes) and a snapshot for standbys (56; seen on 18.6). */
const OWN_BYTES = 96n;

/** Where its users' changes end: a switch of segments alone is nothing that could be lost. */
function written(position: Lsn, segmentBytes: number): Lsn {
  const lsn = parseLsn(position);
  const offset = lsn % BigInt(segmentBytes);
  return offset <= OWN_BYTES ? formatLsn(lsn - offset) : position;
}

/**
 * How a running primary is: position of its WAL, its lineage where the stores have one recorded, and what ships its WAL. Writes nothing.
 * @throws BkpError('failed') when it does not answer, BkpError('refused') when it is a standby
 */
export async function live(ctx: Context): Promise<LiveState> {
  const server = await liveState(ctx);
  refuseStandby(ctx, server);
  const shipping = await shippingOf(ctx);
  const { check, lineage } = await identify(ctx, server);
  const position = written(shipping.position, server.segmentBytes);
  return { position, ...(lineage ? { lineage } : {}), checks: [check, ...shippingChecks(ctx, server, shipping)] };
}
