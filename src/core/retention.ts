import { brokenOf, byAge, countable } from './retention/good.ts';
import { anomaliesOf, outrightOf } from './retention/outright.ts';
import { clockOf } from './retention/periods.ts';
import { rulesOf } from './retention/rules.ts';
import type { Candidate, Dated, Decision, Frame, Policy, Why } from './retention/types.ts';
import { windowOf } from './retention/window.ts';

export { policyOf } from './retention/policy.ts';
export type { Candidate, Decision, Frame, Policy } from './retention/types.ts';

type Reasons = Map<string, string[]>;

function note(reasons: Reasons, why: Why): void {
  for (const [id, text] of why) {
    const known = reasons.get(id);
    if (known) known.push(text);
    else reasons.set(id, [text]);
  }
}

/** Adds all that is needed by what stays, over however many others. */
function noteNeeds(reasons: Reasons, sorted: readonly Candidate[]): void {
  const byId = new Map(sorted.map(each => [each.id, each]));
  const staying = sorted.filter(({ id }) => reasons.has(id));
  // What is added on the way is visited too.
  for (const { id, needs } of staying)
    for (const need of needs) {
      const needed = byId.get(need);
      if (!needed || reasons.has(need)) continue;
      reasons.set(need, [`needed by ${id}`]);
      staying.push(needed);
    }
}

const fault = ({ state }: Candidate): string => (state === 'whole' ? 'what it needs is damaged or missing' : 'damaged');

/** Of what a rule keeps were all whole, that which is not: it stays by it, and counts for nothing. */
function ofBroken(why: Why, broken: readonly Dated[]): Why {
  const rules: Reasons = new Map();
  note(rules, why);
  return broken
    .filter(({ id }) => rules.has(id))
    .map(each => [each.id, `${fault(each)}; were it whole it would stay (${rules.get(each.id)!.join('; ')})`]);
}

/** What rules look at, oldest first: `all` is `good` and `broken` together. */
interface Pools {
  all: readonly Dated[];
  good: readonly Dated[];
  broken: readonly Dated[];
}

/** Notes what rules keep of the good ones and, in a second decision over all, of the broken ones. @returns the first */
function noteRules(reasons: Reasons, { all, good, broken }: Pools, rules: (pool: readonly Dated[]) => Why): Why {
  const why = rules(good);
  note(reasons, why);
  if (broken.length > 0) note(reasons, ofBroken(rules(all), broken));
  return why;
}

function leaving(candidate: Candidate, broken: boolean): string {
  if (candidate.anomalous) return 'an anomaly, older than every good one that a rule keeps';
  return broken ? `${fault(candidate)}; were it whole no rule would keep it` : 'no rule keeps it';
}

/**
 * Decides which backups of one store stay, over that store's own copies. Pure; deciding again over what stayed removes nothing more.
 *
 * Good is what is whole with all that it needs, no anomaly, and began at a known instant that is not in the future. A bucket is an hour,
 * day, week, month or year of `frame.zone` that holds a good backup. Of each of the newest N buckets the earliest good one stays, so a
 * keeper never changes, and a month's only backup stays while that month is among the newest N that hold one (RT04). Beside them stay:
 * the newest good one, what `outrightOf` and `anomaliesOf` say, the starts of the window (`windowOf`), and all that any of these needs.
 * What is broken is never counted: a second decision, in which everything is whole, says whether it stays.
 * @returns a decision for each candidate, oldest first, those of unknown time before all others
 */
export function decide(candidates: readonly Candidate[], policy: Policy, frame: Frame): Decision[] {
  const sorted = [...candidates].sort(byAge);
  const lost = brokenOf(sorted);
  const all = countable(sorted, frame.now);
  const pools = { all, good: all.filter(({ id }) => !lost.has(id)), broken: all.filter(({ id }) => lost.has(id)) };
  const reasons: Reasons = new Map();
  const clock = clockOf(frame.zone);

  note(reasons, outrightOf(sorted, frame.now));
  const ruled = new Set(noteRules(reasons, pools, pool => rulesOf(pool, policy, frame, clock)).map(([id]) => id));
  note(reasons, anomaliesOf(sorted, pools.good.find(({ id }) => ruled.has(id))?.startedAt));
  noteNeeds(reasons, sorted);
  const before = new Set(reasons.keys());
  noteRules(reasons, pools, pool => windowOf(pool, policy, frame, id => before.has(id)));
  noteNeeds(reasons, sorted);

  return sorted.map(each => {
    const why = reasons.get(each.id);
    return { id: each.id, keep: why !== undefined, reasons: why ?? [leaving(each, lost.has(each.id))] };
  });
}
