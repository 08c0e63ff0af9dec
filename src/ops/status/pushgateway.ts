import { BkpError } from '../../core/errors.ts';

const PATIENCE_MS = 15_000;
const SHOWN = 500;

/** The address without what signs in there, and that apart: it must not stand in a message, and `fetch` does not take it in an address. */
function addressOf(text: string): { url: URL; headers: Record<string, string> } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new BkpError('usage', 'the address of the pushgateway is none: it begins with http:// or https://', {
      next: '--pushgateway http://pushgateway:9091',
    });
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if (username === '' && password === '') return { url, headers: {} };
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url, headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` } };
}

/** The deepest cause says more than "fetch failed". An AggregateError of several addresses has a code and no message. */
function reasonOf(error: unknown): string {
  const { cause, message, code } = error as NodeJS.ErrnoException;
  return cause === undefined ? message || code || String(error) : reasonOf(cause);
}

/**
 * Replaces all metrics of one group in a Prometheus pushgateway (PUT `/metrics/job/bkp/…`).
 * @param address `http(s)://[user:password@]host[:port][/prefix]`
 * @param group label → value, beside `job="bkp"`; values are names of the config, which need no escaping
 * @param ms patience, in milliseconds
 * @throws BkpError('usage') for no address, BkpError('failed') with the reason when it was not taken (MO01)
 */
export async function push(
  address: string,
  group: Readonly<Record<string, string>>,
  text: string,
  signal: AbortSignal,
  ms = PATIENCE_MS,
): Promise<void> {
  const { url, headers } = addressOf(address);
  url.pathname = [url.pathname.replace(/\/+$/, ''), 'metrics/job/bkp', ...Object.entries(group).flat()].join('/');
  const fail = (why: string, cause?: unknown): BkpError =>
    new BkpError('failed', `the metrics were not taken by the pushgateway at ${url.origin}: ${why}`, { cause });
  let answer: { ok: boolean; status: number; body: string };
  try {
    const response = await fetch(url, {
      method: 'PUT',
      headers: { ...headers, 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
      body: text,
      // A redirect to a page that signs people in ends with a 200 of that page, and nothing would have been handed over.
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ms)]),
    });
    answer = { ok: response.ok, status: response.status, body: await response.text() };
  } catch (error) {
    signal.throwIfAborted();
    throw fail((error as Error).name === 'TimeoutError' ? `no answer in ${ms / 1000} s` : reasonOf(error), error);
  }
  if (answer.status >= 300 && answer.status < 400)
    throw fail(`${answer.status}, a redirect, and those are not followed: name the address itself`);
  if (!answer.ok) throw fail(`${answer.status} ${answer.body.trim().slice(0, SHOWN)}`);
}
