import type * as Sdk from '@aws-sdk/client-s3';
import type { Check } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import type { Caller } from './caller.ts';
import { StoreFault } from './errors.ts';
import { bucketLock, lockless } from './lock.ts';

const DAY_MS = 86_400_000;

const prefixOf = ({ Filter, Prefix }: Sdk.LifecycleRule): string => Filter?.Prefix ?? Filter?.And?.Prefix ?? Prefix ?? '';

/** Whether a rule takes objects away on its own that lie under a prefix, or some of them. */
const deletes = (rule: Sdk.LifecycleRule, prefix: string): boolean =>
  rule.Status === 'Enabled' &&
  (rule.Expiration?.Days !== undefined || rule.Expiration?.Date !== undefined) &&
  (prefix.startsWith(prefixOf(rule)) || prefixOf(rule).startsWith(prefix));

async function rulesOf(caller: Caller): Promise<Sdk.LifecycleRule[]> {
  const { bucket: Bucket } = caller.settings;
  try {
    const make = (sdk: typeof Sdk) => new sdk.GetBucketLifecycleConfigurationCommand({ Bucket });
    return (await caller.call('GetBucketLifecycleConfiguration', make)).Rules ?? [];
  } catch (error) {
    const none = error instanceof StoreFault && (error.fault.code === 'NoSuchLifecycleConfiguration' || error.fault.status === 501);
    if (none) return [];
    throw error;
  }
}

/** What the bucket's object lock is, against what the config asks of it. Never throws. */
export async function* lockChecks(caller: Caller): AsyncGenerator<Check> {
  const name = `store ${caller.name}: object lock`;
  const { lock } = caller.settings;
  try {
    const bucket = await bucketLock(caller);
    if (lock && bucket?.enabled === false) throw lockless(caller);
    if (lock && !bucket)
      yield { name, state: 'warn', text: 'the access key may not ask whether the bucket has it (GetObjectLockConfiguration)' };
    else if (lock) {
      const text = `what is put is held in ${lock.mode.toLowerCase()} mode for ${lock.ms / DAY_MS} day(s)`;
      yield { name, state: 'ok', text: `${text}; bkp doctor --immutability tries to break it` };
    } else if (bucket?.enabled)
      yield { name, state: 'warn', text: 'the bucket has it, and nothing is held', mend: 'lock: { mode: compliance, days: 30 }' };
    if (bucket?.byDefault)
      yield {
        name: `${name} by default`,
        state: 'warn',
        text: `the bucket holds everything by itself (${bucket.byDefault}): leases, records and probes too, which pile up there`,
        mend: 'take the default retention off the bucket: bkp sets the lock of each object that is to last',
      };
  } catch (error) {
    const next = error instanceof BkpError ? error.next : [];
    yield { name, state: 'fail', text: sentence(error), ...(next.length > 0 ? { mend: next.join('\n') } : {}) };
  }
}

/** Rules of the bucket that would delete under a target's prefix on their own (RT17). Never throws. */
export async function* lifecycle(store: string, caller: Caller, base: string): AsyncGenerator<Check> {
  const name = `store ${store}: lifecycle`;
  try {
    const found = (await rulesOf(caller)).filter(rule => deletes(rule, `${base}/`));
    const rules = found.map(rule => `${rule.ID ?? 'a rule'} on "${prefixOf(rule)}"`).join(', ');
    yield found.length === 0
      ? { name, state: 'ok', text: 'no rule of the bucket deletes backups' }
      : {
          name,
          state: 'warn',
          text: `the bucket deletes objects under ${base}/ on its own: ${rules}; it knows nothing of what a kept backup needs`,
          mend: 'take the rule off this prefix: bkp prune is what removes backups',
        };
  } catch (error) {
    yield { name, state: 'warn', text: `the rules of the bucket cannot be read: ${sentence(error)}` };
  }
}
