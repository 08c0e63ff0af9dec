import type * as Sdk from '@aws-sdk/client-s3';
import type { Caller } from './caller.ts';

const LIST = 'ListObjectsV2';
const VERSIONS = 'ListObjectVersions';
const UPLOADS = 'ListMultipartUploads';

/** The pages of one listing, until the last one. */
class Pages<T> {
  readonly #caller: Caller;
  readonly #operation: string;
  readonly #prefix: string;
  readonly #begun = new Set<string>();

  constructor(caller: Caller, operation: string, prefix: string) {
    this.#caller = caller;
    this.#operation = operation;
    this.#prefix = prefix;
  }

  /**
   * Where the next page begins; undefined after the last one.
   * @param more what the page says about that; a page that says nothing comes from no S3 service, or from its middle
   * @throws StoreFault when a page does not say how to go on, or goes in a circle: half of a listing is never passed off as all of it
   */
  next(more: boolean | undefined, to: T | undefined): T | undefined {
    if (more === undefined) throw this.bad(NO_S3);
    if (!more) return undefined;
    if (to === undefined || to === '') throw this.bad('there is more, and the store does not say how to go on');
    const place = JSON.stringify(to);
    if (this.#begun.has(place)) throw this.bad('the store gives the same page again');
    this.#begun.add(place);
    return to;
  }

  bad = (why: string): Error => this.#caller.fault(this.#operation, `the listing is not whole: ${why}`, `${this.#prefix}*`);
}

const NO_S3 = 'the answer is not one of S3';

const where = (caller: Caller, prefix: string) => ({ Bucket: caller.settings.bucket, ...(prefix === '' ? {} : { Prefix: prefix }) });

/**
 * Every object under a prefix, page by page in the order in which the store lists; the next page comes while one is worked at.
 * Throws StoreFault rather than ending early.
 */
export async function* objects(caller: Caller, prefix: string): AsyncGenerator<readonly Sdk._Object[]> {
  const pages = new Pages<string>(caller, LIST, prefix);
  const stop = new AbortController();
  const options = { key: `${prefix}*`, signal: stop.signal };
  const ask = (more: { ContinuationToken?: string }) =>
    caller.call(LIST, sdk => new sdk.ListObjectsV2Command({ ...where(caller, prefix), ...more }), options);
  try {
    for (let coming: ReturnType<typeof ask> | undefined = ask({}); coming; ) {
      const page: Awaited<typeof coming> = await coming;
      const from = pages.next(page.IsTruncated, page.NextContinuationToken);
      coming = from === undefined ? undefined : ask({ ContinuationToken: from });
      // Whoever goes on is told.
      coming?.catch(() => {});
      yield page.Contents ?? [];
    }
  } finally {
    // A reader that had enough leaves no request on its way.
    stop.abort();
  }
}

/** A version of an object, or a mark that hides the versions below it. */
export interface Version {
  key: string;
  id: string;
  bytes: number;
  marker: boolean;
  latest: boolean;
}

/** Undefined for what does not say which version it is, or whether something hides it: by that, versions are removed for good. */
function toVersion({ Key, VersionId, IsLatest, Size = 0 }: Sdk.ObjectVersion, marker: boolean): Version | undefined {
  if (!Key || !VersionId || IsLatest === undefined || !isSize(Size)) return undefined;
  return { key: Key, id: VersionId, bytes: Size, marker, latest: IsLatest };
}

/** Whether a number can be the bytes of an object. */
export const isSize = (bytes: number | undefined): bytes is number => Number.isSafeInteger(bytes) && bytes! >= 0;

/** Every version and mark of deletion under a prefix; in a bucket without versions, every object. Throws StoreFault. */
export async function* versions(caller: Caller, prefix: string): AsyncGenerator<Version> {
  type Place = { KeyMarker: string; VersionIdMarker?: string };
  const pages = new Pages<Place>(caller, VERSIONS, prefix);
  let from: Place | undefined;
  do {
    const page = await caller.call(VERSIONS, sdk => new sdk.ListObjectVersionsCommand({ ...where(caller, prefix), ...from }), {
      key: `${prefix}*`,
    });
    const versions = (page.Versions ?? []).map(version => toVersion(version, false));
    for (const version of [...versions, ...(page.DeleteMarkers ?? []).map(marker => toVersion(marker, true))]) {
      if (!version) throw pages.bad(NO_S3);
      yield version;
    }
    const { NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = page;
    const to = KeyMarker ? { KeyMarker, ...(VersionIdMarker ? { VersionIdMarker } : {}) } : undefined;
    from = pages.next(page.IsTruncated, to);
  } while (from !== undefined);
}

/** Every upload under a prefix that was begun and neither finished nor given up. Throws StoreFault. */
export async function* uploads(caller: Caller, prefix: string): AsyncGenerator<Sdk.MultipartUpload> {
  type Place = { KeyMarker: string; UploadIdMarker?: string };
  const pages = new Pages<Place>(caller, UPLOADS, prefix);
  let from: Place | undefined;
  do {
    const page = await caller.call(UPLOADS, sdk => new sdk.ListMultipartUploadsCommand({ ...where(caller, prefix), ...from }), {
      key: `${prefix}*`,
    });
    yield* page.Uploads ?? [];
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
    const to = KeyMarker ? { KeyMarker, ...(UploadIdMarker ? { UploadIdMarker } : {}) } : undefined;
    from = pages.next(page.IsTruncated, to);
  } while (from !== undefined);
}
