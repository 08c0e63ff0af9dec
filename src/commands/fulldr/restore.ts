import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { Want } from '../../core/contracts.ts';
import { BkpError, type ExitName } from '../../core/errors.ts';
import { makeId } from '../../core/id.ts';
import type { SetMember } from '../../core/set.ts';
import { xdgHome } from '../../core/xdg.ts';
import type { Asked } from '../../ops/fulldr/choose.ts';
import { isSame, partName } from '../../ops/fulldr/part.ts';
import type { PartResult } from '../../ops/fulldr/restore.ts';
import { gathered } from '../../ops/gathered.ts';
import { formatTable } from '../../report/format.ts';
import { confirm } from '../confirm.ts';
import { secure } from '../secure.ts';
import { type Session, worst } from '../session.ts';
import { meant, partsOf } from './parts.ts';
import { runbook } from './runbook.ts';

/** The flags of `bkp restore` that full-dr knows. */
export interface StackFlags {
  to?: string;
  from?: string;
  skip?: readonly string[];
  journal?: string;
  restart?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  confirmEnv?: string;
  force?: boolean;
}

async function askedOf(session: Session, origin: string, want: Want, from: string | undefined): Promise<Asked> {
  if (want.lsn ?? want.xid ?? want.point)
    throw new BkpError('usage', 'full-dr is brought back to a time, to a set or to the newest that there is', {
      next: '--latest, --target-time TIME or --from-backup SET',
    });
  if (want.backup !== undefined && want.backup !== 'latest') {
    if (want.time ?? want.latest)
      throw new BkpError('usage', 'a set and a time are two things to be brought back to', { next: 'leave one out' });
    const { readSets } = await import('../../ops/fulldr/sets.ts');
    const { sets, problems } = await readSets(session.app.stack(origin, from ? { from } : {}));
    const found = sets.find(({ set }) => set.id === want.backup);
    if (found) return { set: found.set };
    throw new BkpError('notFound', `${origin} has no set ${want.backup}`, {
      next: ['bkp list full-dr', ...gathered(problems).map(({ store, error }) => `store ${store} has a problem: ${error}`)],
    });
  }
  return want.time ? { time: want.time } : { latest: true };
}

/**
 * What a set has a backup of and the config does not know, as after an entry was renamed, would be missing without a word.
 * @throws BkpError('refused')
 */
function refuseUnknown(session: Session, members: readonly SetMember[], skip: readonly string[]): void {
  const all = session.app.select(session.options.env);
  const unknown = members
    .filter(member => member.backup !== undefined && !all.some(each => isSame(each, member)))
    .filter(member => !skip.some(text => meant(text, member)))
    .map(partName);
  if (unknown.length === 0) return;
  throw new BkpError('refused', `the set has a backup of ${unknown.join(', ')}, and the config has no such entry: it would not come back`, {
    next: ['take it back into the config, under the name that it had', unknown.map(name => `--skip ${name}`).join(' ')],
  });
}

/** Where the journal of this environment stands on this host. */
function journalOf(env: string, flags: StackFlags): string {
  if (flags.journal !== undefined) return resolve(flags.journal);
  const home = xdgHome(process.env, 'XDG_STATE_HOME');
  if (home) return join(home, 'bkp', `restore-${env}.json`);
  throw new BkpError('usage', 'nothing says where the journal of the restore goes: neither XDG_STATE_HOME nor HOME is set', {
    next: '--journal FILE',
  });
}

const wordsOf = (env: string, want: Want, flags: StackFlags): string =>
  [
    ...['bkp', '--env', env, 'restore', 'full-dr'],
    ...(want.time ? ['--target-time', want.time.toISOString()] : []),
    ...(want.backup && want.backup !== 'latest' ? ['--from-backup', want.backup] : []),
    ...(want.time || (want.backup && want.backup !== 'latest') ? [] : ['--latest']),
    ...(flags.to ? ['--to', resolve(flags.to)] : []),
    ...(flags.from ? ['--from', flags.from] : []),
    ...[...(flags.skip ?? [])].sort().flatMap(each => ['--skip', each]),
  ].join(' ');

