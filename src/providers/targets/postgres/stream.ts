import { join } from 'node:path';
import type { LineageId, Store } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { BkpError } from '../../../core/errors.ts';
import { type Stretch, timelineOf } from '../../../core/postgres/history.ts';
import { formatLsn, parseLsn, parseSegment, segmentAt, segmentName, segmentStart } from '../../../core/postgres/lsn.ts';
import { isOnPath, resumeAt } from '../../../core/postgres/resume.ts';
import { type Holdings, holdings, walStores } from './archive.ts';
import { Background } from './background.ts';
import { type Context, coverage } from './chunks.ts';
import { drain } from './drain.ts';
import { chunkStore, Flusher } from './flusher.ts';
import { Pulse } from './heartbeat.ts';
import { lineageFor } from './lineage.ts';
import { type Live, liveState, refuseStandby } from './live.ts';
import { astray, complaint, diskComplaint, receive, removed } from './receiver.ts';
import { Resent } from './resent.ts';
import { refuseLeft, serverPath } from './serverPath.ts';
import { Shipper } from './shipper.ts';
import { createSlot, dropSlot, idleLimitMs } from './slot.ts';
import { alone } from './soleReceiver.ts';
import { Spool, SpoolFault } from './spool.ts';
import { sql } from './sql.ts';
import { DECLARE_GAP, isFinal, supervise, whileReceiving } from './supervise.ts';
import { Watch } from './watch.ts';

/** How often finished segments are looked for, and server and slot. */
const TICK_MS = 500;
const LOOK_MS = 5000;

const spoolDir = (ctx: Context): string => {
  if (ctx.config.spool) return ctx.config.spool;
  throw new BkpError('usage', `postgres/${ctx.name} has no \`spool:\`, and streaming needs a directory on a disk of its own`, {
    next: 'add `spool: /var/lib/bkp/spool` to the entry',
  });
};

/**
 * The slot is ours, advanced only to what is stored. One that the server gave up is made anew: whether something was lost shows when receiving
 * goes on behind what spool and stores have, for a server that has thrown that away says so.
 */
async function ensureSlot(ctx: Context, live: Live, spool: Spool, newLineage: boolean): Promise<void> {
  const lost = live.slot?.walStatus === 'lost';
  if (lost) {
    await dropSlot(ctx);
    const text =
      'the server gave up our slot (max_slot_wal_keep_size or idle_replication_slot_timeout was reached): it is made anew, and receiving tries to go on where it was';
    ctx.report.emit({ type: 'warning', text });
  }
  if (newLineage) await spool.clear();
  if (lost || !live.slot?.restartLsn) await createSlot(ctx);
}

/** Stored bytes that the server does not have: it was set back, or lost what it had said was written. Nothing good can follow on them. */
async function refuseSetBack(ctx: Context, live: Live, path: readonly Stretch[], { chunks }: Holdings): Promise<void> {
  const flushed = parseLsn(await sql(ctx, 'select pg_current_wal_flush_lsn()'));
  for (const [name, bytes] of coverage(chunks)) {
    const segment = parseSegment(name, live.segmentBytes);
    if (!segment || !isOnPath(name, path, live.segmentBytes)) continue;
    const end = segmentStart(segment.number, live.segmentBytes) + BigInt(bytes);
    if (end <= flushed) continue;
    throw new BkpError(
      'refused',
      `postgres/${ctx.name}: the stores have WAL up to ${formatLsn(end)}, and the server ends at ${formatLsn(flushed)}: it was set back, or lost what it had written`,
      { next: ['restore it to what the stores have: bkp restore postgres', ...DECLARE_GAP] },
    );
  }
}

/** What a server cannot go on with after a failover is stored and leaves the spool; receiving then goes on at the switch. */
async function leaveOld(ctx: Context, spool: Spool, shipper: Shipper, path: readonly Stretch[]): Promise<void> {
  const astray = await spool.astray(path);
  if (astray.length === 0) return;
  ctx.report.emit({
    type: 'note',
    text: `the server is on timeline ${path.at(-1)!.timeline} now: what the spool has of the one before, up to ${astray.at(-1)}, goes to the stores`,
  });
  await shipper.clear(astray);
}

