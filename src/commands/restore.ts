import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Opened } from '../app.ts';
import type { RestoreRequest, Want } from '../core/contracts.ts';
import { BkpError, type ExitName } from '../core/errors.ts';
import { checkId } from '../core/id.ts';
import { formatLsn, parseLsn } from '../core/postgres/lsn.ts';
import { type OptionValue, restoreOptions } from '../core/restoreOptions.ts';
import { type Restored, strayOption } from '../core/strayOption.ts';
import { readTargetTime, type TargetTime } from '../core/time.ts';
import { formatAge } from '../report/format.ts';
import { confirm } from './confirm.ts';
import { isFullDr } from './fulldr/parts.ts';
import { restoreStackCommand, type StackFlags } from './fulldr/restore.ts';
import { secure } from './secure.ts';
import type { Run, Session } from './session.ts';

interface Flags extends StackFlags {
  latest?: boolean;
  fromBackup?: string;
  targetTime?: string;
  targetLsn?: string;
  targetXid?: string;
  targetName?: string;
  owner?: string;
  tablespace?: ReadonlyMap<string, string>;
  serve?: boolean;
  online?: boolean;
}

/** `OLD=NEW`, gathered. A `=` inside OLD is written as `\\=`, as pg_basebackup has it. */
function pairs(text: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const [, old, to] = /^((?:\\.|[^=\\])+)=(.+)$/s.exec(text) ?? [];
  if (old === undefined || to === undefined) throw new InvalidArgumentError('It is two paths with a = between them: OLD=NEW.');
  const name = old.replace(/\\(.)/g, '$1');
  if (before.has(name)) throw new InvalidArgumentError(`${name} has a place already.`);
  return new Map([...before, [name, to]]);
}

function wantOf(session: Session, flags: Flags): Want {
  if (flags.targetTime !== '') refuseEmpty(flags);
  const given = [flags.latest, flags.targetTime, flags.targetLsn, flags.targetXid, flags.targetName].filter(
    each => each !== undefined,
  ).length;
  if (given > 1)
    throw new BkpError('usage', 'only one of --latest, --target-time, --target-lsn, --target-xid and --target-name can be the target');
  if (given === 0 && flags.fromBackup === undefined) {
    throw new BkpError('usage', 'nothing says what to restore to', {
      next: [
        '--latest = everything that was archived',
        '--target-time "2026-01-15 14:30:00"',
        '--from-backup ID = the state at the end of that backup',
      ],
    });
  }
  const time = flags.targetTime === undefined ? undefined : timeOf(session, flags.targetTime);
  const backup = flags.fromBackup === undefined || flags.fromBackup === 'latest' ? flags.fromBackup : checkId(flags.fromBackup);
  return {
    ...(flags.latest ? { latest: true } : {}),
    ...(backup ? { backup } : {}),
    ...(time ? { time: time.utc, exact: time.exact } : {}),
    ...(flags.targetLsn ? { lsn: formatLsn(parseLsn(flags.targetLsn)) } : {}),
    ...(flags.targetXid ? { xid: flags.targetXid } : {}),
    ...(flags.targetName ? { point: flags.targetName } : {}),
  };
}

function timeOf(session: Session, text: string): TargetTime {
  const now = new Date();
  const time = readTargetTime(text, session.app.config.timezone, now);
  session.report.emit({ type: 'note', text: `target time: ${time.reading} (${formatAge(time.utc, now)})` });
  return time;
}

/** The long name of an option as it is typed, without the dashes before it. */
const dashed = (name: string): string => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);

/** What is given and empty was meant to be something: a variable that was not set, as a rule. */
function refuseEmpty(flags: Flags): void {
  const [empty] = Object.entries(flags).find(([, value]) => value === '' || (Array.isArray(value) && value.includes(''))) ?? [];
  if (empty)
    throw new BkpError('usage', `--${dashed(empty)} is empty`, {
      next: 'give it a value, or leave it out',
    });
  if (flags.targetXid !== undefined && !/^\d{1,20}$/.test(flags.targetXid))
    throw new BkpError('usage', `"${flags.targetXid}" is no id of a transaction: those are whole numbers, like 734`);
  if (flags.targetName !== undefined && Buffer.byteLength(flags.targetName) > 63)
    throw new BkpError('usage', 'a restore point has a name of 63 bytes at most: pg_create_restore_point takes no longer one');
}

