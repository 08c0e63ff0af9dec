import { BkpError, type ExitName } from '../../core/errors.ts';

/** What an answer that is no success says of itself; a proxy in front of Hetzner's API answers with HTML. */
export interface Refusal {
  status: number;
  code: string;
  message: string;
}

/** @param body the parsed JSON, or the text where it was none */
export function refusalOf(status: number, body: unknown): Refusal {
  const error = (body as { error?: { code?: unknown; message?: unknown } } | null | undefined)?.error;
  return {
    status,
    code: typeof error?.code === 'string' ? error.code : '',
    message: typeof error?.message === 'string' ? error.message : '',
  };
}

/** Codes after which the same request may succeed; the rule of Hetzner's own Go client (hcloud-go, retry policy of v2). */
const PASSING: ReadonlySet<string> = new Set(['conflict', 'rate_limit_exceeded', 'bad_gateway', 'timeout']);

/** Answers that say that nothing was done: even what is not to be done twice may be asked again. */
const UNTOUCHED: ReadonlySet<string> = new Set(['conflict', 'rate_limit_exceeded']);

/**
 * Whether to ask again. A request that changes something is only repeated where the answer says that it did nothing: a snapshot made twice
 * is paid for twice.
 */
export function isPassing({ status, code }: Refusal, changes: boolean): boolean {
  if (changes) return UNTOUCHED.has(code);
  return PASSING.has(code) || status === 502 || status === 504;
}

const NEXT: Readonly<Record<string, string>> = {
  unauthorized: 'the token is wrong or was revoked: make one in the project (Security, API tokens) and set `token`',
  token_readonly: 'the token may only read: a backup needs one that may write',
  forbidden: 'the token may not do this: it needs to be one of this project that may write',
  resource_limit_exceeded: "nothing was removed to make room: raise the project's limit of snapshots, or prune",
  rate_limit_exceeded: 'the project has used up its requests of this hour: run it again later, or less often',
  locked: 'another action runs on it: run it again when that has ended',
  protected: 'its protection against deletion has to be taken away by a person first',
};

const EXIT_OF: Readonly<Record<number, ExitName>> = { 401: 'usage', 404: 'notFound', 409: 'conflict', 423: 'conflict' };

/** The sentence for an answer that is no success. `what` was asked, such as `DELETE /images/3`. */
export function errorOf(what: string, refusal: Refusal): BkpError {
  const { status, code, message } = refusal;
  const exit = EXIT_OF[status] ?? (status >= 500 ? 'storeUnreachable' : 'failed');
  const said = message ? `${message} (${code || 'no code'}, HTTP ${status})` : `HTTP ${status}${code ? `, ${code}` : ''}`;
  const next = NEXT[code] ?? (status === 401 ? NEXT['unauthorized'] : undefined);
  return new BkpError(exit, `Hetzner's API refused ${what}: ${said}`, { cause: refusal, ...(next === undefined ? {} : { next }) });
}

/** The code of the refusal behind an error of `errorOf`: 'locked', 'protected', …; empty for others. */
export const codeOf = (error: unknown): string => ((error as Error | undefined)?.cause as Partial<Refusal> | undefined)?.code ?? '';
