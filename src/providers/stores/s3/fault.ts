/** How often a request that failed so is tried again: not at all, as long as a wrong address deserves, or as the settings say. */
export type Again = 'never' | 'few' | 'many';

/** What went wrong with one request, in the terms of HTTP and S3. */
export interface Fault {
  /** HTTP status; absent when there was no answer. */
  status?: number;
  /** Code of S3, of the network (`ECONNRESET`) or of TLS; absent when an answer had none, as that of a HEAD. */
  code?: string;
  message: string;
  again: Again;
  /** The store's clock, as its answer shows it. */
  date?: Date;
  /** Where the bucket really is, when the store says so. */
  region?: string;
}

interface SdkError extends Error {
  code?: string;
  errors?: readonly unknown[];
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string | undefined>; reason?: string };
}

const BUSY = /^(SlowDown|Request(Timeout|LimitExceeded)|InternalError|ServiceUnavailable|OperationAborted|ConditionalRequestConflict)$/;
const BUSY_STATUS = new Set([408, 429, 500, 502, 503, 504]);
const NOBODY_THERE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ERR_PROXY_TUNNEL']);
const CERTIFICATE = /CERT|SIGNATURE|ISSUER|^ERR_TLS|^ERR_SSL|^EPROTO$/;
/** Clocks may differ by 15 minutes: milliseconds. */
export const MOST_SKEW = 900_000;

/** A host of several addresses fails with one error for each. */
const firstOf = (error: unknown): SdkError => {
  const all = (error as SdkError | undefined)?.errors;
  const first = Array.isArray(all) && all.length > 0 ? all[0] : error;
  return typeof first === 'object' && first !== null && 'message' in first ? (first as SdkError) : new Error(String(first));
};

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, 300);

/** What Node and the SDK say, and what it means. */
const MEANT: readonly (readonly [RegExp, string])[] = [
  [/establish a connection/, 'no connection came about in time'],
  [/inactivity/, 'nothing moved on the connection for as long as idleTimeout'],
  [/SSL routines.*wrong version number/, 'what answers there does not speak TLS'],
];

function withoutAnswer(error: SdkError): Fault {
  const code = error.code ?? (error.name === 'Error' ? undefined : error.name);
  const again = CERTIFICATE.test(code ?? '') ? 'never' : NOBODY_THERE.has(code ?? '') ? 'few' : 'many';
  const message = MEANT.find(([pattern]) => pattern.test(error.message))?.[1] ?? oneLine(error.message);
  return { ...(code === undefined ? {} : { code }), message, again };
}

function againOf(status: number, code: string | undefined): Again {
  if (code === 'RequestTimeTooSkewed') return 'never';
  return BUSY_STATUS.has(status) || BUSY.test(code ?? '') ? 'many' : 'never';
}

/** The SDK's words for no words say nothing. */
const messageOf = (error: SdkError, code: string | undefined): string =>
  code === undefined || error.message === 'UnknownError' ? (error.$response?.reason ?? '') : oneLine(error.message);

function withAnswer(error: SdkError, status: number): Fault {
  const headers = error.$response?.headers ?? {};
  const known = /^[A-Z][A-Za-z0-9]+$/.test(error.name) && error.name !== 'Unknown' && error.name !== 'SyntaxError';
  const code = known && error.name !== 'Error' ? error.name : undefined;
  const date = new Date(headers['date'] ?? '');
  const region = headers['x-amz-bucket-region'];
  return {
    status,
    ...(code === undefined ? {} : { code }),
    message: messageOf(error, code),
    again: againOf(status, code),
    ...(Number.isNaN(date.getTime()) ? {} : { date }),
    ...(region === undefined ? {} : { region }),
  };
}

/**
 * Reads an error of the SDK, of Node's network or of TLS. An answer that says 200 and cannot be read is one that was cut off.
 * @param error whatever a request was rejected with
 */
export function faultOf(error: unknown): Fault {
  const sdk = firstOf(error);
  const status = sdk.$metadata?.httpStatusCode;
  if (status === undefined) return withoutAnswer(sdk);
  if (status < 300) return { status, message: 'the answer cannot be read: it is not one of S3, or was cut off', again: 'many' };
  return withAnswer(sdk, status);
}
