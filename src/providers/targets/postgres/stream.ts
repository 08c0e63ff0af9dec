import { join } from 'node:path';
import type { Child, Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { type Stretch, timelineOf } from '../../../core/postgres/history.ts';
import { formatLsn, parseLsn, parseSegment, segmentAt, segmentName, segmentStart } from '../../../core/postgres/lsn.ts';
import { isOnPath, resumeAt } from '../../../core/postgres/resume.ts';
import { holdings, putWal, sealWal, walStores } from './archive.ts';
import type { PostgresConfig } from './config.ts';
import { lineageFor } from './lineage.ts';
import { type Live, liveState, refuseStandby } from './live.ts';
import { refuseLeft, serverPath } from './serverPath.ts';
import { advanceSlot, createSlot } from './slot.ts';
import { Spool } from './spool.ts';
import { connectionEnv } from './sql.ts';
import { DECLARE_GAP, isFinal, settleLostSlot, supervise, whileReceiving } from './supervise.ts';
import { clientTools } from './tools.ts';

type Context = TargetContext<PostgresConfig>;

const TICK_MS = 500;
/** What the shipper has put where: file name → stores that hold it. */
class Shipper {
  readonly #ctx: Context;
  readonly #stores: readonly Store[];
  readonly #lineage: string;
  readonly #spool: Spool;
  readonly #path: readonly Stretch[];
  readonly #held = new Map<string, Set<string>>();
  readonly #told = new Set<string>();

  constructor(
    ctx: Context,
    stores: readonly Store[],
    lineage: string,
    spool: Spool,
    path: readonly Stretch[],
    held: ReadonlyMap<string, readonly { store: Store }[]>,
  ) {
    this.#ctx = ctx;
    this.#stores = stores;
    this.#lineage = lineage;
    this.#spool = spool;
    this.#path = path;
    for (const [name, copies] of held) this.#held.set(name, new Set(copies.map(copy => copy.store.name)));
  }

  /** Ships every finished file of the spool, oldest first, and lets the server forget what enough stores hold. */
  async tick(): Promise<void> {
    for (const name of await this.#spool.finished()) {
      const held = this.#held.get(name)?.size ?? 0;
      if (held === this.#stores.length) {
        await this.#forget(name);
        continue;
      }
      const plain = await this.#spool.read(name);
      if (!(await this.#spool.isReal(name, plain))) continue;
      await this.#ship(name, plain);
      if ((this.#held.get(name)?.size ?? 0) < this.#need) return;
      await this.#advance(name);
    }
  }

  /**
   * Stores what the server cannot go on with and takes it out of the spool: after a failover that is what the old primary had written up to
   * the switch and beyond. @throws BkpError('storeUnreachable') while too few stores take it
   */
  async clear(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const plain = await this.#spool.read(name);
      const real = await this.#spool.isReal(name, plain);
      if (real) await this.#ship(name, plain);
      if (real && (this.#held.get(name)?.size ?? 0) < this.#need)
        throw new BkpError('storeUnreachable', `WAL ${name} of the old primary is in the spool, and too few stores take it`);
      await this.#spool.remove(name);
    }
  }

  get #need(): number {
    return Math.min(this.#ctx.need, this.#stores.length);
  }

  async #ship(name: string, plain: Buffer): Promise<void> {
    const sealed = await sealWal(this.#ctx, this.#lineage, name, plain);
    const held = this.#held.get(name) ?? new Set<string>();
    this.#held.set(name, held);
    const missing = this.#stores.filter(store => !held.has(store.name));
    await Promise.all(
      missing.map(async store => {
        try {
          await putWal(store, this.#ctx.base, this.#lineage, sealed);
          held.add(store.name);
          this.#told.delete(store.name);
        } catch (error) {
          if (isFinal(error)) throw error;
          this.#tell(store, error);
        }
      }),
    );
    if (held.size > 0) this.#ctx.report.emit({ type: 'note', text: `WAL ${name} is in ${[...held].join(' and ')}` });
  }

  /** Once per outage, not once per tick. */
  #tell(store: Store, error: unknown): void {
    if (this.#told.has(store.name)) return;
    this.#told.add(store.name);
    this.#ctx.report.emit({
      type: 'warning',
      text: `store ${store.name} does not take WAL (kept in the spool until it does): ${sentence(error)}`,
    });
  }

  async #advance(name: string): Promise<void> {
    const segment = /^[0-9A-F]{24}$/.test(name) ? parseSegment(name, this.#spool.segmentBytes) : undefined;
    // What the server has left holds nothing back there, and says nothing of what has to be kept.
    if (!segment || !isOnPath(name, this.#path, this.#spool.segmentBytes)) return;
    try {
      await advanceSlot(this.#ctx, segmentStart(segment.number + 1, this.#spool.segmentBytes));
    } catch (error) {
      // The server may just be down while its last segments are still being stored; the next segment moves the slot past this one.
      this.#ctx.report.emit({ type: 'warning', text: `the slot was not moved behind ${name}: ${sentence(error)}` });
    }
  }

  /** The newest whole segment stays in the spool: pg_receivewal goes on from it. */
  async #forget(name: string): Promise<void> {
    const whole = (await this.#spool.finished()).filter(other => /^[0-9A-F]{24}$/.test(other));
    if (name === whole.at(-1) || name.endsWith('.history')) return;
    await this.#spool.remove(name);
  }
}

const spoolDir = (ctx: Context): string => {
  if (ctx.config.spool) return ctx.config.spool;
  throw new BkpError('usage', `postgres/${ctx.name} has no \`spool:\`, and streaming needs a directory on a disk of its own`, {
    next: 'add `spool: /var/lib/bkp/spool` to the entry',
  });
};

/** The slot is ours, advanced only to what is stored. A lost slot means lost WAL, which is never passed over in silence. */
async function ensureSlot(ctx: Context, live: Live, spool: Spool, newLineage: boolean): Promise<void> {
  await settleLostSlot(ctx, live, newLineage);
  if (newLineage) await spool.clear();
  if (!live.slot?.restartLsn) await createSlot(ctx);
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

async function receive(ctx: Context, live: Live, spool: Spool): Promise<Child> {
  const tools = await clientTools(ctx, Math.floor(live.versionNum / 10000));
  return ctx.run.start({
    file: tools.path('pg_receivewal'),
    args: ['-D', spool.dir, '--synchronous', '--no-loop', '--no-password', '--status-interval=5', '-v'],
    env: { ...connectionEnv(ctx.config), PGAPPNAME: 'bkp' },
  });
}

const removed = (lines: readonly string[]): string | undefined => lines.find(line => /has already been removed/.test(line));

/** The spool is ahead of the server, or of another history: no waiting mends that (both were tried on 15 and 18). */
const astray = (lines: readonly string[]): string | undefined =>
  lines.find(line => /is not in this server's history|is ahead of the WAL flush position/.test(line));

/** What the receiver complained of last; its very last line only says that it ended. */
const complaint = (lines: readonly string[]): string =>
  lines.findLast(line => /error|fatal|could not/i.test(line) && !/error: disconnected$/.test(line)) ?? lines.at(-1) ?? 'without a word';

/** The other end of a gap: what the server still has. */
async function keptFrom(ctx: Context, path: readonly Stretch[]): Promise<string> {
  const { slot, segmentBytes } = await liveState(ctx);
  if (!slot?.restartLsn) return '';
  const number = segmentAt(parseLsn(slot.restartLsn), segmentBytes);
  return `; it keeps ${segmentName({ timeline: timelineOf(path, number, segmentBytes), number }, segmentBytes)} and what follows`;
}

/** One connection: receives and ships until the receiver ends or the signal fires. Returns the receiver's last words. */
async function session(ctx: Context, newLineage: boolean, ready: () => void): Promise<string[]> {
  const live = await liveState(ctx);
  refuseStandby(ctx, live);
  const lineage = await lineageFor(ctx, live, newLineage);
  // A spool of its own for each lineage: after a restore in place the old one holds WAL of a history that the server has left.
  const spool = new Spool(join(spoolDir(ctx), lineage), live.segmentBytes);
  await spool.prepare();
  const stores = walStores(ctx);
  const held = await holdings(stores, ctx.base, lineage);
  const path = await serverPath(ctx);
  refuseLeft(ctx, lineage, path, [...held.copies.keys(), ...(await spool.names())]);
  await ensureSlot(ctx, live, spool, newLineage);
  if (held.unreachable.length === stores.length)
    throw new BkpError('storeUnreachable', `no WAL store answers: ${held.unreachable.map(u => u.reason).join('; ')}`);
  const shipper = new Shipper(ctx, stores, lineage, spool, path, held.copies);
  await leaveOld(ctx, spool, shipper, path);
  await seedSpool(ctx, live, spool, path, held.copies.keys());
  const child = await receive(ctx, live, spool);
  ready();
  const lines = await whileReceiving(ctx, child, { everyMs: TICK_MS, signal: 'SIGINT' }, () => shipper.tick());
  const gone = removed(lines);
  if (gone) {
    throw new BkpError(
      'refused',
      `postgres/${ctx.name}: the server no longer has WAL that no store holds: ${gone.trim()}${await keptFrom(ctx, path)}`,
      {
        next: DECLARE_GAP,
      },
    );
  }
  const lost = astray(lines);
  if (lost) {
    throw new BkpError('refused', `postgres/${ctx.name}: the spool does not belong to the server's present history: ${lost.trim()}`, {
      next: [
        `move ${spool.dir} away and start again: receiving then goes on from what the stores hold`,
        'if that is refused too: bkp stream postgres --new-lineage declares the gap, and then: bkp backup postgres',
      ],
    });
  }
  return lines;
}

/**
 * Ships the WAL of a cluster to its stores until `ctx.signal` fires, over restarts of the server and outages of stores.
 * The slot moves only to what enough stores hold. @throws BkpError for what waiting cannot mend: a foreign cluster, a lost slot, a conflict.
 */
export async function stream(ctx: Context, options: { newLineage: boolean }): Promise<void> {
  let { newLineage } = options;
  await supervise(ctx, `stream postgres/${ctx.name}`, async ready => {
    const lines = await session(ctx, newLineage, () => {
      newLineage = false;
      ready();
    });
    return `the receiver ended: ${complaint(lines)}`;
  });
}