async function seedSpool(ctx: Context, live: Live, spool: Spool, path: readonly Stretch[], stored: Iterable<string>): Promise<void> {
  if (!(await spool.isEmpty())) return;
  const fresh = await liveState(ctx);
  const from = resumeAt(path, stored, parseLsn(fresh.slot?.restartLsn ?? '0/0'), live.segmentBytes);
  ctx.report.emit({
    type: 'note',
    text: `the spool is empty: receiving goes on at ${formatLsn(segmentStart(from.number, live.segmentBytes))} on timeline ${from.timeline}`,
  });
  await spool.seed(from);
}

/** The other end of a gap: what the server still has. */
async function keptFrom(ctx: Context, path: readonly Stretch[]): Promise<string> {
  const { slot, segmentBytes } = await liveState(ctx);
  if (!slot?.restartLsn) return '';
  const number = segmentAt(parseLsn(slot.restartLsn), segmentBytes);
  return `; it keeps ${segmentName({ timeline: timelineOf(path, number, segmentBytes), number }, segmentBytes)} and what follows`;
}

/** What works beside a receiver: chunks at once, whole segments, heartbeats and a look at the server each in its own time. */
interface Work {
  /** One round of the loop. */
  round(): Promise<void>;
  /** After the receiver's end: all that it wrote goes to the stores. */
  last(): Promise<void>;
}

function workOf(
  ctx: Context,
  shipper: Shipper,
  resent: Resent,
  flusher: Flusher | undefined,
  pulse: Pulse | undefined,
  watch: Watch,
): Work {
  const flush = async (): Promise<void> => {
    await resent.look();
    if (!flusher) return;
    for (const name of flusher.names()) if (shipper.holds(flusher.store, name)) await flusher.merged(name);
    await flusher.tick(await shipper.waiting(flusher.store));
  };
  const beatMs = pulse ? parseDuration(ctx.config.wal.heartbeat!) : 0;
  const beside = [
    { everyMs: TICK_MS, next: 0, work: new Background(() => shipper.tick()) },
    { everyMs: LOOK_MS, next: 0, work: new Background(() => watch.look()) },
    ...(pulse ? [{ everyMs: beatMs, next: 0, work: new Background(() => pulse.beat()) }] : []),
  ];
  const round = async (): Promise<void> => {
    const now = ctx.clock.now().getTime();
    for (const each of beside.filter(({ next }) => next <= now)) {
      each.work.poke();
      each.next = now + each.everyMs;
    }
    await flush();
  };
  const last = async (): Promise<void> => {
    await flush();
    for (const { work } of beside) await work.settle();
    await shipper.tick();
    await flush();
  };
  return { round, last };
}

/** The rhythm of the loop: that of the chunks, where there are any. */
const everyMs = ({ config }: Context, flusher: Flusher | undefined): number => (flusher ? parseDuration(config.wal.flush!) : TICK_MS);

/** What is lost where no store takes chunks is another thing, so that is said. */
function tellWhole(ctx: Context, store: Store | undefined): void {
  if (store || ctx.config.wal.flush === 'off') return;
  const text =
    'no store of the WAL answers that keeps neither versions nor locks, so only whole segments are stored: archive_timeout bounds what can be lost';
  ctx.report.emit({ type: 'warning', text });
}

