import { Command } from 'commander';
import { BkpError, type ExitName } from '../core/errors.ts';
import { gathered } from '../ops/gathered.ts';
import type { Copy, Row } from '../ops/list.ts';
import { formatAge, formatBytes, formatInstant, formatTable } from '../report/format.ts';
import { withEach } from './everywhere.ts';
import { showSets } from './fulldr/list.ts';
import { isFullDr } from './fulldr/parts.ts';
import { type Run, type Session, worst } from './session.ts';
import { showWindows } from './window.ts';

const MARK: Readonly<Record<Copy, string>> = { whole: 'ok', damaged: 'DAMAGED', absent: '-', unknown: '?' };

const baseNotes = ({ parent, chain = [], chainBytes = 0 }: Row): string[] =>
  parent === undefined ? [] : [`incremental on ${parent} (chain of ${chain.length + 1}, ${formatBytes(chainBytes)})`];

const table = (rows: readonly Row[], now: Date): string[] =>
  formatTable(
    ['TARGET', 'ID', 'AGE', 'RECOVERY POINT', 'SIZE', 'COPIES', 'NOTES'],
    rows.map(row => [
      `${row.kind}/${row.name}`,
      row.id,
      formatAge(new Date(row.startedAt), now),
      formatInstant(new Date(row.recoveryPointAt)),
      formatBytes(row.bytes),
      Object.entries(row.copies)
        .map(([store, copy]) => `${store} ${MARK[copy]}`)
        .join(', '),
      [
        ...baseNotes(row),
        ...(row.spread ? [`whole in ${row.spread.join(' and ')} together`] : []),
        ...(row.anomaly ? ['ANOMALY'] : []),
        ...(row.warnings.length > 0 ? [`${row.warnings.length} warning(s)`] : []),
      ].join(', '),
    ]),
  );

/** Lists what the stores show; zero backups are said plainly. Exit 3 when a store or a manifest keeps something from being seen. */
export async function showList(session: Session, kind?: string, name?: string, options: { from?: string } = {}): Promise<ExitName> {
  const { listTarget } = await import('../ops/list.ts');
  const rows: Row[] = [];
  const ends: ExitName[] = [];
  await withEach(
    session,
    { kind, name, ...options },
    async ({ ctx }) => {
      const seen = await listTarget(ctx);
      rows.push(...seen.rows);
      for (const { store, key, error } of gathered(seen.problems))
        session.report.emit({ type: 'warning', text: `store ${store}${key ? `, ${key}` : ''}: ${error}` });
      ends.push(seen.problems.length > 0 ? 'partial' : 'done');
    },
    () => ends.push('partial'),
  );
  const env = session.app.env(session.options.env).name;
  const end = worst(ends);
  const none = `no backups of ${kind ?? 'anything'} ${end === 'done' ? `in ${env} yet` : `can be seen in ${env}`}`;
  session.result({ env, backups: rows }, rows.length > 0 ? table(rows, new Date()) : [none]);
  return end;
}

interface Flags {
  window?: boolean;
  from?: string;
}

/** `bkp list [target] [name]`: the backups, or with `--window` what can be reached by them and the log. */
export const listCommand = (run: Run): Command =>
  new Command('list')
    .description('backups with age, recovery point, size and the state of each copy; with --window what times can be restored')
    .argument('[target]', 'kind of target; full-dr = the sets')
    .argument('[name]', 'entry of that kind')
    .option('--window', 'from when to when every instant can be restored, by store, with gaps, timelines and lineages')
    .option('--from <store>', 'this store only')
    .action((kind: string | undefined, name: string | undefined, flags: Flags) =>
      run(session => {
        const from = flags.from === undefined ? {} : { from: flags.from };
        if (isFullDr(kind) && flags.window)
          throw new BkpError('usage', 'a set is one state of the whole stack, and has no window', {
            next: ['bkp list --window', 'bkp points'],
          });
        if (isFullDr(kind)) return showSets(session, from);
        return (flags.window ? showWindows : showList)(session, kind, name, from);
      }),
    );
