import { BkpError, type ExitName } from '../../../core/errors.ts';
import { type Fault, MOST_SKEW } from './fault.ts';
import type { Settings } from './settings.ts';

/** RGW, MinIO and others by their codes; B2 forbids it, and says of which of its caps that is. */
const isFull = ({ status, code, message }: Fault): boolean =>
  status === 507 || /^(QuotaExceeded|XMinioStorageFull|InsufficientStorage)$/.test(code ?? '') || /storage cap exceeded/i.test(message);

const FULL = 'the account or bucket is full: raise its quota or cap, or let go what retention no longer keeps (bkp prune --confirm)';

/** The request that failed. */
export interface About {
  store: string;
  settings: Settings;
  /** The operation by its name in S3. */
  operation: string;
  key?: string;
  /** Bytes of its body. */
  bytes?: number;
  tries: number;
  /** Our clock when the answer came. */
  now: Date;
}

/** What a request to a store ended with; `fault` is for the code, the rest for the person. */
export class StoreFault extends BkpError {
  readonly fault: Fault;

  constructor(exit: ExitName, message: string, next: readonly string[], fault: Fault, cause: unknown) {
    super(exit, message, { next, cause, full: isFull(fault) });
    this.fault = fault;
  }
}

/** Milliseconds by which the store's clock is ahead of ours. */
const gapOf = (fault: Fault, now: Date): number => (fault.date ? fault.date.getTime() - now.getTime() : 0);

/** An answer to HEAD carries no code, only the date. */
const isSkewed = (fault: Fault, now: Date): boolean =>
  fault.code === 'RequestTimeTooSkewed' || (fault.status === 403 && fault.code === undefined && Math.abs(gapOf(fault, now)) > MOST_SKEW);

function skewText(fault: Fault, now: Date): string {
  if (!fault.date) return "the clock of this machine and the store's are too far apart";
  const gap = gapOf(fault, now);
  const [size, unit] = Math.abs(gap) < 120_000 ? [1000, 'seconds'] : [60_000, 'minutes'];
  const side = gap > 0 ? 'behind' : 'ahead of';
  const clocks = `${now.toISOString()} here, ${fault.date.toISOString()} there`;
  return `the clock of this machine is ${Math.round(Math.abs(gap) / size)} ${unit} ${side} the store's (${clocks})`;
}

const isCertificate = ({ status, code }: Fault): boolean => status === undefined && /CERT|SIGNATURE|ISSUER/.test(code ?? '');

/** Rights under the names that policies of S3 have for them, where these are not those of the operations. */
const RIGHTS: Readonly<Record<string, string>> = {
  ListObjectsV2: 's3:ListBucket',
  ListObjectVersions: 's3:ListBucketVersions',
  ListMultipartUploads: 's3:ListBucketMultipartUploads',
  HeadBucket: 's3:ListBucket',
  HeadObject: 's3:GetObject',
  CreateMultipartUpload: 's3:PutObject',
  UploadPart: 's3:PutObject',
  CompleteMultipartUpload: 's3:PutObject',
  DeleteObjects: 's3:DeleteObject',
  GetBucketLifecycleConfiguration: 's3:GetLifecycleConfiguration',
  GetObjectLockConfiguration: 's3:GetBucketObjectLockConfiguration',
};

const rightOf = (operation: string): string => RIGHTS[operation] ?? `s3:${operation}`;

/** What to do, by code and then by status. */
function adviceOf(fault: Fault, about: About): string[] {
  const { store, settings, operation } = about;
  const path = `stores.${store}`;
  const byCode: Readonly<Record<string, string>> = {
    InvalidAccessKeyId: `${path}.accessKey is not known to the store: is it of this account and this region?`,
    SignatureDoesNotMatch: `${path}.secretKey is wrong, or belongs to another accessKey`,
    InvalidSecurity: `${path}.accessKey and secretKey are not valid for the store`,
    NoSuchBucket: `make the bucket ${settings.bucket}, or correct ${path}.bucket or region`,
    AccessDenied: `the access key needs the right ${rightOf(operation)} on the bucket ${settings.bucket}`,
    PermanentRedirect: `the bucket is elsewhere: correct ${path}.endpoint and region${fault.region ? ` (${fault.region})` : ''}`,
    AuthorizationHeaderMalformed: `${path}.region is wrong${fault.region ? `: it is ${fault.region}` : ''}`,
    RequestTimeTooSkewed: 'set the clock of the side that is wrong, and keep it so with NTP (timedatectl shows)',
    ECONNREFUSED: `nobody listens there: is ${path}.endpoint right?`,
    EPROTO: `${path}.endpoint: is it http:// in place of https://, and is the port that of the service?`,
    ENOTFOUND: `the name is not known: is ${path}.endpoint right, and does DNS work here?`,
  };
  const byStatus: Readonly<Record<number, string>> = {
    301: byCode['PermanentRedirect']!,
    307: byCode['PermanentRedirect']!,
    403: `${path}.accessKey and secretKey: are they right, and do they have the right ${rightOf(operation)}?`,
    413: `something before the store takes no request of this size: let it take 17 MiB (nginx: client_max_body_size), or go around it`,
  };
  if (isFull(fault)) return [FULL];
  const known = byCode[fault.code ?? ''] ?? byStatus[fault.status ?? 0];
  if (known) return [known];
  return isCertificate(fault) ? [`${path}.ca takes the PEM text of the authority that signed the certificate`] : [];
}

function reasonOf(fault: Fault, about: About): string {
  const said = [fault.status, fault.code].filter(part => part !== undefined).join(' ');
  const reason = [said, fault.message].filter(part => part !== '').join(': ');
  return isSkewed(fault, about.now) ? `${reason}: ${skewText(fault, about.now)}` : reason;
}

/** A listing asks for no object that could be missing: such an answer is no state of the bucket. */
const exitOf = ({ status, code }: Fault, operation: string): ExitName => {
  if (code === 'NoSuchKey' && !operation.startsWith('List')) return 'notFound';
  if (code === 'XAmzContentSHA256Mismatch' || code === 'BadDigest') return 'verifyFailed';
  return status === 412 ? 'conflict' : 'storeUnreachable';
};

/** The sentence of a fault: store, bucket, operation, key, size, status, code and tries; no secret is in it. */
export function storeFault(fault: Fault, about: About, cause: unknown): StoreFault {
  const { store, settings, operation, key, bytes, tries, now } = about;
  const what = `${operation}${key ? ` of ${key}` : ''}${bytes === undefined ? '' : ` (${bytes} bytes)`}`;
  const text = `store ${store} (bucket ${settings.bucket} at ${settings.endpoint}): ${what} failed: ${reasonOf(fault, about)}`;
  const skewed = isSkewed(fault, now) ? { ...fault, code: 'RequestTimeTooSkewed' } : fault;
  return new StoreFault(
    exitOf(fault, operation),
    `${text}${tries > 1 ? ` (tried ${tries} times)` : ''}`,
    adviceOf(skewed, about),
    fault,
    cause,
  );
}