/** Whether commits really wait for us is the server's setting, which this role may not change. */
async function tellSynchronous(ctx: Context): Promise<void> {
  if (!ctx.config.wal.synchronous) return;
  const names = await sql(ctx, "select setting from pg_settings where name = 'synchronous_standby_names'");
  if (!/(^|[\s,("])bkp($|[\s,)"])|\*/.test(names))
    ctx.report.emit({
      type: 'warning',
      text: `synchronous: true, but the server does not wait for us (synchronous_standby_names = '${names}'): ALTER SYSTEM SET synchronous_standby_names = 'bkp'; SELECT pg_reload_conf();`,
    });
}

/** One connection: receives and ships until the receiver ends or the signal fires. Returns the receiver's last words. */
async function session(ctx: Context, newLineage: boolean, ready: () => void): Promise<string[]> {
  const live = await liveState(ctx);
  refuseStandby(ctx, live);
  const lineage = await lineageFor(ctx, live, newLineage);
  // A spool of its own for each lineage: after a restore in place the old one holds WAL of a history that the server has left.
  const spool = new Spool(join(spoolDir(ctx), lineage), live.segmentBytes);
  await spool.prepare();
  return alone(ctx, spool.dir, () => receiveInto(ctx, live, lineage, spool, newLineage, ready));
}

/** The session of whoever is alone in the spool. */
async function receiveInto(
  ctx: Context,
  live: Live,
  lineage: LineageId,
  spool: Spool,
  newLineage: boolean,
  ready: () => void,
): Promise<string[]> {
  const stores = walStores(ctx);
  const held = await holdings(stores, ctx.base, lineage);
  const path = await serverPath(ctx);
  refuseLeft(ctx, lineage, path, [...held.copies.keys(), ...held.chunks.keys(), ...(await spool.names())]);
  await refuseSetBack(ctx, live, path, held);
  await ensureSlot(ctx, live, spool, newLineage);
  if (held.unreachable.length === stores.length)
    throw new BkpError('storeUnreachable', `no WAL store answers: ${held.unreachable.map(u => u.reason).join('; ')}`);
  const store = await chunkStore(stores);
  const resent = new Resent(spool);
  const shipper: Shipper = new Shipper(ctx, stores, lineage, spool, path, held.copies, async (name, plain) => {
    await resent.check(name, plain);
    flusher?.prove(name, plain);
  });
  const chunked = ctx.config.wal.flush === 'off' ? undefined : store;
  const flusher = chunked && new Flusher(ctx, chunked, lineage, spool, held.chunks, () => shipper.recall(chunked));
  await resent.takeBack();
  await leaveOld(ctx, spool, shipper, path);
  await seedSpool(ctx, live, spool, path, held.copies.keys());
  await resent.setAside();
  await tellSynchronous(ctx);
  tellWhole(ctx, store);
  const pulse = ctx.config.wal.heartbeat === 'off' ? undefined : new Pulse(ctx, lineage, path.at(-1)!.timeline, store);
  const sleepy = (await idleLimitMs(ctx)) > 0;
  const child = await receive(ctx, live, spool);
  ready();
  const work = workOf(ctx, shipper, resent, flusher, pulse, new Watch(ctx, spool, child, sleepy));
  const lines = await whileReceiving(ctx, child, { everyMs: everyMs(ctx, flusher), signal: 'SIGINT' }, work.round, work.last);
  await refuseLines(ctx, spool, path, lines);
  return lines;
}

/** @throws BkpError('refused') for an end of the receiver that no waiting mends; SpoolFault for one that its disk brought about */
async function refuseLines(ctx: Context, spool: Spool, path: readonly Stretch[], lines: readonly string[]): Promise<void> {
  const gone = removed(lines);
  if (gone) {
    throw new BkpError(
      'refused',
      `postgres/${ctx.name}: the server no longer has WAL that no store holds: ${gone.trim()}${await keptFrom(ctx, path)}`,
      { next: DECLARE_GAP },
    );
  }
  const disk = diskComplaint(lines);
  if (disk) throw new SpoolFault(spool.dir, disk.trim());
  const lost = astray(lines);
  if (lost) {
    throw new BkpError('refused', `postgres/${ctx.name}: the spool does not belong to the server's present history: ${lost.trim()}`, {
      next: [
        `move ${spool.dir} away and start again: receiving then goes on from what the stores hold`,
        'if that is refused too: bkp stream postgres --new-lineage declares the gap, and then: bkp backup postgres',
      ],
    });
  }
}

/**
 * Ships the WAL of a cluster to its stores until `ctx.signal` fires, over restarts of the server and outages of stores.
 * The slot moves only to what enough stores hold whole. @throws BkpError for what waiting cannot mend: a foreign cluster, lost WAL, a conflict,
 * another stream with the same spool.
 */
export async function stream(ctx: Context, options: { newLineage: boolean }): Promise<void> {
  let { newLineage } = options;
  let met = false;
  await supervise(ctx, `stream postgres/${ctx.name}`, async ready => {
    try {
      const lines = await session(ctx, newLineage, () => {
        newLineage = false;
        met = true;
        ready();
      });
      return `the receiver ended: ${complaint(lines)}`;
    } catch (error) {
      // A server that is gone for good left its last WAL in the spool: it is worth more in the stores.
      if (!met && !isFinal(error)) await drain(ctx, spoolDir(ctx));
      met = true;
      throw error;
    }
  });
}
