import { createInterface } from 'node:readline';
import { type Postgres, type Running, start } from '../../test/real/rig/index.ts';

export const EVERY_MS = 50;

/** What one row went through, by the client's clock (ms). */
export interface Order {
  sent: number;
  acknowledged?: number;
}

const statement = (n: number): string =>
  `insert into visits values (${n}) returning 'visit', n;\ninsert into orders values (${n}, ${n} * 9.90, clock_timestamp()) returning 'order', id;\n`;

/**
 * A shop's worth of commits: every 50 ms one row in `visits` and one in `orders`, over one connection. A row counts only from the
 * moment that the server's acknowledgement was read.
 */
export class Load {
  readonly orders = new Map<number, Order>();
  /** Acknowledgement of each visit, by number. */
  readonly visits = new Map<number, number>();
  readonly #psql: Running;
  readonly #timer: NodeJS.Timeout;
  #next = 1;

  constructor(server: Postgres) {
    const args = ['-XqAt', '-F', ' ', '-d', 'postgres', '-f', '-'];
    this.#psql = start(server.tool('psql'), args, { env: server.superEnv, keepInput: true });
    const out = this.#psql.process.stdout;
    if (out) createInterface({ input: out }).on('line', line => this.#acknowledge(line));
    this.#timer = setInterval(() => this.#send(), EVERY_MS);
  }

  #send(): void {
    const n = this.#next++;
    this.orders.set(n, { sent: Date.now() });
    this.#psql.process.stdin?.write(statement(n));
  }

  #acknowledge(line: string): void {
    const [what, id] = line.split(' ');
    const order = this.orders.get(Number(id));
    if (what === 'visit') this.visits.set(Number(id), Date.now());
    if (what === 'order' && order) order.acknowledged = Date.now();
  }

  /** Sends nothing more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#psql.process.stdin?.end();
    await this.#psql.ended;
  }

  /** Numbers of the orders acknowledged up to an instant: these must come back. */
  acknowledgedBy(at: number): number[] {
    return [...this.orders].filter(([, order]) => (order.acknowledged ?? Infinity) <= at).map(([id]) => id);
  }

  /** Numbers of the orders sent after an instant: these must not come back. */
  sentAfter(at: number): number[] {
    return [...this.orders].filter(([, order]) => order.sent > at).map(([id]) => id);
  }
}

/** The tables that the load fills. */
export const TABLES = `
  create table visits (n bigint primary key);
  create table orders (id bigint primary key, amount numeric(12, 2) not null, placed_at timestamptz not null);
`;
