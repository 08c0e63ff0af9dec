import { resolve } from 'node:path';
import { Command } from 'commander';
import type { TargetContext } from '../core/contracts.ts';
import { BkpError, type ExitName } from '../core/errors.ts';
import type { ReportMaterial } from '../core/reportMaterial.ts';
import type { Run, Session } from './session.ts';

interface Flags {
  from?: string;
  out: string;
  force?: boolean;
}

/** The targets whose backups are restored in the environment, with the one store that was asked for, or all of each. */
function targetsOf({ app, options }: Session, from: string | undefined): TargetContext[] {
  const origin = app.env(app.env(options.env).restoresFrom ?? options.env);
  const chosen = app
    .select(origin.name)
    .filter(({ kind, name }) => from === undefined || origin.targets[kind]?.[name]?.stores.includes(from));
  if (chosen.length === 0)
    throw new BkpError('usage', `no target of environment ${origin.name} has a store "${from}"`, {
      next: `--from with one of: ${Object.keys(origin.stores).join(', ')}`,
    });
  return chosen.map(({ kind, name }) => app.target(origin.name, kind, name, from === undefined ? {} : { from }).ctx);
}

/** How many drills there are and how the newest ended: the report may be of a failure although it was made. */
async function told({ drills, env, at }: ReportMaterial, files: readonly string[]): Promise<string[]> {
  const { formatMoment } = await import('../report/evidence/words.ts');
  const newest = drills.at(-1);
  const last = newest
    ? `the newest, ${newest.scope} in ${newest.drilledIn}, begun ${formatMoment(newest.startedAt, at)}: ${newest.result.toUpperCase()}`
    : `nothing shows that the backups of ${env} come back`;
  return [`report of ${drills.length} drill(s) of ${env}; ${last}`, ...files];
}

async function make(session: Session, { from, out, force }: Flags): Promise<ExitName> {
  const [{ gatherMaterial }, { writeReport }, { renderReport }] = await Promise.all([
    import('../ops/report/gather.ts'),
    import('../ops/report/write.ts'),
    import('../report/evidence/index.ts'),
  ]);
  const { material, signed } = await gatherMaterial(targetsOf(session, from), `bkp ${session.version}`);
  for (const text of material.leftOut) session.report.emit({ type: 'warning', text });
  const files = await writeReport(resolve(out), renderReport(material), { signed, force: force ?? false });
  const newest = material.drills.at(-1);
  const exit: ExitName = material.leftOut.length > 0 ? 'partial' : 'done';
  const { env, drills, leftOut } = material;
  const shown = newest ? { newest: { id: newest.id, startedAt: newest.startedAt, result: newest.result } } : {};
  session.result({ exit, env, drills: drills.length, ...shown, files, leftOut }, await told(material, files));
  return exit;
}

/** `bkp report`: what the drills on record showed, as a page, Markdown, JUnit XML and JSON. */
export const reportCommand = (run: Run): Command =>
  new Command('report')
    .description(
      'what the drills on record showed: one HTML page with RTO, RPO and sizes over time, Markdown, JUnit XML and JSON; exit 3 when a record or a store is left out',
    )
    .option('--from <store>', 'this store only')
    .option('--out <dir>', 'directory to write into', 'bkp-report')
    .option('--force', 'write into a directory that holds other things: files of the same names are replaced')
    .action((flags: Flags) => run(session => make(session, flags)));
