import { EVENTS, type NotifyEvent, type NotifyVerb, type Outcome } from './types.ts';

/** What a notifier wants to hear of. */
export interface Wish {
  on: readonly NotifyEvent[];
  /** Kinds or `kind/name`; absent = every target. */
  targets?: readonly string[] | undefined;
  /** Absent = every command that notifies. */
  verbs?: readonly NotifyVerb[] | undefined;
}

/** What every target of a run is called where the config does not get so far as to name them. */
export const EVERYTHING = '*';

const FINE: Readonly<Record<string, NotifyEvent>> = { done: 'success', partial: 'partial' };

/** Red, as `status` has it. */
export const isRed = ({ state }: Outcome): boolean => state === 'late' || state === 'failing';

/** What an outcome is; empty for what a person broke off. */
export function eventsOf({ exit, state, recovered }: Outcome): NotifyEvent[] {
  if (exit === 'aborted') return [];
  if (state === 'late') return ['late'];
  if (state === 'failing') return ['failure'];
  return [FINE[exit] ?? 'failure', ...(recovered ? ['recovered' as const] : [])];
}

/** The event that a person has to hear of first. */
export const heaviest = (events: readonly NotifyEvent[]): NotifyEvent | undefined => EVENTS.findLast(event => events.includes(event));

const isMeant = (target: string, { targets }: Wish): boolean =>
  targets === undefined || target === EVERYTHING || targets.some(each => each === target || target.startsWith(`${each}/`));

export const wantsVerb = (verb: NotifyVerb, { verbs }: Wish): boolean => verbs === undefined || verbs.includes(verb);

/** What a notifier hears of a run: `all` is what its targets came to, `told` the part of it that `on` names. */
export function heard(outcomes: readonly Outcome[], wish: Wish): { all: Outcome[]; told: Outcome[] } {
  const all = outcomes.filter(({ target }) => isMeant(target, wish));
  return { all, told: all.filter(outcome => eventsOf(outcome).some(event => wish.on.includes(event))) };
}
