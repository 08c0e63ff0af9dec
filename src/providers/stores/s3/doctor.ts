import type * as Sdk from '@aws-sdk/client-s3';
import type { Check } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import type { Caller } from './caller.ts';
import { StoreFault } from './errors.ts';

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