/** What is given and would do nothing was meant to do something. */
function refuseStray(flags: Flags, to: Restored): void {
  const given = Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [dashed(name)]));
  const stray = strayOption(given, to);
  if (stray) throw new BkpError('usage', stray.text, stray.next ? { next: stray.next } : {});
}

/** The options that only this kind has. */
function ownOptions(flags: Flags, kind: string): Record<string, OptionValue> {
  const given = flags as Readonly<Record<string, unknown>>;
  const own = kindOptions().flatMap(([of, option]) => (of === kind ? [[option.name(), given[option.attributeName()]]] : []));
  return Object.fromEntries(own.filter((pair): pair is [string, OptionValue] => pair[1] !== undefined));
}

/** `--online` goes into the running source; what it is called stands where a directory would. */
function onlinePlace({ target, ctx }: Opened, flags: Flags, kind: string): string {
  if (!target.online)
    throw new BkpError('usage', `${kind} cannot be restored into a running server`, { next: `bkp restore ${kind} ${ctx.name} --to DIR` });
  if (flags.to !== undefined) throw new BkpError('usage', '--online and --to are two places');
  return target.online(ctx);
}

/** The directory of a restore. Throws BkpError('refused' | 'usage') when nothing names it. */
function place({ target, ctx }: Opened, flags: Flags, kind: string, named: boolean): string {
  if (flags.to === undefined && !named && !process.stdin.isTTY) {
    throw new BkpError('refused', 'without a terminal a restore wants to be told where to: nothing is taken by default', {
      next: ['--to DIR', `or name the entry: bkp restore ${kind} ${ctx.name}`],
    });
  }
  const to = flags.to ?? (ctx.config as { dataDir?: string }).dataDir;
  if (to) return target.elsewhere?.(to) ? to : resolve(to);
  throw new BkpError('usage', `nothing says where to restore ${kind}/${ctx.name}`, {
    next: ['--to DIR', 'or `dataDir:` in the entry', ...(target.online ? [`or --online, into ${target.online(ctx)}`] : [])],
  });
}

async function restore(session: Session, kind: string, name: string | undefined, flags: Flags) {
  const { restoreTarget } = await import('../ops/restore.ts');
  const env = session.app.env(session.options.env);
  const want = wantOf(session, flags);
  const opened = session.app.target(session.options.env, kind, name, {
    ...(flags.from ? { from: flags.from } : {}),
    ...(env.restoresFrom ? { backupsOf: env.restoresFrom } : {}),
  });
  const { engine } = opened.ctx.config as { engine?: string };
  refuseStray(flags, { kind, online: flags.online ?? false, ...(engine ? { engine } : {}) });
  const request: RestoreRequest = {
    want,
    to: flags.online ? onlinePlace(opened, flags, kind) : place(opened, flags, kind, name !== undefined),
    ...(flags.online ? { online: true, secure: () => secure(session, opened.target, kind, opened.ctx.name) } : {}),
    options: ownOptions(flags, kind),
    force: flags.force ?? false,
    serve: flags.serve ?? false,
    dryRun: flags.dryRun ?? false,
    ...(flags.owner ? { owner: flags.owner } : {}),
    ...(flags.tablespace ? { tablespaces: flags.tablespace } : {}),
    confirm: plan => confirm(session, env, flags, plan),
  };
  const began = Date.now();
  const reached = await restoreTarget(opened.target, opened.ctx, request, randomBytes(16));
  if (!reached) {
    session.result({ dryRun: true }, ['dry run: nothing was changed']);
    return 'done' as const;
  }
  const seconds = Math.round((Date.now() - began) / 100) / 10;
  const { at, lsn, next, facts, differs = [] } = reached;
  session.outcome({
    target: `${kind}/${opened.ctx.name}`,
    exit: differs.length > 0 ? 'partial' : 'done',
    message: [`back in ${request.to}`, ...differs].join('; '),
  });
  const where = [at ? `${lsn ? 'last commit' : 'state of'} ${at.toISOString()}` : undefined, lsn ? `LSN ${lsn}` : undefined]
    .filter(Boolean)
    .join(', ');
  session.result(
    {
      ...(at ? { reachedAt: at.toISOString() } : {}),
      ...(lsn ? { lsn } : {}),
      seconds,
      facts,
      next,
      ...(differs.length > 0 ? { differs } : {}),
    },
    [`${kind}/${opened.ctx.name} is back in ${request.to}: ${where}${where ? '; ' : ''}${seconds} s`, ...next.map(line => `  → ${line}`)],
  );
  return differs.length > 0 ? ('partial' as const) : ('done' as const);
}

