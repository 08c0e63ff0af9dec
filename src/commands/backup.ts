import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { isIncremental, parentsOf } from '../core/chain.ts';
import type { Manifest } from '../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../core/errors.ts';
import { policyOf } from '../core/retention.ts';
import type { Adoption } from '../ops/adopt.ts';
import type { BackupResult } from '../ops/backup/index.ts';
import { formatBytes } from '../report/format.ts';
import { backupStack } from './fulldr/backup.ts';
import { showSets } from './fulldr/list.ts';
import { isFullDr } from './fulldr/parts.ts';
import { showList } from './list.ts';
import { noticed, type Run, type Session, worst } from './session.ts';

interface Flags {
  list?: boolean;
  newLineage?: boolean;
  full?: boolean;
  acceptSize?: boolean;
  adopt?: boolean;
}

interface Outcome {
  kind: string;
  name: string;
  exit: ExitName;
  result?: BackupResult;
  /** What another tool took by itself and is stored now too. */
  adopted?: readonly Adoption[];
  error?: string;
  next?: readonly string[];
}

/** What the notifiers hear of it. */
function heardOf({ kind, name, exit, result, error }: Outcome): Parameters<Session['outcome']>[0] {
  const target = `${kind}/${name}`;
  if (!result) return { target, exit, message: error ?? exit };
  const { id, anomaly, recoveryPointAt } = result.manifest;
  const without = result.stores.flatMap(store => (store.ok ? [] : [`store ${store.name} does not hold it: ${store.error}`]));
  const faults = [...(anomaly ? [anomaly] : []), ...without, ...result.lacks, ...(result.hookError ? [result.hookError] : [])];
  const whole = `${id}, ${formatBytes(result.bytes)} stored, recovery point ${recoveryPointAt}`;
  return { target, exit, id, message: [whole, ...faults].join('; ') };
}

/** One target, which the notifiers hear of. */
async function one(session: Session, kind: string, name: string, flags: Flags): Promise<Outcome> {
  const outcome = await attempt(session, kind, name, flags);
  session.outcome(heardOf(outcome));
  return outcome;
}

async function attempt(session: Session, kind: string, name: string, flags: Flags): Promise<Outcome> {
  const { backupTarget } = await import('../ops/backup/index.ts');
  try {
    const { target, ctx, entry } = session.app.target(session.options.env, kind, name);
    const { window } = policyOf(entry.retention);
    const result = await backupTarget(target, ctx, {
      newLineage: flags.newLineage ?? false,
      full: flags.full ?? false,
      alarmBelow: entry.alarmBelow,
      acceptSize: flags.acceptSize ?? false,
      hooks: session.app.hooks(session.options.env, kind, name),
      ...(window === undefined ? {} : { window }),
      random: randomBytes(8),
      tool: `bkp ${session.version}`,
    });
    const adopted = target.pending ? await (await import('../ops/adopt.ts')).storePending(target, ctx, `bkp ${session.version}`) : [];
    return { kind, name, exit: result.exit, result, adopted };
  } catch (error) {
    session.signal.throwIfAborted();
    return {
      kind,
      name,
      exit: error instanceof BkpError ? error.exit : 'failed',
      error: sentence(error),
      next: error instanceof BkpError ? error.next : [],
    };
  }
}

const anomalous = (kind: string, name: string, anomaly: string | undefined): string[] =>
  anomaly
    ? [
        `${kind}/${name}: ANOMALY: ${anomaly}`,
        '  → look at the source: is it the right one, is everything in it?',
        `  → if it really became smaller: bkp backup ${kind} ${name} --accept-size`,
      ]
    : [];

/** One line for each that is one of ours from now on. */
const adoptionLine = (kind: string, name: string, each: Adoption): string =>
  `${kind}/${name}: ${each.id} is ${each.name}, recovery point ${each.recoveryPointAt}; ${each.stores.join(', ')}`;

const told = ({ kind, name, result, adopted, error, next }: Outcome): string[] => {
  if (!result) return [`${kind}/${name}: FAILED: ${error}`, ...(next ?? []).map(line => `  → ${line}`)];
  const copies = result.stores.map(store => `${store.name} ${store.ok ? 'ok' : `FAILED (${store.error})`}`).join(', ');
  const { parent } = baseOf(result.manifest);
  const onto = parent === undefined ? '' : `incremental on ${parent}, `;
  return [
    `${kind}/${name}: ${result.manifest.id}, ${onto}${formatBytes(result.bytes)} stored, recovery point ${result.manifest.recoveryPointAt}; ${copies}`,
    ...anomalous(kind, name, result.manifest.anomaly),
    ...(result.hookError ? [`${kind}/${name}: PARTIAL: ${result.hookError}`] : []),
    ...(adopted ?? []).map(each => adoptionLine(kind, name, each)),
  ];
};

