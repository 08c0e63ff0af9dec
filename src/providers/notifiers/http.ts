import { Undelivered } from '../../core/notify/types.ts';

/** One request. `ca` is PEM text of the authority that is trusted instead of those of Node. */
export interface Request {
  url: string;
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
  ca?: string | undefined;
}

const LONGEST_ANSWER = 64 * 1024;

/** Whole: whoever takes the secrets out cuts it, since the rest of one that was cut would stay. */
export const oneLine = (text: string): string => text.replace(/[\p{C}\s]+/gu, ' ').trim();

/** The deepest cause, without addresses: an AggregateError of several has a code and no message. */
function reasonOf(error: NodeJS.ErrnoException): string {
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'it refuses the connection',
    ECONNRESET: 'it broke the connection off',
    ENOTFOUND: 'there is no such host',
    EAI_AGAIN: 'its name cannot be looked up now',
  };
  return known[error.code ?? ''] ?? oneLine(error.message || error.code || String(error));
}

/** Seconds or an HTTP date (RFC 9110, 10.2.3) as milliseconds from now; 0 when there is nothing to read. */
function retryAfter(value: string | undefined): number {
  if (value === undefined) return 0;
  if (/^\d{1,6}$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now());
}

interface Answer {
  status: number;
  text: string;
  waitMs: number;
}

async function exchange({ url, method = 'POST', headers = {}, body, ca }: Request, target: URL, signal: AbortSignal): Promise<Answer> {
  // Loaded by the one that needs it: all that node:http brings with it costs every start 50 ms.
  const { request } = target.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const bytes = body === undefined ? undefined : Buffer.from(body);
  return new Promise((resolve, reject) => {
    const options = {
      method,
      signal,
      agent: false as const,
      headers: { 'user-agent': 'bkp', ...headers, ...(bytes ? { 'content-length': String(bytes.length) } : {}) },
      ...(ca === undefined ? {} : { ca }),
    };
    const sent = request(url, options, answer => {
      let text = '';
      answer.setEncoding('utf8').on('data', chunk => {
        text += chunk;
        if (text.length > LONGEST_ANSWER) answer.destroy();
      });
      answer.on('error', reject);
      answer.on('close', () => resolve({ status: answer.statusCode ?? 0, text, waitMs: retryAfter(answer.headers['retry-after']) }));
    });
    sent.on('error', reject);
    sent.end(bytes);
  });
}

/**
 * Sends one request and wants an answer of 2xx. A redirect is not followed: it would take the message, and what stands in its address,
 * elsewhere.
 * @returns the text of the answer
 * @throws Undelivered, worth another try after no answer, 408, 425, 429 and 5xx; the signal's reason
 */
export async function send(request: Request, signal: AbortSignal): Promise<string> {
  const url = URL.parse(request.url);
  if (!url || !/^https?:$/.test(url.protocol))
    throw new Undelivered('its address begins with neither http:// nor https://', { again: false });
  let answer: Answer;
  try {
    answer = await exchange(request, url, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new Undelivered(`${url.host}: ${reasonOf(error as NodeJS.ErrnoException)}`, { again: true, cause: error });
  }
  const { status, text, waitMs } = answer;
  if (status >= 200 && status < 300) return text;
  const again = [408, 425, 429].includes(status) || status >= 500 || status === 0;
  const how = status >= 300 && status < 400 ? `${status}, a redirect, and those are not followed` : `${status} ${oneLine(text)}`.trim();
  throw new Undelivered(`${url.host} answered ${how}`, { again, waitMs });
}

/** Ordinary words of addresses are no secrets, and taking them out would garble what is shown. */
const isTelling = (part: string): boolean => part.length >= 12 || (part.length >= 6 && /[0-9A-Z]/.test(part));

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** What in an address is secret: in webhooks, whoever knows the path may write. */
export function secretsOf(address: string): string[] {
  const url = URL.parse(address);
  if (!url) return [address];
  const parts = [url.pathname, ...url.pathname.split('/'), ...url.searchParams.values()].filter(isTelling);
  const own = [url.username, url.password].filter(part => part !== '');
  return [address, ...[...parts, ...own].flatMap(part => [part, decoded(part)])];
}
