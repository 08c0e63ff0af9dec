import type { Child } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import { parseLsn } from '../../../core/postgres/lsn.ts';
import { Progress } from '../../../core/postgres/progress.ts';
import { formatBytes } from '../../../core/size.ts';
import type { Context } from './chunks.ts';
import { slotName } from './live.ts';
import { keepAwake } from './slot.ts';
import type { Spool } from './spool.ts';
import { literal, psqlCommand } from './sql.ts';

/** The server wrote WAL for so long and nothing of it came: the connection hangs. */
const PATIENCE_MS = 20_000;
const ANSWER_MS = 15_000;
/** Neither answers nor WAL for so long: the network is gone, and nobody says so. */
const SILENCE_MS = 60_000;
/** Warned of at this much behind the slot, and again at each doubling. */
const GROWN = 1024n ** 3n;

interface Seen {
  flushed: string;
  slot: { status: string | null; behind: string | null; safe: string | null } | null;
}

/** Looks at server and slot while a receiver runs: what neither of them says by itself. */
export class Watch {
  readonly #ctx: Context;
  readonly #spool: Spool;
  readonly #child: Child;
  readonly #sleepy: boolean;
  readonly #progress = new Progress(PATIENCE_MS);
  #grown = GROWN;
  #status: string | null = null;
  #silent: { since: number; touched: number } | undefined;

  /** @param sleepy whether the server gives up slots that are not used */
  constructor(ctx: Context, spool: Spool, child: Child, sleepy: boolean) {
    this.#ctx = ctx;
    this.#spool = spool;
    this.#child = child;
    this.#sleepy = sleepy;
  }

  /** One look. A server that does not answer is judged only where no WAL comes either, for a long time. */
  async look(): Promise<void> {
    const seen = await this.#ask();
    const touched = await this.#spool.touched();
    const now = this.#ctx.clock.now().getTime();
    if (!seen) return this.#silence(now, touched);
    this.#silent = undefined;
    this.#tellSlot(seen);
    if (this.#sleepy) await this.#keepAwake();
    const stuck = this.#progress.look({ now, flushed: parseLsn(seen.flushed), touched });
    if (stuck !== undefined) this.#end(`no WAL has come for ${Math.round(stuck / 1000)} s although the server goes on (${seen.flushed})`);
  }

  async #keepAwake(): Promise<void> {
    try {
      await keepAwake(this.#ctx);
    } catch (error) {
      this.#ctx.signal.throwIfAborted();
      const text = `the slot could not be used, and the server may give it up as idle: ${sentence(error)}`;
      this.#ctx.report.emit({ type: 'warning', text });
    }
  }

  #silence(now: number, touched: number): void {
    if (!this.#silent || this.#silent.touched !== touched) this.#silent = { since: now, touched };
    else if (now - this.#silent.since > SILENCE_MS) this.#end('neither an answer nor WAL has come for a minute');
  }

  /** Asked politely, the receiver would wait for the other end, which hangs. */
  #end(text: string): void {
    this.#ctx.report.emit({ type: 'warning', text: `${text}: the connection hangs and is made anew` });
    this.#child.kill('SIGKILL');
  }

  async #ask(): Promise<Seen | undefined> {
    const statement = `select json_build_object('flushed', pg_current_wal_flush_lsn()::text, 'slot',
      (select json_build_object('status', wal_status, 'behind', pg_current_wal_flush_lsn() - restart_lsn, 'safe', safe_wal_size)
       from pg_replication_slots where slot_name = ${literal(slotName(this.#ctx.name))}))`;
    try {
      const { stdout } = await this.#ctx.run.text(psqlCommand(this.#ctx, ['-c', statement]), {
        signal: this.#ctx.signal,
        timeoutMs: ANSWER_MS,
      });
      return JSON.parse(stdout) as Seen;
    } catch {
      // Why it does not answer is said by whoever connects next; here it only counts that it does not.
      return undefined;
    }
  }

  #tellSlot({ slot }: Seen): void {
    if (!slot) return;
    const behind = BigInt(slot.behind ?? 0);
    const warn = (text: string): void => this.#ctx.report.emit({ type: 'warning', text });
    if (slot.status !== this.#status && slot.status === 'unreserved')
      warn(
        `the server is about to give up our slot: ${formatBytes(Number(behind))} of WAL are not in enough stores (max_slot_wal_keep_size)`,
      );
    if (slot.status !== this.#status && slot.status === 'lost')
      warn(
        'the server gave up our slot (max_slot_wal_keep_size, or idle_replication_slot_timeout): until the stores have caught up, the spool alone holds what they lack',
      );
    this.#status = slot.status;
    if (behind < this.#grown) {
      if (behind < GROWN) this.#grown = GROWN;
      return;
    }
    const left = slot.safe === null ? '' : `, and it gives up the slot ${formatBytes(Math.max(0, Number(slot.safe)))} later`;
    warn(`the server keeps ${formatBytes(Number(behind))} of WAL that are not in enough stores${left}`);
    while (this.#grown <= behind) this.#grown *= 2n;
  }
}