/** Whether it holds everything, or what changed since another one. */
const baseOf = (manifest: Manifest): { base: 'full' | 'incremental'; parent?: string } => {
  const [parent] = parentsOf(manifest);
  return { base: isIncremental(manifest) ? 'incremental' : 'full', ...(parent === undefined ? {} : { parent }) };
};

const asJson = ({ kind, name, exit, result, adopted, error, next }: Outcome): Record<string, unknown> => ({
  kind,
  name,
  exit,
  ...(error ? { error, next } : {}),
  ...(result
    ? {
        id: result.manifest.id,
        bytes: result.bytes,
        recoveryPointAt: result.manifest.recoveryPointAt,
        lineage: result.manifest.lineage,
        stores: result.stores,
        healed: result.healed,
        warnings: result.manifest.warnings,
        ...baseOf(result.manifest),
        ...(adopted?.length ? { adopted } : {}),
        ...(result.hookError ? { hookError: result.hookError } : {}),
        ...(result.manifest.anomaly ? { anomaly: result.manifest.anomaly } : {}),
      }
    : {}),
});

async function adopt(session: Session, kind: string | undefined, name: string | undefined): Promise<ExitName> {
  if (kind === undefined || name === undefined)
    throw new BkpError('usage', '--adopt wants to be told whose archive it signs', { next: 'bkp backup postgres NAME --adopt' });
  const { adoptTarget } = await import('../ops/adopt.ts');
  const { target, ctx } = session.app.target(session.options.env, kind, name);
  const adopted = await adoptTarget(target, ctx, `bkp ${session.version}`);
  session.result(
    { adopted },
    adopted.map(each => adoptionLine(kind, name, each)),
  );
  return 'done';
}

async function wholeStack(session: Session, name: string | undefined, flags: Flags): Promise<ExitName> {
  if (name !== undefined) throw new BkpError('usage', `full-dr is the whole of an environment and has no entry "${name}"`);
  const { set, outcomes, exit, text } = await backupStack(session, (kind, entry) => one(session, kind, entry, flags));
  session.result({ exit, set: set.id, backups: outcomes.map(asJson) }, [...outcomes.flatMap(told), ...text]);
  return exit;
}

/** `bkp backup [target] [name]`: one, all of a kind, or everything of the environment, each with a result of its own. */
export const backupCommand = (run: Run): Command =>
  new Command('backup')
    .description('take a backup into every store of the target; without a target: of everything in the environment')
    .argument('[target]', 'kind of target, e.g. postgres; full-dr = all of it as one set')
    .argument('[name]', 'entry of that kind; all of them when left out')
    .option('--list', 'list the backups instead')
    .option('--adopt', "take none: sign those in WAL-G's archive, store those that K3s took by itself, so that they count")
    .option('--full', 'a full backup, also where an incremental one is due')
    .option('--new-lineage', 'the cluster was created anew, or WAL was lost: begin a history of its own')
    .option('--accept-size', 'the source really became smaller: this size is the usual one from now on')
    .action((kind: string | undefined, name: string | undefined, flags: Flags) =>
      noticed(
        run,
        flags.list || flags.adopt ? undefined : { verb: 'backup', kind, name },
      )(async session => {
        if (flags.list) return isFullDr(kind) ? showSets(session) : showList(session, kind, name);
        if (flags.adopt) return adopt(session, kind, name);
        if (isFullDr(kind)) return wholeStack(session, name, flags);
        const outcomes: Outcome[] = [];
        for (const each of session.app.select(session.options.env, kind, name))
          outcomes.push(await one(session, each.kind, each.name, flags));
        const [first] = outcomes;
        if (outcomes.length === 1 && first?.error) throw new BkpError(first.exit, first.error, { next: first.next ?? [] });
        const exit = worst(outcomes.map(outcome => outcome.exit));
        session.result({ exit, backups: outcomes.map(asJson) }, outcomes.flatMap(told));
        return exit;
      }),
    );
