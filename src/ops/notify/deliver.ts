import type { Clock } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';
import type { Wish } from '../../core/notify/select.ts';
import { type Message, Undelivered } from '../../core/notify/types.ts';

/** One notifier of an environment. */
export interface Notifier extends Wish {
  name: string;
  type: string;
  /** For a message with all its tries, ms. */
  timeoutMs: number;
  /** How soon the same state is told again, ms. */
  repeatMs: number;
  /** Reads its secrets. Throws BkpError('usage') when one is missing. */
  open(): { send(message: Message, signal: AbortSignal): Promise<void> };
}

/** What became of one message. */
export interface Delivery {
  name: string;
  type: string;
  ok: boolean;
  /** Why it was not taken. */
  error?: string;
}

/** Pauses between tries, ms; as many tries as there are pauses, and one more. */
const PAUSES_MS = [500, 1500, 4000];

/** As much of an answer as anybody reads. */
const SHOWN = 240;

/** A try that hangs leaves time for another one. */
const SHARE = 0.5;

const words = (ms: number): string => (ms < 1000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`);

/** Sends, and again while that may help and there is time. Rejects with why it was not taken. */
async function persist(notifier: Notifier, message: Message, clock: Clock, cancel: readonly AbortSignal[]): Promise<void> {
  const { send } = notifier.open();
  const end = AbortSignal.any([AbortSignal.timeout(notifier.timeoutMs), ...cancel]);
  const until = Date.now() + notifier.timeoutMs;
  for (let tries = 0; ; tries += 1) {
    const attempt = AbortSignal.any([end, AbortSignal.timeout(Math.ceil(notifier.timeoutMs * SHARE))]);
    try {
      return await send(message, attempt);
    } catch (error) {
      const late = attempt.aborted;
      const known = late
        ? new Undelivered(`it gave no answer in ${words(notifier.timeoutMs * (end.aborted ? 1 : SHARE))}`, { again: true, cause: error })
        : error;
      const pause = Math.max(PAUSES_MS[tries] ?? Number.POSITIVE_INFINITY, known instanceof Undelivered ? known.waitMs : 0);
      if (!(known instanceof Undelivered) || !known.again || Date.now() + pause >= until) throw known;
      await clock.sleep(pause, end);
    }
  }
}

/**
 * Tells one notifier. Never throws: whatever comes of it is in the answer.
 * @param redact takes secrets out of the reason
 * @param cancel gives it up before its time
 */
export async function deliver(
  notifier: Notifier,
  message: Message,
  clock: Clock,
  redact: (text: string) => string,
  cancel?: AbortSignal,
): Promise<Delivery> {
  const { name, type } = notifier;
  try {
    await persist(notifier, message, clock, cancel ? [cancel] : []);
    return { name, type, ok: true };
  } catch (error) {
    return { name, type, ok: false, error: redact(sentence(error)).slice(0, SHOWN) };
  }
}

/** The newest word on each notifier, of several messages to it: one that was not taken counts. */
export function worstOf(deliveries: readonly Delivery[]): Delivery[] {
  const byName = new Map<string, Delivery>();
  for (const each of deliveries) if (byName.get(each.name)?.ok !== false) byName.set(each.name, each);
  return [...byName.values()];
}
