import { log } from './log.ts';

interface Failure {
  name: string;
  message: string;
  code?: string;
  errors?: Failure[];
  $metadata?: { httpStatusCode?: number; requestId?: string };
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** Go's words for what Node says of a connection. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  ECONNRESET: 'read: connection reset by peer',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'no such host',
  ETIMEDOUT: 'i/o timeout',
};

/** An error as aws-sdk-go words it, which WAL-G uses. */
export function worded(error: unknown, url: string): string {
  const { name, message, code, errors, $metadata } = error as Failure;
  if ($metadata?.httpStatusCode)
    return `${name}: ${message}\n\tstatus code: ${$metadata.httpStatusCode}, request id: ${$metadata.requestId ?? ''}, host id: `;
  const reason = code ?? errors?.[0]?.code ?? '';
  const { hostname, host } = new URL(url);
  const where = WORDS[reason] === 'no such host' ? `dial tcp: lookup ${hostname}` : `dial tcp ${host}`;
  return `RequestError: send request failed\ncaused by: Get "${url}": ${where}: ${WORDS[reason] ?? message}`;
}

/** A response that aws-sdk-go, or WAL-G's addition to it, asks for again. */
function isPassing(error: unknown): boolean {
  const status = (error as Failure).$metadata?.httpStatusCode;
  return status === undefined || status >= 500 || status === 429 || status === 409 || status === 499;
}

const isThrottled = (error: unknown): boolean => [429, 503].includes((error as Failure).$metadata?.httpStatusCode ?? 0);

/** aws-sdk-go's waits: from 30 ms, or 500 ms where the server is busy, doubled each time, with chance, up to 300 s. 15 of them take minutes. */
const wait = (tried: number, least: number): number => Math.min((least + Math.random() * least) * 2 ** tried, 300_000);

/** Asks up to `retries` times more. @throws the last error */
export async function retrying<T>(retries: number, url: string, ask: () => Promise<T>): Promise<T> {
  for (let tried = 0; ; tried += 1) {
    try {
      return await ask();
    } catch (error) {
      if (tried >= retries || !isPassing(error)) throw error;
      if (!(error as Failure).$metadata) log.info(`Retrying S3 request due to transient network error: ${worded(error, url)}`);
      await pause(wait(tried, isThrottled(error) ? 500 : 30));
    }
  }
}
