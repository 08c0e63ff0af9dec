import { formatAge } from '../age.ts';
import { median, plainBytes } from '../anomaly.ts';
import { dueAfter, nextRun } from '../due.ts';
import { SKEW_MS } from '../time.ts';
import { reachOf } from './log.ts';
import { runsWhy, runTimes } from './runs.ts';
import type { Copy, Newest, Rules, SourceFacts, StoreFacts, StoreStatus, Why } from './types.ts';
import { stateOf } from './verdict.ts';

const TREND_OVER = 5;

/** Taken by a host whose clock was wrong, it would be the newest until that time has come, whatever comes to pass meanwhile. */
const isAhead = ({ manifest }: Copy, now: Date): boolean => Date.parse(manifest.startedAt) > now.getTime() + SKEW_MS;

function aheadWhy(ahead: readonly Copy[]): Why[] {
  const { manifest } = ahead.at(-1) ?? {};
  if (!manifest) return [];
  const more = ahead.length > 1 ? `, and so did ${ahead.length - 1} more` : '';
  const text = `backup ${manifest.id} began in the future of this host's clock (${manifest.startedAt})${more}: a clock was wrong, and it does not count`;
  return [{ state: 'ok', text }];
}

const isGood = ({ whole, manifest }: Copy): boolean => whole && manifest.anomaly === undefined;

/** Percent by which the last of some backups, oldest first, differs from the median of up to five before it. */
function trendOf(good: readonly Copy[]): number | undefined {
  const sizes = good.slice(-TREND_OVER - 1).map(({ manifest }) => plainBytes(manifest));
  const last = sizes.pop();
  const usual = median(sizes);
  return last !== undefined && usual !== undefined && usual > 0 ? Math.round((last / usual - 1) * 100) : undefined;
}

function newestOf(good: readonly Copy[]): Newest | undefined {
  const copy = good.at(-1);
  if (!copy) return undefined;
  const { id, startedAt, finishedAt, recoveryPointAt } = copy.manifest;
  const trendPercent = trendOf(good);
  return { id, startedAt, finishedAt, recoveryPointAt, bytes: copy.bytes, ...(trendPercent === undefined ? {} : { trendPercent }) };
}

/** What keeps the newest backup that a store shows from being good. */
function harmOf({ manifest, whole }: Copy): Why[] {
  if (!whole)
    return [
      {
        state: 'failing',
        text: `the newest backup, ${manifest.id}, is damaged: an object of it, or of what it builds on, is missing or has another size`,
      },
    ];
  return manifest.anomaly === undefined
    ? []
    : [{ state: 'failing', text: `the newest backup, ${manifest.id}, is not to be trusted: ${manifest.anomaly}` }];
}

function copiesWhy({ copies, unread }: StoreFacts, newest: Newest | undefined): Why[] {
  const last = copies.at(-1);
  if (!last && unread.length === 0) return [{ state: 'failing', text: 'there is no backup in it at all' }];
  const fresh = unread.filter(({ id }) => id === undefined || !newest || id > newest.id);
  const old = copies.slice(0, -1).filter(({ whole }) => !whole).length + unread.length - fresh.length;
  return [
    ...(last ? harmOf(last) : []),
    ...fresh.map(({ text }): Why => ({ state: 'failing', text })),
    ...(newest ? [] : [{ state: 'failing' as const, text: 'none of its backups is good' }]),
    ...(old > 0 ? [{ state: 'ok' as const, text: `${old} older backup(s) in it are damaged or not trusted: bkp verify` }] : []),
  ];
}

/** A run that never happened leaves no failure behind: it is seen by its schedule. */
function dueWhy(newest: Newest, rules: Rules, now: Date): { due: Date; why: Why[] } {
  const began = new Date(newest.startedAt);
  const { due, late } = dueAfter(rules.schedule, rules.zone, began, now);
  const text = `the run that was due ${formatAge(due, now)} (${due.toISOString()}) left no good backup; the newest one began ${formatAge(began, now)}`;
  return { due, why: late ? [{ state: 'late', text }] : [] };
}

const silent = (facts: StoreFacts, reason: string, rules: Rules, now: Date): StoreStatus => ({
  store: facts.store,
  up: false,
  state: 'failing',
  why: [{ state: 'failing', text: reason }],
  nextDue: nextRun(rules.schedule, rules.zone, now).toISOString(),
  backups: 0,
  damaged: 0,
  bytes: 0,
  runs: {},
});

/**
 * The verdict over one store, by what lies in it: a store is not called fresh because another one is (EK06).
 * @param source what the source said, for the position of its log; absent for a kind that cannot be asked
 */
export function storeStatus(facts: StoreFacts, source: SourceFacts | undefined, rules: Rules, now: Date): StoreStatus {
  if (facts.silent !== undefined) return silent(facts, facts.silent, rules, now);
  const { copies, unread } = facts;
  const good = copies.filter(copy => isGood(copy) && !isAhead(copy, now));
  const newest = newestOf(good);
  const due = newest ? dueWhy(newest, rules, now) : { due: nextRun(rules.schedule, rules.zone, now), why: [] };
  const reach = newest ? reachOf(facts, good.at(-1)!.manifest, source, rules, now) : undefined;
  const newestMs = newest ? Date.parse(newest.finishedAt) : Number.NEGATIVE_INFINITY;
  const oldestMs = copies[0] ? Date.parse(copies[0].manifest.startedAt) : now.getTime();
  const why: Why[] = [
    ...copiesWhy(facts, newest),
    ...aheadWhy(copies.filter(copy => isAhead(copy, now))),
    ...due.why,
    ...(reach?.why ?? []),
    ...runsWhy(facts.runs, newestMs, oldestMs, now),
    ...(facts.runsError === undefined ? [] : [{ state: 'unknown' as const, text: `what ran is not known: ${facts.runsError}` }]),
  ];
  const whole = copies.filter(copy => copy.whole).length;
  return {
    store: facts.store,
    up: true,
    state: stateOf(why),
    why,
    ...(newest ? { newest } : {}),
    nextDue: due.due.toISOString(),
    ...(reach ? { recoveryPointAt: reach.at.toISOString() } : {}),
    ...(reach?.log ? { log: reach.log } : {}),
    backups: whole,
    damaged: copies.length - whole + unread.length,
    bytes: facts.bytes,
    ...(facts.hidden ? { hidden: facts.hidden } : {}),
    runs: runTimes(facts.runs),
  };
}
