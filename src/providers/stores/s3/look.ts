import type { ObjectInfo } from '../../../core/contracts.ts';
import type { Caller } from './caller.ts';
import { StoreFault } from './errors.ts';
import type { Hold } from './settings.ts';

/** Metadata by which an upload knows its own object again. */
export const TOKEN = 'bkp-upload';

/** What HEAD shows of an object. */
export interface Seen {
  info: ObjectInfo;
  /** Of the upload that wrote it; undefined when it was not one of ours. */
  token?: string;
  version?: string;
  /** Until when the store holds it, where it does and says so. */
  hold?: Hold;
}

/** Whether a store answered that what was asked for is not there. Buckets and accounts may be unknown with a 404 as well. */
export const isAbsent = (error: unknown): boolean =>
  error instanceof StoreFault && error.fault.status === 404 && /^(|NotFound|NoSuch(Key|Version|Upload))$/.test(error.fault.code ?? '');

/** Looks at one object; undefined when it is absent. A bucket that is not there looks the same: see `Store.stat`. Throws StoreFault. */
export async function look(caller: Caller, key: string): Promise<Seen | undefined> {
  try {
    const head = await caller.call('HeadObject', sdk => new sdk.HeadObjectCommand({ Bucket: caller.settings.bucket, Key: key }), { key });
    if (!head.LastModified) throw caller.fault('HeadObject', 'the answer is not one of S3', key);
    const token = head.Metadata?.[TOKEN];
    const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until } = head;
    return {
      info: { key, bytes: head.ContentLength ?? 0, modified: head.LastModified },
      ...(token === undefined ? {} : { token }),
      ...(head.VersionId === undefined ? {} : { version: head.VersionId }),
      ...(mode && until ? { hold: { mode, until } } : {}),
    };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