/** The whole stack goes another way than one target. */
function stackOrTarget(session: Session, kind: string, name: string | undefined, flags: Flags): Promise<ExitName> {
  if (!isFullDr(kind)) return restore(session, kind, name, flags);
  refuseStray(flags, { kind, online: false });
  if (name !== undefined) throw new BkpError('usage', `full-dr is the whole of an environment and has no entry "${name}"`);
  return restoreStackCommand(session, wantOf(session, flags), flags);
}

const gathered = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

/** Every kind's own options, each with its kind. */
const kindOptions = (): [string, Option][] =>
  Object.entries(restoreOptions).flatMap(([kind, options]) =>
    options.map(({ flags, text, many }): [string, Option] => {
      const option = new Option(flags, `${kind}: ${text}`);
      return [kind, many ? option.argParser(gathered) : option];
    }),
  );

/** `bkp restore <target> [name]`. */
export const restoreCommand = (run: Run): Command => {
  const command = new Command('restore')
    .description('bring a target back into an empty place; what is there is never destroyed')
    .argument('<target>', 'kind of target, e.g. postgres; full-dr = the whole environment')
    .argument('[name]', 'entry of that kind')
    .option('--latest', 'everything that was archived')
    .option('--from-backup <id>', 'this backup (full-dr: this set), or `latest`; without a target below: its own end')
    .option('--target-time <time>', 'the last state at or before this time, e.g. "2026-01-15 14:30:00"')
    .option('--target-lsn <lsn>', 'PostgreSQL: up to this LSN')
    .option('--target-xid <xid>', 'PostgreSQL: up to this transaction')
    .option('--target-name <name>', 'PostgreSQL: up to this named restore point')
    .option('--to <dir>', 'where to; default: `dataDir` of the entry; volumes: also claim:NAMESPACE/NAME')
    .option('--from <store>', 'from this store only')
    .option('--owner <user>', 'who owns the restored files when bkp runs as root')
    .option('--tablespace <old=new>', 'PostgreSQL: where a tablespace goes, by its path or name on the source; once for each', pairs)
    .option('--online', 'into the running server instead of a directory; what it holds now is backed up first')
    .option('--serve', 'PostgreSQL: leave the copy running on a private socket')
    .option('--skip <part>', 'full-dr: leave this kind or kind/name out; once for each', gathered)
    .option('--journal <file>', 'full-dr: where it writes how far it has come; default: below $XDG_STATE_HOME/bkp')
    .option('--restart', 'full-dr: do not go on with what was cut short, begin anew')
    .option('--dry-run', 'show the plan and change nothing')
    .option('--yes', 'do not ask')
    .addOption(new Option('--confirm-env <name>', 'name of a protected environment, with --yes'))
    .option('--force', 'move what is there aside under a dated name')
    .action((kind: string, name: string | undefined, flags: Flags) =>
      run(
        session => stackOrTarget(session, kind, name, flags),
        flags.dryRun ? undefined : { verb: 'restore', kind, name, asks: !flags.yes },
      ),
    );
  for (const [, option] of kindOptions()) command.addOption(option);
  return command;
};
