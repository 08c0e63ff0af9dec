import { formatAge, formatDuration } from '../age.ts';
import type { Evidence } from '../evidence.ts';
import type { DrillStatus, LastDrill, TargetStatus, Why } from './types.ts';
import { stateOf } from './verdict.ts';

const called = ({ kind, name }: { kind: string; name: string }): string => `${kind}/${name}`;

const lastOf = ({ id, scope, drilledIn, finishedAt, result, targets }: Evidence): LastDrill => ({
  id,
  scope,
  drilledIn,
  finishedAt,
  result,
  failed: [...new Set(targets.filter(each => each.result === 'failed').map(called))],
});

/** The newest good drill of a target, out of whichever store. */
function newestGood({ stores }: TargetStatus): Date | undefined {
  const times = stores.flatMap(({ runs }) => runs.drill?.successAt ?? []).sort();
  return times.length > 0 ? new Date(times.at(-1)!) : undefined;
}

function overdue(target: TargetStatus, everyMs: number, now: Date): Why[] {
  const at = newestGood(target);
  if (at && now.getTime() - at.getTime() <= everyMs) return [];
  const since = at ? `the last good drill was ${formatAge(at, now)} (${at.toISOString()})` : 'no drill ever came out right';
  return [{ state: 'late', text: `${called(target)} is to be drilled every ${formatDuration(everyMs)}: ${since}` }];
}

/** A failed drill is red where drills are asked for; elsewhere it is told, and the store that was tried is red. */
function lastWhy(last: LastDrill, everyMs: number | undefined, now: Date): Why[] {
  if (last.result === 'passed') return [];
  const at = new Date(last.finishedAt);
  const what = last.failed.length > 0 ? `: ${last.failed.join(', ')}` : '';
  const text = `the last drill (${last.scope}, ${last.id}) ${last.result === 'failed' ? 'failed' : 'could not prove everything'} ${formatAge(at, now)}${what}`;
  return [{ state: last.result === 'failed' && everyMs !== undefined ? 'failing' : 'ok', text }];
}

/**
 * How it stands with the drills of an environment.
 * @param newest of all that the stores have on record
 * @param targets that were looked at and are part of full-dr: each has to have been tried within `everyMs`
 * @param silent why stores do not tell what was drilled
 */
export function drillStatus(
  newest: Evidence | undefined,
  targets: readonly TargetStatus[],
  everyMs: number | undefined,
  silent: readonly string[],
  now: Date,
): DrillStatus {
  const last = newest && lastOf(newest);
  // A store that is silent tells of no drill either, and is red for itself.
  const known = targets.filter(({ stores }) => stores.some(({ up }) => up));
  const why: Why[] = [
    ...(everyMs === undefined ? [] : known.flatMap(target => overdue(target, everyMs, now))),
    ...(last ? lastWhy(last, everyMs, now) : []),
    ...silent.map((text): Why => ({ state: 'unknown', text: `which drills it has on record is not known: ${text}` })),
  ];
  return { state: stateOf(why), why, ...(everyMs === undefined ? {} : { everySeconds: everyMs / 1000 }), ...(last ? { last } : {}) };
}
