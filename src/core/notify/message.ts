import { EXIT, type ExitName } from '../errors.ts';
import { eventsOf, heaviest } from './select.ts';
import type { Message, NotifyEvent, Outcome } from './types.ts';

/** What every message of a run has. */
export interface About {
  env: string;
  verb: string;
  host: string;
  seconds: number;
  /** ISO 8601 UTC. */
  at: string;
  run: string;
}

/** Services cut or refuse what is longer: ntfy takes 4096 bytes. */
const LONGEST = 3000;

const cut = (text: string): string => (text.length <= LONGEST ? text : `${text.slice(0, LONGEST)} …`);

const WORD: Readonly<Record<NotifyEvent | 'test', string>> = {
  start: 'started',
  success: 'ok',
  recovered: 'RECOVERED',
  partial: 'PARTIAL',
  late: 'LATE',
  failure: 'FAILED',
  test: 'test',
};

const named = (targets: readonly string[]): string => {
  const [first, ...rest] = targets;
  return rest.length > 2 ? `${first} and ${rest.length} more` : targets.join(', ');
};

function compose(
  about: About,
  event: Message['event'],
  exit: ExitName,
  targets: readonly string[],
  lines: readonly string[],
  more: { id?: string; headed?: readonly string[] } = {},
): Message {
  return {
    ...about,
    event,
    exit,
    code: EXIT[exit],
    target: targets.join(', '),
    title: `bkp ${about.env}: ${about.verb} ${named(more.headed ?? targets)}: ${WORD[event]}`,
    message: lines.join('\n'),
    id: more.id ?? '',
  };
}

/** Before anything has happened. */
export const startMessage = (about: About, targets: readonly string[]): Message =>
  compose(about, 'start', 'done', targets, [`${about.verb} of ${named(targets)} began on ${about.host}`]);

/** For `bkp notify test`. */
export const testMessage = (about: About): Message =>
  compose(about, 'test', 'done', ['nothing'], [`This is a test from ${about.host}: nothing has happened.`]);

const lineOf = (outcome: Outcome): string => {
  const { target, exit, message, recovered } = outcome;
  const event = heaviest(eventsOf(outcome)) ?? 'success';
  return `${target}: ${recovered && event === 'success' ? WORD.recovered : WORD[event]}${exit === 'done' ? '' : ` (${exit})`}${message ? `: ${message}` : ''}`;
};

/**
 * The end of a run for one notifier.
 * @param all what its targets came to: the exit is the worst of them, also when `on` names only a lesser one
 * @param told the part that it is told of, not empty
 */
export function endMessage(about: About, all: readonly Outcome[], told: readonly Outcome[], on: readonly NotifyEvent[]): Message {
  const event = heaviest(told.flatMap(eventsOf).filter(each => on.includes(each)))!;
  const most = heaviest(all.flatMap(eventsOf))!;
  const { exit } = all.find(outcome => eventsOf(outcome).includes(most))!;
  const ids = told.flatMap(({ id }) => id ?? []);
  return compose(
    about,
    event,
    exit,
    told.map(({ target }) => target),
    told.map(lineOf),
    { id: ids.join(', '), headed: told.filter(outcome => eventsOf(outcome).includes(event)).map(({ target }) => target) },
  );
}

/** Every text of it through a function that takes secrets out, and then to its length: the rest of a secret that was cut would stay. */
export const redacted = (message: Message, redact: (text: string) => string): Message =>
  Object.fromEntries(
    Object.entries(message).map(([key, value]) => [key, typeof value === 'string' ? cut(redact(value)) : value]),
  ) as unknown as Message;
