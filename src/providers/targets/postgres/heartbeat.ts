import type { LineageId, LogMark, Lsn, Store } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { decodeSigned, encodeSigned } from '../../../core/signed.ts';
import { putBytes, readAll } from '../../../flow/bytes.ts';
import type { Context } from './chunks.ts';
import { psqlCommand } from './sql.ts';

/** A transaction that a stream committed for nothing but to be found again. `at` is the server's clock, ISO 8601 UTC with microseconds. */
interface Beat {
  at: string;
  lsn: Lsn;
}

/**
 * The newest beat and those before it, oldest first, as `<base>/wal/<lineage>/heartbeat.json` records them: what a restore of that lineage does not
 * have of them was lost, and a store whose WAL ends before one of them is behind.
 */
export interface Heartbeat extends Beat {
  version: 1;
  lineage: LineageId;
  timeline: number;
  before: readonly Beat[];
}

/** An hour of them at one in 30 s: an outage of that length is measured. */
const KEPT = 120;

const keyOf = (base: string, lineage: LineageId): string => `${base}/wal/${lineage}/heartbeat.json`;

const ANSWER_MS = 15_000;

/**
 * Commits a transaction with one logical message, which writes 113 bytes of WAL and no table, and says where and when. Any role may (EXECUTE is
 * PUBLIC's on 15 and 18). It does not wait for a synchronous standby: that is this very stream, or one that is not there.
 * @throws BkpError('failed') with the server's words
 */
async function emit(ctx: Context): Promise<{ at: string; lsn: Lsn }> {
  const statement = `begin; set local synchronous_commit = local;
    select json_build_object('lsn', pg_logical_emit_message(true, 'bkp', 'heartbeat')::text,
      'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')); commit`;
  const { stdout } = await ctx.run.text(psqlCommand(ctx, ['-c', statement]), { signal: ctx.signal, timeoutMs: ANSWER_MS });
  return JSON.parse(stdout) as { at: string; lsn: Lsn };
}

const isBeat = (value: unknown): value is Beat => {
  const beat = value as Beat;
  return typeof beat?.at === 'string' && /^[0-9A-F]+\/[0-9A-F]+$/.test(beat.lsn);
};

const isHeartbeat = (value: unknown): value is Heartbeat => {
  const { version, lineage, timeline, before } = value as Heartbeat;
  return isBeat(value) && version === 1 && typeof lineage === 'string' && typeof timeline === 'number' && before.every(isBeat);
};

/** Keeps a database reachable at every minute though nobody writes into it, and shows an idle one from one whose WAL does not come. */
export class Pulse {
  readonly #ctx: Context;
  readonly #lineage: LineageId;
  readonly #timeline: number;
  readonly #store: Store | undefined;
  #before: Beat[] | undefined;
  #told = false;

  /**
   * @param timeline of the server: positions of another one are not compared with its own
   * @param store gets the record; it is written anew each time, so one that keeps versions is none
   */
  constructor(ctx: Context, lineage: LineageId, timeline: number, store: Store | undefined) {
    this.#ctx = ctx;
    this.#lineage = lineage;
    this.#timeline = timeline;
    this.#store = store;
  }

  /** One beat. What hinders it is told once: the WAL of others is shipped all the same. */
  async beat(): Promise<void> {
    try {
      const beat = await emit(this.#ctx);
      if (this.#store) await this.#record(this.#store, beat);
      this.#told = false;
    } catch (error) {
      if (this.#ctx.signal.aborted || this.#told) return;
      this.#told = true;
      const text = `the heartbeat failed, so an idle database can be brought to its last commit only: ${sentence(error)}`;
      this.#ctx.report.emit({ type: 'warning', text });
    }
  }

  async #record(store: Store, beat: Beat): Promise<void> {
    const before = await this.#earlier(store);
    this.#before = [...before, beat].slice(-KEPT);
    const record: Heartbeat = { version: 1, lineage: this.#lineage, timeline: this.#timeline, ...beat, before };
    await putBytes(store, keyOf(this.#ctx.base, this.#lineage), encodeSigned(record, this.#ctx.keys.sign));
  }

  /** Those of an earlier run count on, unless its record cannot be read or is of another timeline: then they begin anew. */
  async #earlier(store: Store): Promise<readonly Beat[]> {
    if (this.#before) return this.#before;
    const old = await heartbeatIn(this.#ctx, this.#lineage, store).catch(() => undefined);
    return old?.timeline === this.#timeline ? [...old.before, { at: old.at, lsn: old.lsn }].slice(-KEPT) : [];
  }
}

/** What the source is on record to have committed in a lineage, oldest first, as `Target.log.marks` asks for it. */
export async function marks(ctx: Context, lineage: LineageId): Promise<LogMark[]> {
  const newest = ctx.config.engine === 'native' ? await newestHeartbeat(ctx, lineage) : undefined;
  return newest ? [...newest.before, newest].map(({ at, lsn }) => ({ at: new Date(at), position: lsn })) : [];
}

/**
 * The newest heartbeat of a lineage that any of the stores has on record. Stores that do not answer are left out.
 * @throws BkpError('verifyFailed') for a record that no trusted key signed, or of another lineage
 */
export async function newestHeartbeat(
  ctx: Context,
  lineage: LineageId,
  stores: readonly Store[] = ctx.stores,
): Promise<Heartbeat | undefined> {
  let newest: Heartbeat | undefined;
  for (const store of stores) {
    const beat = await heartbeatIn(ctx, lineage, store);
    if (beat && (!newest || beat.at > newest.at)) newest = beat;
  }
  return newest;
}

async function heartbeatIn(ctx: Context, lineage: LineageId, store: Store): Promise<Heartbeat | undefined> {
  const key = keyOf(ctx.base, lineage);
  let bytes: Buffer;
  try {
    bytes = await readAll(store.get(key));
  } catch (error) {
    if (error instanceof BkpError && ['notFound', 'storeUnreachable'].includes(error.exit)) return undefined;
    throw error;
  }
  const record = decodeSigned(bytes, ctx.keys.verify, `${key} in store ${store.name}`);
  if (!isHeartbeat(record) || record.lineage !== lineage)
    throw new BkpError('verifyFailed', `${key} in store ${store.name} is no heartbeat of lineage ${lineage}`);
  return record;
}
