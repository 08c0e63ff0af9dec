import { Command } from 'commander';
import type { Holding } from '../core/contracts.ts';
import type { ExitName } from '../core/errors.ts';
import { formatAge, formatTable } from '../report/format.ts';
import type { Run, Session } from './session.ts';

const stateOf = ({ coveredBy, empty }: Holding): string => (coveredBy ? 'ok' : empty ? 'empty' : 'NONE');

const table = (rows: readonly Holding[], now: Date): string[] =>
  formatTable(
    ['STATE', 'WHAT', 'NAME', 'BACKUP', 'DETAIL'],
    rows.map(row => [
      stateOf(row),
      row.kind,
      row.id && row.id !== row.name ? `${row.name} (${row.id})` : row.name,
      row.coveredBy ? `${row.coveredBy.target} ${row.coveredBy.backup}, ${formatAge(new Date(row.coveredBy.at), now)}` : '-',
      [row.why, row.detail].filter(Boolean).join('; '),
    ]),
  );

async function show(session: Session): Promise<ExitName> {
  const { coverageOf, holdingsOf } = await import('../ops/coverage.ts');
  const env = session.app.env(session.options.env);
  const known: Holding[] = [];
  const opened = [...session.app.targets(session.options.env)];
  for (const { target, ctx } of opened) known.push(...(await holdingsOf(target, ctx)));
  const rows = await coverageOf(opened[0]!.ctx, known, env.cluster);
  const open = rows.filter(row => stateOf(row) === 'NONE');
  session.result({ env: env.name, holdings: rows.map(row => ({ state: stateOf(row).toLowerCase(), ...row })) }, [
    ...table(rows, new Date()),
    ...(env.cluster ? [] : [`the cluster was not looked at: name it by environments.${env.name}.cluster (an empty map is kubectl's own)`]),
    open.length === 0
      ? `nothing that was looked at in ${env.name} is without a backup`
      : `${open.length} of ${rows.length} are in no backup`,
  ]);
  return open.length === 0 ? 'done' : 'unhealthy';
}

/** `bkp coverage`: what holds data, and which backup has it. */
export const coverageCommand = (run: Run): Command =>
  new Command('coverage')
    .description('every server, volume, claim, host path and tablespace, and which backup holds it; exit 10 when one is in none')
    .action(() => run(show));
