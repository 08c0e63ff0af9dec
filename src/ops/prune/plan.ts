import type { TargetEntry } from '../../core/config/index.ts';
import type { ObjectInfo, Stay, Target, TargetContext } from '../../core/contracts.ts';
import { haltsOf } from '../../core/halts.ts';
import { instantOf } from '../../core/id.ts';
import { brokenOf } from '../../core/retention/good.ts';
import { type Decision, decide, policyOf } from '../../core/retention.ts';
import { idOf } from '../catalog.ts';
import { knownOf, type Survey } from './survey.ts';

/** What is decided about one backup of one store. `bytes` = all that lies under it there. */
export interface Line extends Decision {
  startedAt?: string;
  bytes: number;
}

/** Something beside the backups that goes, with why. */
export interface Leaving {
  key: string;
  bytes: number;
  reason: string;
}

/** What prune would do in one store. */
export interface StorePlan {
  store: string;
  lines: Line[];
  /** Parts of the log that nothing needs. */
  log: Leaving[];
  /** Pieces without a manifest, of runs that died or of an earlier prune. */
  orphans: Leaving[];
  /** Why nothing may go now; empty = go on. */
  halts: string[];
  notes: string[];
}

/** Pieces without a manifest may belong to a run that is still going on. */
const YOUNG_MS = 7 * 86_400_000;

function orphansOf(ctx: TargetContext, survey: Survey, now: Date): Leaving[] {
  const found: Leaving[] = [];
  const isOld = (at: Date | undefined): boolean => at !== undefined && now.getTime() - at.getTime() > YOUNG_MS;
  for (const [id, objects] of survey.keys) {
    if (!isOld(instantOf(id)) || objects.some(({ key }) => idOf(ctx.base, key) !== undefined)) continue;
    for (const { key, bytes, modified } of objects)
      if (isOld(modified)) found.push({ key, bytes, reason: 'of a run that did not end, or of a backup that was pruned' });
  }
  return found;
}

/**
 * The log that nothing needs once only `kept` is left. What cannot be read may need any of it, and what is damaged is no start to roll
 * forward from, nor is what builds on such a one.
 */
export function logOf(
  target: Target,
  ctx: TargetContext,
  entry: TargetEntry,
  survey: Survey,
  kept: ReadonlySet<string>,
  now: Date,
): Leaving[] {
  const { window } = policyOf(entry.retention);
  if (!target.log || window === undefined || unread(survey).length > 0) return [];
  const broken = brokenOf(survey.candidates.filter(({ id }) => kept.has(id)));
  const stays: Stay[] = survey.candidates
    .filter(({ id }) => kept.has(id) && !broken.has(id))
    .map(({ id }) => ({ manifest: survey.manifests.get(id)!, guarded: survey.rolling.has(id) }));
  return target.log.expired(ctx, survey.objects, stays, new Date(now.getTime() - window), [...survey.manifests.values()]);
}

const unread = ({ candidates }: Survey): string[] => candidates.filter(({ state }) => state === 'unreadable').map(({ id }) => id);

/** What a person should know of the plan beside its decisions. */
function notesOf(target: Target, survey: Survey): string[] {
  const ids = unread(survey);
  if (!target.log || ids.length === 0) return [];
  return [`no part of the log goes: ${ids[0]}${ids.length > 1 ? ` and ${ids.length - 1} more` : ''} cannot be read, and may need it`];
}

const bytesOf = (objects: readonly ObjectInfo[]): number => objects.reduce((sum, { bytes }) => sum + bytes, 0);

/**
 * Decides what goes in one store, each decision with its reason. Pure.
 * @param clock `now` by this host, `storeNow` by the store where it is known
 */
export function planStore(
  target: Target,
  ctx: TargetContext,
  entry: TargetEntry,
  survey: Survey,
  clock: { now: Date; storeNow?: Date },
  force: boolean,
): StorePlan {
  const { now } = clock;
  const { candidates, lastFailure } = survey;
  const states = target.log?.state(ctx, survey.objects, knownOf(survey)) ?? [];
  const decisions = decide(candidates, policyOf(entry.retention), {
    now,
    zone: ctx.timezone,
    weekStart: ctx.weekStart,
    logUntil: new Map(states.map(({ lineage, at }) => [lineage, at])),
  });
  const halts = haltsOf({
    decisions,
    candidates,
    schedule: entry.schedule,
    zone: ctx.timezone,
    ...clock,
    ...(lastFailure
      ? { lastFailure: { at: new Date(lastFailure.startedAt), ...(lastFailure.message ? { message: lastFailure.message } : {}) } }
      : {}),
    sharePercent: entry.pruneShare,
    force,
  });
  const started = new Map([...survey.manifests].map(([id, { startedAt }]) => [id, startedAt]));
  const kept = new Set(decisions.filter(({ keep }) => keep).map(({ id }) => id));
  return {
    store: survey.store.name,
    lines: decisions.map(decision => ({
      ...decision,
      ...(started.has(decision.id) ? { startedAt: started.get(decision.id)! } : {}),
      bytes: bytesOf(survey.keys.get(decision.id) ?? []),
    })),
    log: logOf(target, ctx, entry, survey, kept, now),
    orphans: [...orphansOf(ctx, survey, now), ...(target.orphans?.(ctx, survey.objects, new Date(now.getTime() - YOUNG_MS)) ?? [])],
    halts,
    notes: notesOf(target, survey),
  };
}
