import type { Powers } from '../../../core/contracts.ts';
import type { Caller } from './caller.ts';
import { StoreFault } from './errors.ts';
import type { Fault } from './fault.ts';
import { removeVersion } from './remove.ts';

const body = Buffer.from('bkp probe\n');

/** A store that is there and does not do, or not allow, what was asked. */
const REFUSAL =
  /^(AccessDenied|NotImplemented|MethodNotAllowed|InvalidArgument|InvalidRequest|PreconditionFailed|ObjectLockConfigurationNotFoundError)$/;

const isRefusal = ({ code, status = 0 }: Fault): boolean => [405, 412, 501].includes(status) || REFUSAL.test(code ?? '');

async function unlessRefused<T, F>(asked: Promise<T>, otherwise: F): Promise<T | F> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof StoreFault && isRefusal(error.fault)) return otherwise;
    throw error;
  }
}

/** Writes an object and returns its version; `undefined` = refused. */
const put = (caller: Caller, key: string, condition: { IfNoneMatch?: string } = {}) =>
  unlessRefused(
    caller.call(
      'PutObject',
      sdk => new sdk.PutObjectCommand({ Bucket: caller.settings.bucket, Key: key, Body: body, ContentLength: body.length, ...condition }),
      { key, bytes: body.length },
    ),
    undefined,
  );

async function hasVersions(caller: Caller, written: string | undefined): Promise<boolean> {
  const { bucket: Bucket } = caller.settings;
  const said = await unlessRefused(
    caller.call('GetBucketVersioning', sdk => new sdk.GetBucketVersioningCommand({ Bucket })),
    undefined,
  );
  return said ? said.Status === 'Enabled' : written !== undefined && written !== 'null';
}

async function hasLocks(caller: Caller): Promise<boolean> {
  const { bucket: Bucket } = caller.settings;
  const said = await unlessRefused(
    caller.call('GetObjectLockConfiguration', sdk => new sdk.GetObjectLockConfigurationCommand({ Bucket })),
    undefined,
  );
  return said?.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled';
}

/**
 * Asks a store what it can do. A small object is written twice, the second time on condition that it is not there, and removed.
 * What the access key may not ask counts as not there.
 * @param key of the probe; nothing else has it
 * @throws StoreFault when the store does not answer
 */
export async function probe(caller: Caller, key: string): Promise<Powers> {
  const first = await put(caller, key);
  const second = first && caller.conditional ? await put(caller, key, { IfNoneMatch: '*' }) : first;
  const [versions, locks] = await Promise.all([hasVersions(caller, first?.VersionId), hasLocks(caller)]);
  for (const each of new Set([first?.VersionId, second?.VersionId])) if (first) await removeVersion(caller, key, each).catch(() => {});
  return { conditionalPut: first !== undefined && second === undefined, versions, locks };
}
