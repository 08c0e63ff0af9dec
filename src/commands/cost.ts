import { Command } from 'commander';
import type { Price } from '../core/config/index.ts';
import { formatMoney } from '../core/cost.ts';
import { BkpError, type ExitName, sentence } from '../core/errors.ts';
import type { StoreCost } from '../ops/cost.ts';
import { formatBytes, formatTable } from '../report/format.ts';
import type { Run, Session } from './session.ts';

const money = (amount: number | undefined, price: Price | undefined): string =>
  amount === undefined || !price ? '?' : formatMoney(amount, price.currency);

const table = (costs: readonly StoreCost[]): string[] =>
  formatTable(
    ['STORE', 'OBJECTS', 'STORED', 'HIDDEN', 'A MONTH', 'A DRILL READS', 'COSTS', 'PRICES OF'],
    costs.map(({ store, objects, bytes, hidden, perMonth, drillBytes, drill, price, error }) =>
      error
        ? [store, '?', '?', '?', '?', '?', '?', '']
        : [
            store,
            String(objects),
            formatBytes(bytes),
            hidden.bytes > 0 ? `${formatBytes(hidden.bytes)} in ${hidden.objects}` : '-',
            money(perMonth, price),
            formatBytes(drillBytes),
            money(drill, price),
            price?.asOf ?? 'no `price:`',
          ],
    ),
  );

/** Sums by currency: what is not known is not in them. */
function sums(costs: readonly StoreCost[]): string[] {
  const by = new Map<string, number>();
  for (const { perMonth, price } of costs) if (price) by.set(price.currency, (by.get(price.currency) ?? 0) + (perMonth ?? 0));
  return [...by].map(([currency, amount]) => `together: ${formatMoney(amount, currency)} a month`);
}

async function show(session: Session, from: string | undefined): Promise<ExitName> {
  const { costOf } = await import('../ops/cost.ts');
  const env = session.app.env(session.options.env);
  const stack = session.app.stack(session.options.env, { from, shut: 'all' });
  const prices = new Map(Object.entries(env.stores).flatMap(([name, { price }]): [string, Price][] => (price ? [[name, price]] : [])));
  const contexts = session.app.select(session.options.env).flatMap(({ kind, name }) => {
    try {
      return [session.app.target(session.options.env, kind, name).ctx];
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      session.report.emit({ type: 'warning', text: `${kind}/${name} is not counted in what a drill reads: ${sentence(error)}` });
      return [];
    }
  });
  const costs = await costOf(stack, contexts, prices);
  const silent = costs.filter(({ error }) => error !== undefined);
  for (const { store, error } of silent) session.report.emit({ type: 'warning', text: `store ${store}: ${error}` });
  session.result({ env: env.name, stores: costs }, [...table(costs), ...sums(costs)]);
  if (silent.length === 0) return 'done';
  return silent.length < costs.length ? 'partial' : 'storeUnreachable';
}

/** `bkp cost`: what the stores hold, hidden versions too, and what that costs. */
export const costCommand = (run: Run): Command =>
  new Command('cost')
    .description('bytes stored and billed in each store, old versions included, what they cost a month, and what a drill reads')
    .option('--from <store>', 'this store only')
    .action(({ from }: { from?: string }) => run(session => show(session, from)));
