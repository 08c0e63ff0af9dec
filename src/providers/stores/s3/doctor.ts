import type * as Sdk from '@aws-sdk/client-s3';
import type { Check } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import type { Caller } from './caller.ts';
import { StoreFault } from './errors.ts';

/** Clocks may differ by this much without a word: milliseconds. Stores refuse 15 minutes. */
const MUCH = 60_000;

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

async function lifecycle(caller: Caller, base: string): Promise<Check> {
  const name = `store ${caller.name}: lifecycle`;
  try {
    const found = (await rulesOf(caller)).filter(rule => deletes(rule, `${base}/`));
    if (found.length === 0) return { name, state: 'ok', text: 'no rule of the bucket deletes backups' };
    const rules = found.map(rule => `${rule.ID ?? 'a rule'} on "${prefixOf(rule)}"`).join(', ');
    return {
      name,
      state: 'warn',
      text: `the bucket deletes objects under ${base}/ on its own: ${rules}; it knows nothing of what a kept backup needs`,
      mend: 'take the rule off this prefix, and let bkp prune decide',
    };
  } catch (error) {
    return { name, state: 'warn', text: `the rules of the bucket cannot be read: ${sentence(error)}` };
  }
}

function clock(caller: Caller): Check {
  const name = `store ${caller.name}: clock`;
  const seconds = Math.round(Math.abs(caller.ahead ?? 0) / 1000);
  if (Math.abs(caller.ahead ?? 0) <= MUCH) return { name, state: 'ok', text: "this machine's agrees with the store's" };
  return {
    name,
    state: 'warn',
    text: `the clock of this machine is ${seconds} s ${caller.ahead! > 0 ? 'behind' : 'ahead of'} the store's; at 15 minutes stores refuse`,
    mend: 'timedatectl set-ntp true   # on the side that is wrong',
  };
}

/** Rules of the bucket that delete on their own, and the clock. Never throws. */
export async function* doctorS3(caller: Caller, base: string): AsyncGenerator<Check> {
  yield await lifecycle(caller, base);
  yield clock(caller);
}
