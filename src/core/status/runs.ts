import { formatAge } from '../age.ts';
import type { RunEnd, Runs, StoreStatus, Verb, Why } from './types.ts';

const WEEK_MS = 7 * 86_400_000;

const timeOf = (run: RunEnd | undefined): number => (run ? Date.parse(run.finishedAt) : Number.NEGATIVE_INFINITY);

const told = (what: string, failure: RunEnd, now: Date): string => {
  const at = new Date(failure.finishedAt);
  return `${what}: it ended ${formatAge(at, now)} (${at.toISOString()}) with: ${failure.message ?? failure.exit}`;
};

/** The newest failure of a verb, when no success came after it. */
function standing(runs: Runs, verb: Verb, successMs = Number.NEGATIVE_INFINITY): RunEnd | undefined {
  const { success, failure } = runs[verb] ?? {};
  return failure && timeOf(failure) > Math.max(timeOf(success), successMs) ? failure : undefined;
}

/** A failed prune is red only once a week has passed without a good one: it costs money and room, and not yet any data. */
function pruneWhy(runs: Runs, oldestMs: number, now: Date): Why[] {
  const failure = standing(runs, 'prune');
  if (!failure) return [];
  const { success } = runs.prune ?? {};
  const since = success ? timeOf(success) : oldestMs;
  if (now.getTime() - since <= WEEK_MS) return [{ state: 'ok', text: told('the last prune failed', failure, now) }];
  const before = success
    ? `, and the last good one was ${formatAge(new Date(success.finishedAt), now)}`
    : ', and none ever came to its end';
  return [{ state: 'failing', text: `${told('prune fails', failure, now)}${before}` }];
}

/** A verification that found damage is red; one that could not look is a note. */
function verifyWhy(runs: Runs, now: Date): Why[] {
  const failure = standing(runs, 'verify');
  return failure ? [{ state: failure.exit === 'verifyFailed' ? 'failing' : 'ok', text: told('the last verify failed', failure, now) }] : [];
}

/**
 * What the records of runs in one store say.
 * @param runs newest success and failure of each verb
 * @param newestMs when the newest good backup of the store ended, in ms UTC; a run that failed before it is over and done with (MO04)
 * @param oldestMs when the oldest backup of the store began: since when prune had something to do
 */
export function runsWhy(runs: Runs, newestMs: number, oldestMs: number, now: Date): Why[] {
  const backup = standing(runs, 'backup', newestMs);
  const drill = standing(runs, 'drill');
  return [
    ...(backup ? [{ state: 'failing' as const, text: told('the last backup run failed', backup, now) }] : []),
    ...pruneWhy(runs, oldestMs, now),
    ...verifyWhy(runs, now),
    ...(drill ? [{ state: 'failing' as const, text: told('the last drill failed', drill, now) }] : []),
  ];
}

/** The instants alone, for tables and metrics. */
export const runTimes = (runs: Runs): StoreStatus['runs'] =>
  Object.fromEntries(
    Object.entries(runs).map(([verb, { success, failure }]) => [
      verb,
      { ...(success ? { successAt: success.finishedAt } : {}), ...(failure ? { failureAt: failure.finishedAt } : {}) },
    ]),
  );
