import { Command, Option } from 'commander';
import type { LineageId } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { fitted } from '../core/render/names.ts';
import type { SettingsFormat } from '../ops/walgSettings.ts';
import type { Run, Session } from './session.ts';

interface Flags {
  store?: string;
  format: SettingsFormat;
  lineage?: string;
}

/** The lineage stands in the place where WAL-G keeps things; without an answer of a store it has to be filled in by hand. */
async function lineageOf(session: Session, name: string, flags: Flags): Promise<LineageId | undefined> {
  if (flags.lineage !== undefined) {
    if (!/^\d+-\d+$/.test(flags.lineage))
      throw new BkpError('usage', `"${flags.lineage}" is no lineage: it is a system identifier, - and a number`, {
        next: 'bkp list --window',
      });
    return flags.lineage;
  }
  try {
    const { target, ctx } = session.app.target(session.options.env, 'postgres', name);
    return await target.program?.lineage(ctx);
  } catch (error) {
    session.report.emit({ type: 'warning', text: `which lineage is the newest could not be asked: ${sentence(error)}` });
    return undefined;
  }
}

async function show(session: Session, name: string | undefined, flags: Flags) {
  const { printed } = await import('../ops/walgSettings.ts');
  const { target, ctx } = session.app.target(session.options.env, 'postgres', name, {
    shown: true,
    ...(flags.store === undefined ? {} : { from: flags.store }),
  });
  if (!target.program) throw new BkpError('usage', 'postgres has no program of its own');
  const settings = target.program.settings(ctx, ctx.stores[0]!, await lineageOf(session, ctx.name, flags));
  const text = printed(settings, flags.format, fitted(`walg-${ctx.name}`));
  session.result({ store: ctx.stores[0]!.name, format: flags.format, text }, [text]);
  return 'done' as const;
}

/** `bkp config walg [name]`: what WAL-G is told, for a person or a pod that runs it by hand. Secrets are never resolved. */
export const walgCommand = (run: Run): Command =>
  new Command('walg')
    .description('print the settings by which WAL-G works with the same archive; secrets stay ${…}')
    .argument('[name]', 'entry of postgres')
    .option('--store <store>', 'for this store; default: the first of the entry')
    .option('--lineage <lineage>', 'for this lineage; default: the newest that the stores know')
    .addOption(new Option('--format <format>', 'how they are written').choices(['env', 'yaml', 'configmap']).default('env'))
    .action((name: string | undefined, flags: Flags) => run(session => show(session, name, flags)));
