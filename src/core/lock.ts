import type { Environment, TargetEntry } from './config/types.ts';
import { policyOf } from './retention/policy.ts';
import type { Policy } from './retention/types.ts';

const DAY_MS = 86_400_000;

/** The longest that a bucket of a rule can last: milliseconds. */
const BUCKETS = { hourly: DAY_MS / 24, daily: DAY_MS, weekly: 7 * DAY_MS, monthly: 31 * DAY_MS, yearly: 366 * DAY_MS } as const;

/** Programs that write into our stores by themselves, by the engine that has them do it. They set no lock, and could not work with one. */
const FOREIGN: Readonly<Record<string, string>> = { 'wal-g': 'WAL-G', files: 'restic' };

const daysOf = (ms: number): string => `${Math.round(ms / DAY_MS)} days`;

/** How long a policy keeps something at most, by its longest rule: milliseconds. `last` alone says nothing of time. */
export function longestKept(policy: Policy): { rule: string; ms: number } | undefined {
  const rules = [
    ...Object.entries(BUCKETS).map(([rule, ms]) => ({
      rule: `${rule}: ${policy[rule as keyof typeof BUCKETS]}`,
      ms: (policy[rule as keyof typeof BUCKETS] ?? 0) * ms,
    })),
    { rule: 'within', ms: policy.within ?? 0 },
    { rule: 'wal', ms: policy.window ?? 0 },
  ];
  const [longest] = rules.sort((a, b) => b.ms - a.ms);
  return longest && longest.ms > 0 ? longest : undefined;
}

/**
 * What a lock of a store does not cover of an entry, a sentence each; empty = all of it.
 * @param lockMs how long what is put is held
 */
export function lockGaps(entry: Pick<TargetEntry, 'retention'> & { engine?: unknown }, lockMs: number): string[] {
  const foreign = FOREIGN[String(entry.engine)];
  if (foreign) return [`${foreign} puts what it stores there by itself, and that is not held: only manifests are`];
  const longest = longestKept(policyOf(entry.retention));
  if (!longest || longest.ms <= lockMs) return [];
  return [
    `what is put is held for ${daysOf(lockMs)}, and retention keeps up to ${daysOf(longest.ms)} (${longest.rule}): what is older can be removed by whoever has the key of the store`,
  ];
}

/** The gaps of a whole environment as lines, each with its place in the config. */
export function environmentLockGaps({ name, stores, targets }: Environment): string[] {
  return Object.entries(targets).flatMap(([kind, entries]) =>
    Object.entries(entries).flatMap(([entryName, entry]) =>
      (entry.stores ?? Object.keys(stores)).flatMap(store => {
        const lock = stores[store]?.['lock'] as { days: number } | undefined;
        const gaps = lock ? lockGaps(entry as TargetEntry & { engine?: unknown }, lock.days * DAY_MS) : [];
        return gaps.map(text => `environments.${name}.stores.${store}.lock, for ${kind}/${entryName}: ${text}`);
      }),
    ),
  );
}
