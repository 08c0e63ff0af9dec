import type { LineageId, Lsn, Store } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { decodeSigned, encodeSigned } from '../../../core/signed.ts';
import { putBytes, readAll } from '../../../flow/bytes.ts';
import type { Context } from './chunks.ts';
import { psqlCommand } from './sql.ts';

/**
 * The newest transaction that a stream committed for nothing but to be found again, as `<base>/wal/<lineage>/heartbeat.json` records it: what a
 * restore of that lineage does not have of it was lost. `at` is the server's clock, ISO 8601 UTC with microseconds.
 */
export interface Heartbeat {
  version: 1;
  lineage: LineageId;
  at: string;
  lsn: Lsn;
}

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

const isHeartbeat = (value: unknown): value is Heartbeat => {
  const beat = value as Heartbeat;
  return beat?.version === 1 && typeof beat.at === 'string' && typeof beat.lsn === 'string' && typeof beat.lineage === 'string';
};

/** Keeps a database reachable at every minute though nobody writes into it, and shows an idle one from one whose WAL does not come. */
export class Pulse {
  readonly #ctx: Context;
  readonly #lineage: LineageId;
  readonly #store: Store | undefined;
  #told = false;

  /** @param store gets the record; it is written anew each time, so one that keeps versions is none */
  constructor(ctx: Context, lineage: LineageId, store: Store | undefined) {
    this.#ctx = ctx;
    this.#lineage = lineage;
    this.#store = store;
  }

  /** One beat. What hinders it is told once: the WAL of others is shipped all the same. */
  async beat(): Promise<void> {
    try {
      const { at, lsn } = await emit(this.#ctx);
      const record: Heartbeat = { version: 1, lineage: this.#lineage, at, lsn };
      if (this.#store) await putBytes(this.#store, keyOf(this.#ctx.base, this.#lineage), encodeSigned(record, this.#ctx.keys.sign));
      this.#told = false;
    } catch (error) {
      if (this.#ctx.signal.aborted || this.#told) return;
      this.#told = true;
      const text = `the heartbeat failed, so an idle database can be brought to its last commit only: ${sentence(error)}`;
      this.#ctx.report.emit({ type: 'warning', text });
    }
  }
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
