import type { Clock, StackContext, TargetContext } from '../../core/contracts.ts';
import { type About, endMessage, redacted, startMessage } from '../../core/notify/message.ts';
import { heard, isRed, wantsVerb } from '../../core/notify/select.ts';
import type { Message, NotifyVerb, Outcome } from '../../core/notify/types.ts';
import { endedWell } from '../records/runRecord.ts';
import { type Delivery, deliver, type Notifier, worstOf } from './deliver.ts';
import { recordDelivery } from './health.ts';
import { isSpared, type Known, knownRed, recordTold } from './known.ts';
import { isRecovery, recordRecovery } from './standing.ts';

/** What telling of one run has to hand. */
export interface Telling {
  /** Those that hear of this command. */
  notifiers: readonly Notifier[];
  env: string;
  verb: NotifyVerb;
  host: string;
  /** A UUID of this run. */
  run: string;
  startedAt: Date;
  clock: Clock;
  redact(text: string): string;
  /** Stores and keys of a target; undefined where it cannot be opened, or has no records. */
  context(target: string): TargetContext | undefined;
  /** Stores of the environment; undefined where they cannot be opened. */
  stack(): StackContext | undefined;
  random(bytes: number): Uint8Array;
}

/** An outcome, with what was told of its target before. */
interface Judged {
  outcome: Outcome;
  known?: Known | undefined;
}

const aboutOf = ({ env, verb, host, run, startedAt, clock }: Telling): About => {
  const now = clock.now();
  return { env, verb, host, run, at: now.toISOString(), seconds: Math.round((now.getTime() - startedAt.getTime()) / 100) / 10 };
};

const sendTo = (telling: Telling, notifier: Notifier, message: Message, cancel?: AbortSignal): Promise<Delivery> =>
  deliver(notifier, redacted(message, telling.redact), telling.clock, telling.redact, cancel);

/**
 * Tells those that want to know that a command begins. Never throws, and nobody needs to wait for it.
 * @param cancel gives it up, when the run is being ended
 */
export async function tellStart(telling: Telling, targets: readonly string[], cancel: AbortSignal): Promise<Delivery[]> {
  const asked = telling.notifiers.flatMap(notifier => {
    const { all } = heard(
      targets.map(target => ({ target, exit: 'done' })),
      notifier,
    );
    return notifier.on.includes('start') && all.length > 0 ? [{ notifier, all }] : [];
  });
  const sent = asked.map(({ notifier, all }) =>
    sendTo(
      telling,
      notifier,
      startMessage(
        aboutOf(telling),
        all.map(({ target }) => target),
      ),
      cancel,
    ),
  );
  return Promise.all(sent);
}

/** Whether it went well after it had not. `restore` is no run of its own that is recorded. */
async function judged(telling: Telling, outcome: Outcome): Promise<Judged> {
  const { verb, startedAt, random } = telling;
  if (verb === 'restore' || !telling.notifiers.some(({ on }) => on.includes('recovered'))) return { outcome };
  const ctx = telling.context(outcome.target);
  if (!ctx) return { outcome };
  if (verb === 'status') return ofStatus(telling, ctx, outcome);
  const well = endedWell({ verb, exit: outcome.exit });
  return { outcome: well && (await isRecovery(ctx, verb, startedAt, outcome.id, random(3))) ? { ...outcome, recovered: true } : outcome };
}

async function ofStatus({ startedAt, random }: Telling, ctx: TargetContext, outcome: Outcome): Promise<Judged> {
  const known = await knownRed(ctx, startedAt);
  if (outcome.state !== undefined || !known || outcome.exit !== 'done') return { outcome, known };
  await recordRecovery(ctx, 'status', startedAt, random(3));
  return { outcome: { ...outcome, recovered: true } };
}

/** Notifiers that hear of the end, each with what it is told; a red state that it was told of lately is left out. */
function hearings(telling: Telling, all: readonly Judged[]) {
  const now = telling.clock.now();
  return telling.notifiers.flatMap(notifier => {
    const seen = heard(
      all.map(({ outcome }) => outcome),
      notifier,
    );
    const told = seen.told.filter(outcome => !isSpared(all.find(each => each.outcome === outcome)?.known, outcome, notifier, now));
    return told.length > 0 ? [{ notifier, all: seen.all, told }] : [];
  });
}

/** Red states go on record with those who took the message. */
async function remember(
  telling: Telling,
  all: readonly Judged[],
  sent: readonly { told: readonly Outcome[]; delivery: Delivery }[],
): Promise<void> {
  if (telling.verb !== 'status') return;
  for (const { outcome, known } of all) {
    const names = sent.filter(({ told, delivery }) => delivery.ok && told.includes(outcome)).map(({ delivery }) => delivery.name);
    const ctx = !isRed(outcome) || names.length === 0 ? undefined : telling.context(outcome.target);
    if (ctx) await recordTold(ctx, outcome, names, known, telling.startedAt, telling.random(3));
  }
}

/**
 * Tells how a command ended, side by side, so that one that hangs keeps no other from being told.
 * @param outcomes what it came to for each target
 * @param before what became of `tellStart`
 * @param recording false = nothing is written into the stores, where there is no time for it
 * @returns how each notifier fared, that of the start with it. Never throws
 */
export async function tellEnd(
  telling: Telling,
  outcomes: readonly Outcome[],
  before: readonly Delivery[],
  recording: boolean,
): Promise<Delivery[]> {
  const all = recording ? await Promise.all(outcomes.map(each => judged(telling, each))) : outcomes.map(outcome => ({ outcome }));
  const about = aboutOf(telling);
  const sent = await Promise.all(
    hearings(telling, all).map(async ({ notifier, ...said }) => ({
      told: said.told,
      delivery: await sendTo(telling, notifier, endMessage(about, said.all, said.told, notifier.on)),
    })),
  );
  const deliveries = worstOf([...before, ...sent.map(({ delivery }) => delivery)]);
  if (!recording) return deliveries;
  await remember(telling, all, sent);
  const stack = deliveries.length > 0 ? telling.stack() : undefined;
  if (stack) await Promise.all(deliveries.map(each => recordDelivery(stack, each, telling.startedAt, telling.random(3))));
  return deliveries;
}

/** The notifiers of an environment that hear of a command. */
export const hearing = (notifiers: readonly Notifier[], verb: NotifyVerb): Notifier[] => notifiers.filter(each => wantsVerb(verb, each));
