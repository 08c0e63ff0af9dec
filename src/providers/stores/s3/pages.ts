import type * as Sdk from '@aws-sdk/client-s3';
import type { Caller } from './caller.ts';

const LIST = 'ListObjectsV2';
const VERSIONS = 'ListObjectVersions';
const UPLOADS = 'ListMultipartUploads';

/**
 * Where the next page begins; undefined after the last one.
 * @param more what the page says about that; a page that says nothing comes from no S3 service, or from its middle
 * @throws StoreFault when a page does not say how to go on, or would begin again: half of a listing is never passed off as all of it
 */
function next<T>(caller: Caller, operation: string, prefix: string, more: boolean | undefined, from: T | undefined, to: T | undefined) {
  const bad = (why: string) => caller.fault(operation, `the listing is not whole: ${why}`, `${prefix}*`);
  if (more === undefined) throw bad('the answer is not one of S3');
  if (!more) return undefined;
  if (to === undefined || to === '') throw bad('there is more, and the store does not say how to go on');
  if (JSON.stringify(to) === JSON.stringify(from)) throw bad('the store gives the same page again');
  return to;
}

const where = (caller: Caller, prefix: string) => ({ Bucket: caller.settings.bucket, ...(prefix === '' ? {} : { Prefix: prefix }) });

/** Every object under a prefix, in the order in which the store lists. Throws StoreFault rather than ending early. */
export async function* objects(caller: Caller, prefix: string): AsyncGenerator<Sdk._Object> {
  let from: string | undefined;
  do {
    const page = await caller.call(
      LIST,
      sdk => new sdk.ListObjectsV2Command({ ...where(caller, prefix), ...(from === undefined ? {} : { ContinuationToken: from }) }),
      { key: `${prefix}*` },
    );
    yield* page.Contents ?? [];
    from = next(caller, LIST, prefix, page.IsTruncated, from, page.NextContinuationToken);
  } while (from !== undefined);
}

/** A version of an object, or a mark that hides the versions below it. */
export interface Version {
  key: string;
  id: string;
  bytes: number;
  marker: boolean;
  latest: boolean;
}

const toVersion = ({ Key, VersionId, IsLatest, Size }: Sdk.ObjectVersion, marker: boolean): Version => ({
  key: Key ?? '',
  id: VersionId ?? 'null',
  bytes: Size ?? 0,
  marker,
  latest: IsLatest ?? false,
});

/** Every version and mark of deletion under a prefix; in a bucket without versions, every object. Throws StoreFault. */
export async function* versions(caller: Caller, prefix: string): AsyncGenerator<Version> {
  let from: { KeyMarker: string; VersionIdMarker?: string } | undefined;
  do {
    const page = await caller.call(VERSIONS, sdk => new sdk.ListObjectVersionsCommand({ ...where(caller, prefix), ...from }), {
      key: `${prefix}*`,
    });
    for (const version of page.Versions ?? []) yield toVersion(version, false);
    for (const marker of page.DeleteMarkers ?? []) yield toVersion(marker, true);
    const { NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = page;
    const to = KeyMarker ? { KeyMarker, ...(VersionIdMarker ? { VersionIdMarker } : {}) } : undefined;
    from = next(caller, VERSIONS, prefix, page.IsTruncated, from, to);
  } while (from !== undefined);
}

/** Every upload under a prefix that was begun and neither finished nor given up. Throws StoreFault. */
export async function* uploads(caller: Caller, prefix: string): AsyncGenerator<Sdk.MultipartUpload> {
  let from: { KeyMarker: string; UploadIdMarker?: string } | undefined;
  do {
    const page = await caller.call(UPLOADS, sdk => new sdk.ListMultipartUploadsCommand({ ...where(caller, prefix), ...from }), {
      key: `${prefix}*`,
    });
    yield* page.Uploads ?? [];
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
    const to = KeyMarker ? { KeyMarker, ...(UploadIdMarker ? { UploadIdMarker } : {}) } : undefined;
    from = next(caller, UPLOADS, prefix, page.IsTruncated, from, to);
  } while (from !== undefined);
}
