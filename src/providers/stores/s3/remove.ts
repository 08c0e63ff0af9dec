import pMap from 'p-map';
import type { PerItem } from '../../../core/contracts.ts';
import { checkKey } from '../../../core/key.ts';
import type { Caller } from './caller.ts';
import { StoreFault } from './errors.ts';
import { storeNow } from './lock.ts';
import { isAbsent } from './look.ts';
import { type Version, versions } from './pages.ts';

const DELETE = 'DeleteObject';

/** Whether a store refused this one key, and answers for others. */
const isOfKey = (error: unknown): error is StoreFault =>
  error instanceof StoreFault && /^(AccessDenied|Invalid(Argument|Request)|MethodNotAllowed|ObjectLocked)$/.test(error.fault.code ?? '');

/** Removes one version, or what the name stands for when there is none. What is gone already is fine. Throws StoreFault. */
export async function removeVersion(caller: Caller, key: string, version?: string): Promise<void> {
  const where = { Bucket: caller.settings.bucket, Key: key, ...(version === undefined ? {} : { VersionId: version }) };
  await caller
    .call(DELETE, sdk => new sdk.DeleteObjectCommand(where), { key })
    .catch(error => {
      if (!isAbsent(error)) throw error;
    });
}

async function versionsOf(caller: Caller, key: string): Promise<Version[]> {
  const found: Version[] = [];
  try {
    for await (const version of versions(caller, key)) if (version.key === key) found.push(version);
    return found;
  } catch (error) {
    if (error instanceof StoreFault && error.fault.status === 501) return [{ key, id: 'null', bytes: 0, marker: false, latest: true }];
    throw error;
  }
}

/** Until when a store holds a version, in words; undefined when it does not, or does not say. */
async function holdOf(caller: Caller, key: string, version?: string): Promise<string | undefined> {
  const where = { Bucket: caller.settings.bucket, Key: key, ...(version === undefined ? {} : { VersionId: version }) };
  const head = await caller.call('HeadObject', sdk => new sdk.HeadObjectCommand(where), { key }).catch(() => undefined);
  if (head?.ObjectLockLegalHoldStatus === 'ON') return 'held by a legal hold';
  const until = head?.ObjectLockRetainUntilDate;
  return until && until > storeNow(caller) ? `held by object lock until ${until.toISOString()}` : undefined;
}

/** @returns why this version stays; throws StoreFault when that is not a matter of this key */
async function refusal(caller: Caller, key: string, version: string | undefined, error: unknown): Promise<Omit<PerItem, 'ok'>> {
  if (!isOfKey(error)) throw error;
  const hold = error.fault.status === 403 ? await holdOf(caller, key, version) : undefined;
  const locked = hold !== undefined || /lock|retention|legal hold|WORM/i.test(`${error.fault.code} ${error.fault.message}`);
  return { key, ...(locked ? { locked } : {}), reason: hold ?? error.message };
}

async function tryVersion(caller: Caller, key: string, version?: string): Promise<PerItem> {
  try {
    await removeVersion(caller, key, version);
    return { key, ok: true };
  } catch (error) {
    return { ...(await refusal(caller, key, version, error)), ok: false };
  }
}

/** Marks of deletion go last, and only when nothing is left below them: else what was hidden would come back. */
async function removeAll(caller: Caller, key: string): Promise<PerItem> {
  const found = await versionsOf(caller, key);
  for (const marker of [false, true]) {
    for (const version of found.filter(each => each.marker === marker)) {
      const item = await tryVersion(caller, key, version.id);
      if (!item.ok) return item;
    }
  }
  return { key, ok: true };
}

/**
 * Removes one object, as the settings say where the bucket keeps versions.
 * @param options `locks` = the bucket may hold it: then that is asked before it is hidden
 * @throws StoreFault only when the store does not answer, or answers nobody
 */
export async function removeKey(caller: Caller, key: string, { locks = false } = {}): Promise<PerItem> {
  try {
    checkKey(key);
  } catch (error) {
    return { key, ok: false, reason: (error as Error).message };
  }
  if (caller.settings.versions === 'delete') return removeAll(caller, key);
  // A store hides what it holds without a word: what is to stay would show in no listing any more.
  const reason = locks ? await holdOf(caller, key) : undefined;
  return reason === undefined ? tryVersion(caller, key) : { key, ok: false, locked: true, reason };
}

/** Versions of one name that a newer one or a mark hides, and the mark once nothing is left below it. */
async function purgeKey(caller: Caller, key: string, found: readonly Version[]): Promise<PerItem[]> {
  if (found.filter(({ latest }) => latest).length !== 1)
    return [{ key, ok: false, reason: 'the store does not say which of its versions is the newest' }];
  const current = found.find(({ latest, marker }) => latest && !marker);
  const items: PerItem[] = [];
  for (const marker of [false, true]) {
    if (marker && items.some(({ ok }) => !ok)) break;
    for (const version of found.filter(each => each !== current && each.marker === marker))
      items.push(await tryVersion(caller, key, version.id));
  }
  return items;
}

/**
 * Removes every version and mark of deletion under a prefix that no listing shows; what a listing shows stays.
 * @throws StoreFault only when the store does not answer, or answers nobody
 */
export async function purgeHidden(caller: Caller, prefix: string): Promise<PerItem[]> {
  const keys = new Map<string, Version[]>();
  for await (const version of versions(caller, prefix))
    if (version.key.startsWith(prefix)) keys.set(version.key, [...(keys.get(version.key) ?? []), version]);
  const hiding = [...keys].filter(([, found]) => found.some(({ latest, marker }) => !latest || marker));
  const items = await pMap(hiding, ([key, found]) => purgeKey(caller, key, found), { concurrency: caller.settings.connections });
  return items.flat();
}