const STATE = { back: 'back', failed: 'FAILED', blocked: 'WAITS' } as const;

const table = (parts: readonly PartResult[]): string[] =>
  formatTable(
    ['WAVE', 'PART', 'STATE', 'REACHED', 'SECONDS', 'WHERE'],
    parts.map(part => [
      String(part.wave + 1),
      `${part.kind}/${part.name}`,
      part.before ? 'back before' : part.differs ? 'back, DIFFERS' : STATE[part.state],
      part.reachedAt ?? '-',
      part.seconds === undefined ? '-' : String(part.seconds),
      part.to,
    ]),
  );

const told = (parts: readonly PartResult[]): string[] =>
  parts.flatMap(({ kind, name, state, error, next }) => [
    ...(state === 'back' ? [] : [`${kind}/${name}: ${STATE[state]}: ${error}`]),
    ...(next.length > 0 && state === 'back' ? [`${kind}/${name}:`] : []),
    ...next.map(line => `  → ${line}`),
  ]);

/** `bkp restore full-dr`. */
export async function restoreStackCommand(session: Session, want: Want, flags: StackFlags): Promise<ExitName> {
  const { restoreStack } = await import('../../ops/fulldr/restore.ts');
  const env = session.app.env(session.options.env);
  const origin = env.restoresFrom ?? env.name;
  session.app.stack(origin, { from: flags.from });
  const asked = await askedOf(session, origin, want, flags.from);
  const members = 'set' in asked ? asked.set.members : [];
  const parts = partsOf(session, {
    known: members,
    ...(flags.from ? { from: flags.from } : {}),
    ...(env.restoresFrom ? { backupsOf: env.restoresFrom } : {}),
    ...(flags.skip ? { skip: flags.skip } : {}),
  });
  refuseUnknown(session, members, flags.skip ?? []);
  const stack = session.app.stack(env.name, flags.from && env.stores[flags.from] ? { from: flags.from } : {});
  const result = await restoreStack(stack, parts, {
    asked,
    words: wordsOf(env.name, want, flags),
    id: makeId(stack.clock.now(), randomBytes(3)),
    journal: journalOf(env.name, flags),
    restart: flags.restart ?? false,
    force: flags.force ?? false,
    dryRun: flags.dryRun ?? false,
    random: randomBytes,
    ...(flags.to ? { root: flags.to } : {}),
    secure: ({ kind, name, opened }) => {
      if ('error' in opened) throw opened.error;
      return secure(session, opened.target, kind, name);
    },
    confirm: lines => confirm(session, env, flags, lines),
    runbook: (ready, resumed, forecast) => runbook(ready, { env: env.name, from: flags.from, now: stack.clock.now(), resumed, forecast }),
  });
  if (result.plan) {
    session.result({ dryRun: true, runbook: result.plan }, [...result.plan, 'dry run: nothing was changed']);
    return 'done';
  }
  const exit = worst(result.parts.map(part => part.exit));
  for (const part of result.parts)
    session.outcome({
      target: `${part.kind}/${part.name}`,
      exit: part.exit,
      message: part.state === 'back' ? `back in ${part.to}` : `${STATE[part.state]}: ${part.error}`,
    });
  const back = result.parts.filter(({ state }) => state === 'back').length;
  session.result({ exit, env: env.name, journal: result.journal, parts: result.parts }, [
    ...told(result.parts),
    ...table(result.parts),
    exit === 'done' || exit === 'partial'
      ? `full-dr of ${env.name} is back: ${back} part(s); the record of it is ${result.journal}`
      : `full-dr of ${env.name}: ${back} of ${result.parts.length} part(s) are back; mend what failed, and the same command goes on (${result.journal})`,
  ]);
  return exit;
}
