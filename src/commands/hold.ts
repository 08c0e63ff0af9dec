import { Command } from 'commander';
import { BkpError, type ExitName } from '../core/errors.ts';
import { checkId } from '../core/id.ts';
import type { Holding } from '../ops/records/hold.ts';
import { formatAge, formatInstant, formatTable } from '../report/format.ts';
import { firstOf, gather } from './everywhere.ts';
import type { Run, Session } from './session.ts';

interface Flags {
  until?: string;
  reason?: string;
  list?: boolean;
  release?: boolean;
}

const misused = (why: string): BkpError =>
  new BkpError('usage', why, { next: ['bkp hold ID --reason TEXT [--until WHEN]', 'bkp hold ID --release', 'bkp hold --list'] });

/** Refuses what does not belong together: a word too many must not hold, or release, something else than was meant. */
function checkFlags(id: string | undefined, name: string | undefined, { list, release, until, reason }: Flags): void {
  const telling = until !== undefined || reason !== undefined;
  if ((list || release) && telling) throw misused('--until and --reason go with a hold that begins');
  if (list && release) throw misused('--list and --release do not go together');
  if (list) return;
  if (id === undefined) throw misused('the id of a backup is missing');
  if (name !== undefined) throw misused(`"${name}" is one word too many: ids are unique, so no target is named`);
  checkId(id);
  if (!release && !reason?.trim()) throw misused('--reason is missing: others have to see why a backup is held');
}

const copies = ({ stores }: Holding): string =>
  stores.map(({ store, ok, error }) => `${store} ${ok ? 'ok' : `FAILED (${error})`}`).join(', ');

async function begin(session: Session, id: string, { until, reason = '' }: Flags): Promise<ExitName> {
  const { hold } = await import('../ops/records/hold.ts');
  const { readUntil } = await import('../ops/records/until.ts');
  const end = until === undefined ? undefined : readUntil(until, session.app.config.timezone, new Date());
  const absent = new BkpError('notFound', `no store of any target has a backup ${id}`, { next: 'bkp list' });
  const options = { reason: reason.trim(), ...(end ? { until: end } : {}) };
  const found = await firstOf(session, ctx => hold(ctx, id, options), absent);
  const words = end ? `until ${formatInstant(end)} (${formatAge(end, new Date())})` : 'until it is released';
  const json = { ...found, action: 'hold', until: end?.toISOString() ?? null, reason: options.reason };
  session.result(json, [`${id} of ${found.target} is held ${words}: ${copies(found)}`]);
  return found.exit;
}

async function end(session: Session, id: string): Promise<ExitName> {
  const { release } = await import('../ops/records/hold.ts');
  const absent = new BkpError('notFound', `no store of any target has a hold on backup ${id}`, { next: 'bkp hold --list' });
  const found = await firstOf(session, ctx => release(ctx, id), absent);
  session.result({ ...found, action: 'release' }, [`${id} of ${found.target} is held no longer: ${copies(found)}`]);
  return found.exit;
}

async function show(session: Session, kind?: string, name?: string): Promise<ExitName> {
  const { holdsOf } = await import('../ops/records/hold.ts');
  const { rows, exit } = await gather(session, kind, name, async ctx => {
    const { holds, problems } = await holdsOf(ctx);
    return { found: holds, problems };
  });
  const until = (at: Date | null, ended: boolean): string => (at ? `${formatInstant(at)}${ended ? ' (ended)' : ''}` : 'released');
  const table = formatTable(
    ['TARGET', 'ID', 'STORES', 'UNTIL', 'REASON', 'BY', 'SINCE'],
    rows.map(row => [
      row.target,
      row.id,
      row.stores.join(', '),
      until(row.until, row.ended),
      row.reason,
      row.by ?? '?',
      row.at ? formatInstant(row.at) : '?',
    ]),
  );
  const env = session.app.env(session.options.env).name;
  session.result({ env, holds: rows }, rows.length > 0 ? table : [`no holds on backups of ${kind ?? 'anything'} in ${env}`]);
  return exit;
}

/** `bkp hold`: keeps one backup from every prune, until a time or until it is released. */
export const holdCommand = (run: Run): Command =>
  new Command('hold')
    .description('keep one backup whatever retention says, end that, or list what is held')
    .argument('[id]', 'id of a backup; with --list a kind of target')
    .argument('[name]', 'with --list: entry of that kind')
    .option('--until <when>', 'a day (2027-01-01), an instant (2027-01-01T12:00:00Z), or a duration from now (90d); else until released')
    .option('--reason <text>', 'why, for whoever sees it in a plan of prune')
    .option('--release', 'hold it no longer')
    .option('--list', 'show what is held')
    .action((id: string | undefined, name: string | undefined, flags: Flags) =>
      run(async session => {
        checkFlags(id, name, flags);
        if (flags.list) return show(session, id, name);
        return flags.release ? end(session, id!) : begin(session, id!, flags);
      }),
    );
