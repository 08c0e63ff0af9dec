import createClient from 'openapi-fetch';
import type { Clock } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import type { paths } from './api/types.ts';
import { errorOf, isPassing, refusalOf } from './errors.ts';

export interface ClientOptions {
  token: string;
  /** Without a slash at its end; default: Hetzner's own. */
  endpoint?: string | undefined;
  clock: Clock;
  signal: AbortSignal;
}

export const ENDPOINT = 'https://api.hetzner.cloud/v1';

/** How often a request is tried, and how long the first wait is, ms; it doubles. A token's requests come back at one a second. */
const TRIES = 6;
const FIRST_WAIT_MS = 1000;
/** Where nobody listens it helps little to wait: so often, with a first wait of so long, ms, a connection that was refused is tried again. */
const KNOCKS = 4;
const FIRST_KNOCK_MS = 250;
/** A request without an answer is given up after so long, ms. */
const TIMEOUT_MS = 30_000;

interface Answer {
  data?: unknown;
  error?: unknown;
  response: Response;
}

type Api = ReturnType<typeof createClient<paths>>;

export interface Client {
  /**
   * One request, repeated where that may help and harms nothing.
   * @param what for sentences: `GET /images`
   * @param changes it makes or removes something, so it is only repeated where the answer says that nothing was done
   * @throws BkpError 'usage' (token), 'notFound', 'conflict', 'failed', 'storeUnreachable'; the signal's reason
   */
  call(what: string, changes: boolean, send: (api: Api) => Promise<Answer>): Promise<unknown>;
}

/** A client of Hetzner's Cloud API. The token stands in a header and in no message. */
export function makeClient({ token, endpoint = ENDPOINT, clock, signal }: ClientOptions): Client {
  const api = createClient<paths>({
    baseUrl: endpoint,
    headers: { Authorization: `Bearer ${token}` },
    fetch: request => fetch(request, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) }),
  });

  const once = async (send: (api: Api) => Promise<Answer>): Promise<Answer | { failure: unknown }> => {
    try {
      return await send(api);
    } catch (failure) {
      signal.throwIfAborted();
      return { failure };
    }
  };

  return {
    async call(what, changes, send) {
      for (let [tried, knocked] = [0, 0]; ; ) {
        const answer = await once(send);
        if (!('failure' in answer) && answer.response.ok) return answer.data;
        const closed = 'failure' in answer && isClosed(answer.failure);
        if (closed && ++knocked < KNOCKS) {
          await clock.sleep(FIRST_KNOCK_MS * 2 ** (knocked - 1), signal);
          continue;
        }
        const refusal = 'failure' in answer ? undefined : refusalOf(answer.response.status, answer.error);
        const passing = refusal ? isPassing(refusal, changes) : !changes && !closed;
        if (!passing || ++tried === TRIES)
          throw refusal ? errorOf(what, refusal) : unreachable(what, endpoint, (answer as { failure: unknown }).failure, changes);
        await clock.sleep(FIRST_WAIT_MS * 2 ** (tried - 1), signal);
      }
    },
  };
}

/** Nobody takes the connection, nobody has that name, or fetch goes to no such port: no request was sent, so nothing was done. */
function isClosed(failure: unknown): boolean {
  const { code, message } = ((failure as Error | undefined)?.cause ?? {}) as NodeJS.ErrnoException;
  return code === 'ECONNREFUSED' || code === 'ENOTFOUND' || message === 'bad port';
}

function unreachable(what: string, endpoint: string, failure: unknown, changes: boolean): BkpError {
  const why = [failure, (failure as Error | undefined)?.cause].filter(Boolean).map(sentence).join(': ');
  return new BkpError('storeUnreachable', `${what} got no answer from ${endpoint}: ${why}`, {
    next:
      changes && !isClosed(failure)
        ? 'whether it was done is not known: look at the project before it is run again'
        : 'is the network up, is `endpoint` right?',
    cause: failure,
  });
}
