import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Environment } from '../core/config/types.ts';
import type { StackContext, TargetContext } from '../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../core/errors.ts';
import { EVERYTHING } from '../core/notify/select.ts';
import type { Outcome, Task } from '../core/notify/types.ts';
import type { Delivery } from '../ops/notify/deliver.ts';
import type { Telling } from '../ops/notify/tell.ts';
import { FULL_DR } from './fulldr/parts.ts';
import type { Session } from './session.ts';

type Action = (session: Session) => Promise<ExitName>;

/** A container that is being ended has seconds left. */
const HURRY_MS = 4000;

function environmentOf({ app, options }: Session): Environment | undefined {
  try {
    return app.env(options.env);
  } catch {
    return undefined; // The command says so itself.
  }
}

/** The targets that a command is about; where the config has none, the command says so itself. */
function targetsOf({ app, options }: Session, { kind, name }: Task): string[] {
  try {
    const whole = kind === FULL_DR;
    const all = app.select(options.env, whole ? undefined : kind, name).map(each => `${each.kind}/${each.name}`);
    return whole ? [...all, FULL_DR] : all;
  } catch {
    return [kind === undefined ? EVERYTHING : [kind, ...(name === undefined ? [] : [name])].join('/')];
  }
}

/** What cannot be opened, such as a store whose secret is missing, has been told by the command; it only leaves no record. */
function attempt<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch {
    return undefined;
  }
}

async function tellingOf(session: Session, env: Environment, task: Task): Promise<Telling | undefined> {
  const [{ hearing }, { NOTIFY, notifierContext }, { redact }] = await Promise.all([
    import('../ops/notify/tell.ts'),
    import('../ops/notify/health.ts'),
    import('../app.ts'),
  ]);
  const { app } = session;
  const notifiers = hearing(app.notifiers(env.name), task.verb);
  if (notifiers.length === 0) return undefined;
  const stack = (): StackContext | undefined => attempt(() => app.stack(env.name));
  const backupsOf = task.verb === 'drill' && env.restoresFrom ? { backupsOf: env.restoresFrom } : {};
  const context = (target: string): TargetContext | undefined => {
    const [kind = '', name] = target.split('/');
    if (name === undefined) return undefined;
    if (kind !== NOTIFY) return attempt(() => app.target(env.name, kind, name, backupsOf).ctx);
    const whole = stack();
    return whole && notifierContext(whole, name);
  };
  return {
    notifiers,
    env: env.name,
    verb: task.verb,
    host: hostname(),
    run: randomUUID(),
    startedAt: app.clock.now(),
    clock: app.clock,
    redact,
    context,
    stack,
    random: randomBytes,
  };
}

/** How the command ended: with a name, or by an error, told as `error`; what was `thrown` goes on once everybody was told. */
type End = { exit: ExitName } | { error: unknown; thrown: unknown };

const exitOf = (end: End): ExitName => ('exit' in end ? end.exit : end.error instanceof BkpError ? end.error.exit : 'failed');

/** Targets of which the command said nothing itself ended as it did. */
function complete(outcomes: readonly Outcome[], targets: readonly string[], end: End): Outcome[] {
  if ('exit' in end) return outcomes.length > 0 ? [...outcomes] : targets.map(target => ({ target, exit: end.exit }));
  const silent = targets.filter(target => !outcomes.some(outcome => outcome.target === target));
  return [...outcomes, ...silent.map(target => ({ target, exit: exitOf(end), message: sentence(end.error) }))];
}

const warn = ({ report }: Session, deliveries: readonly Delivery[]): void => {
  for (const { name, type, ok, error } of deliveries)
    if (!ok) report.emit({ type: 'warning', text: `notifier ${name} (${type}) was not reached: ${error}` });
};

/**
 * Runs a command's action and tells the notifiers of the environment that it begins and how it ended. A notifier that fails is a warning,
 * goes on record, and makes a run that went well a partial one.
 */
export async function telling(session: Session, task: Task, action: Action): Promise<ExitName> {
  const env = environmentOf(session);
  const own = Object.keys(env?.notify ?? {}).length > 0 ? await tellingOf(session, env!, task) : undefined;
  if (!own) return action(session);
  const { tellEnd, tellStart } = await import('../ops/notify/tell.ts');
  const targets = targetsOf(session, task);
  const outcomes: Outcome[] = [];
  const results: Parameters<Session['result']>[] = [];
  const started = task.asks ? Promise.resolve([]) : tellStart(own, targets, session.signal);
  const end: End = await action({
    ...session,
    outcome: each => void outcomes.push(each),
    result: (...said) => void results.push(said),
  }).then(
    exit => ({ exit }),
    thrown => ({ error: session.signal.aborted ? session.signal.reason : thrown, thrown }),
  );
  const cut = session.signal.aborted;
  const notifiers = cut ? own.notifiers.map(each => ({ ...each, timeoutMs: Math.min(each.timeoutMs, HURRY_MS) })) : own.notifiers;
  const deliveries = await tellEnd({ ...own, notifiers }, complete(outcomes, targets, end), cut ? [] : await started, !cut);
  warn(session, deliveries);
  const lessened = exitOf(end) === 'done' && deliveries.some(({ ok }) => !ok);
  for (const [json, text] of results)
    session.result(
      {
        ...json,
        ...(lessened && 'exit' in json ? { exit: 'partial' } : {}),
        ...(deliveries.length > 0 ? { notifications: deliveries } : {}),
      },
      text,
    );
  if ('error' in end) throw end.thrown;
  return lessened ? 'partial' : end.exit;
}
