import { type Exchange, errorXml, type LoggingS3, relay, reply, type Seen, startProxy } from './proxy.ts';
import type { S3Server } from './s3.ts';

/** What stands in for Backblaze B2. */
export interface B2 extends LoggingS3 {
  /** Requests for which the vault has no room just then: 503 "no tomes available". None, unless a test says which. */
  busy(seen: Seen): boolean;
}

interface Refusal {
  status: number;
  code: string;
  message: string;
}

/** Headers that B2 names in a refusal, even when they are empty. */
const UNSUPPORTED = /^(x-amz-tagging|x-amz-acl|x-amz-grant-.*|x-amz-checksum-.*|x-amz-sdk-checksum-algorithm|x-amz-trailer)$/;

const LOCK = /^x-amz-object-lock-/;

const unsupported = (what: string): Refusal => ({
  status: 400,
  code: 'InvalidArgument',
  message: `Unsupported ${what} received for this API call.`,
});

const CONDITIONAL: Refusal = {
  status: 501,
  code: 'NotImplemented',
  message: 'A header you provided implies functionality that is not implemented.',
};

const NO_MD5: Refusal = {
  status: 400,
  code: 'InvalidRequest',
  message: 'Content-MD5 HTTP header is required for Put Object requests with Object Lock parameters',
};

const NO_TOMES: Refusal = { status: 503, code: 'ServiceUnavailable', message: 'no tomes available' };

const isChunked = ({ headers }: Seen): boolean =>
  headers['content-encoding']?.includes('aws-chunked') || String(headers['x-amz-content-sha256'] ?? '').startsWith('STREAMING-');

const isConditional = ({ method, headers }: Seen): boolean =>
  (method === 'PUT' || method === 'POST') && (headers['if-none-match'] !== undefined || headers['if-match'] !== undefined);

/** Why B2 would not take a request; undefined when it would. */
function refusal(seen: Seen): Refusal | undefined {
  const names = Object.keys(seen.headers);
  const stranger = names.find(name => UNSUPPORTED.test(name));
  if (stranger) return unsupported(`header '${stranger}'`);
  if (isChunked(seen)) return unsupported("value of header 'x-amz-content-sha256'");
  if (isConditional(seen)) return CONDITIONAL;
  return names.some(name => LOCK.test(name)) && seen.method === 'PUT' && !seen.headers['content-md5'] ? NO_MD5 : undefined;
}

/**
 * Starts a proxy that refuses what Backblaze B2 refuses, before a server with versions (versitygw): tags, ACLs, checksums other than
 * Content-MD5, chunk-signed bodies and conditional writes. Its buckets always keep versions, so that a deletion only hides.
 */
export async function startB2(behind: S3Server): Promise<B2> {
  const handle = async (exchange: Exchange) => {
    const no = b2.busy(exchange.seen) ? NO_TOMES : refusal(exchange.seen);
    if (no) reply(exchange, no.status, {}, errorXml(no.code, no.message));
    else relay(exchange, await exchange.forward());
  };
  const proxy = await startProxy(behind, handle);
  const b2: B2 = { ...proxy, bucket: options => behind.bucket({ ...options, versions: true }), busy: () => false };
  return b2;
}
