import { createHash } from 'node:crypto';
import type * as Sdk from '@aws-sdk/client-s3';
import { BkpError } from '../../../core/errors.ts';
import type { Caller } from './caller.ts';
import { StoreFault } from './errors.ts';
import type { Hold, Lock } from './settings.ts';

/** What a bucket says of its object lock. */
export interface BucketLock {
  enabled: boolean;
  /** What it holds by itself whatever is put there, in words: `GOVERNANCE for 30 days`. */
  byDefault?: string;
}

/** Stores keep whole seconds, some of them. */
const ROUNDING_MS = 1000;

/**
 * Asks the bucket whether it has object lock; undefined where the access key may not ask. Throws StoreFault when the store does not answer.
 */
export async function bucketLock(caller: Caller): Promise<BucketLock | undefined> {
  const { bucket: Bucket } = caller.settings;
  try {
    const said = await caller.call('GetObjectLockConfiguration', sdk => new sdk.GetObjectLockConfigurationCommand({ Bucket }));
    const { ObjectLockEnabled, Rule } = said.ObjectLockConfiguration ?? {};
    const { Mode, Days, Years } = Rule?.DefaultRetention ?? {};
    const byDefault = Mode && `${Mode} for ${Days ? `${Days} days` : `${Years} years`}`;
    return { enabled: ObjectLockEnabled === 'Enabled', ...(byDefault ? { byDefault } : {}) };
  } catch (error) {
    if (!(error instanceof StoreFault)) throw error;
    const { code, status } = error.fault;
    if (status === 404 && code !== 'NoSuchBucket') return { enabled: false };
    if (status === 403) return undefined;
    if (status === 400 || status === 405 || status === 501) return { enabled: false };
    throw error;
  }
}

/** What is said where a config asks for a lock that the bucket does not have. */
export function lockless(caller: Caller): BkpError {
  const { bucket } = caller.settings;
  return new BkpError(
    'refused',
    `${caller.where}: the config asks for object lock (\`lock\`), and the bucket has none: it is chosen when a bucket is made`,
    { next: [`make another bucket with object lock in place of ${bucket}`, `or take \`lock\` out of stores.${caller.name}`] },
  );
}

/** Until when what is put now is to be held, by the store's own clock as its last answer showed it. */
export const untilOf = (caller: Caller, { ms }: Lock): Date => new Date(storeNow(caller).getTime() + ms);

/** The store's clock as its last answer showed it; ours before the first one. */
export const storeNow = ({ host, ahead = 0 }: Caller): Date => new Date(host.clock.now().getTime() + ahead);

/** Whether a hold lasts as long as another, but for rounding. */
export const lasts = (hold: Hold | undefined, until: Date): boolean =>
  hold !== undefined && hold.until.getTime() + ROUNDING_MS >= until.getTime();

export const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('base64');

/** Object lock wants Content-MD5; the SDK would send a checksum of its own instead, which B2 refuses. */
function carryMd5<I extends Sdk.ServiceInputTypes, O extends Sdk.ServiceOutputTypes>(command: {
  middlewareStack: Sdk.S3Client['middlewareStack'];
  input: I;
  output?: O;
}): void {
  command.middlewareStack.add(
    next => args => {
      const request = args.request as { headers: Record<string, string>; body?: string | Uint8Array };
      for (const name of Object.keys(request.headers)) if (/^x-amz-(sdk-)?checksum-/.test(name)) delete request.headers[name];
      request.headers['content-md5'] = md5(Buffer.from(request.body ?? ''));
      return next(args);
    },
    { step: 'build', name: 'bkpMd5', priority: 'low' },
  );
}

export interface Change {
  key: string;
  version?: string | undefined;
  hold: Hold;
  /** Asks to be let through governance mode, as the attack of `doctor --immutability` does. */
  bypass?: boolean;
}

/** Sets until when a version is held; the store lets it become longer, and shorter for nobody, or for whoever may bypass. Throws StoreFault. */
export async function setHold(caller: Caller, { key, version, hold, bypass }: Change): Promise<void> {
  await caller.call(
    'PutObjectRetention',
    sdk => {
      const command = new sdk.PutObjectRetentionCommand({
        Bucket: caller.settings.bucket,
        Key: key,
        ...(version === undefined ? {} : { VersionId: version }),
        ...(bypass ? { BypassGovernanceRetention: true } : {}),
        Retention: { Mode: hold.mode, RetainUntilDate: hold.until },
      });
      carryMd5(command as never);
      return command;
    },
    { key },
  );
}
