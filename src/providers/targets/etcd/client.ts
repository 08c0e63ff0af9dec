import type { Command, Site } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { type Context, called, type EtcdConfig } from './config.ts';

/** What a program of etcd is told by variables: no argument shows a password. `ETCDCTL_API` is for etcdctl 3.4, whose default is 2 there. */
export function clientEnv({ cacert, cert, key, user, password }: EtcdConfig): Record<string, string> {
  if (user !== undefined && password === undefined)
    throw new BkpError('usage', `user ${user} of etcd has no password, and etcdctl would ask for one`, {
      next: 'password: ${ETCD_PASSWORD}',
    });
  return {
    ETCDCTL_API: '3',
    ...(cacert ? { ETCDCTL_CACERT: cacert } : {}),
    ...(cert ? { ETCDCTL_CERT: cert } : {}),
    ...(key ? { ETCDCTL_KEY: key } : {}),
    ...(user ? { ETCDCTL_USER: user, ETCDCTL_PASSWORD: password! } : {}),
  };
}

/** A call of etcdctl to one endpoint that gives up by itself: without a time-out `snapshot save` hangs on a dead one. */
export function asked(ctx: Context, file: string, endpoint: string, words: readonly string[], ms: number): Command {
  const limits = [`--endpoints=${endpoint}`, `--command-timeout=${ms}ms`, `--dial-timeout=${parseDuration(ctx.config.connectTimeout)}ms`];
  return { file, args: [...words, ...limits], env: clientEnv(ctx.config) };
}

/** What etcdctl 3.4 and 3.6 say, and what it means; the first that fits. */
const REASONS: readonly [RegExp, string, string][] = [
  [/authentication failed|invalid user ID or password/, 'user or password is wrong', '`user:` and `password:` of the entry'],
  [
    /user name is empty|permission denied|PermissionDenied/,
    'auth is on, and only a user with the role root may take a snapshot',
    'etcdctl user grant-role USER root; `user:` and `password:` of the entry',
  ],
  [
    /x509|authentication handshake|tls: |certificate|HTTP response to HTTPS/,
    'TLS fails',
    '`cacert:`, `cert:`, `key:` and https:// in `endpoints:`',
  ],
  [
    /KeyFile and CertFile must both/,
    'a client certificate and its key belong together, and one of them is missing',
    '`cert:` and `key:` of the entry',
  ],
  [
    // With TLS 1.3 a server turns a client away after the handshake, by ending the connection.
    /latest balancer error: (?!.*Error while dialing).*(?:broken pipe|connection reset|server preface)/,
    'something answers there and ends the connection',
    'https://: is the client certificate missing, or has it expired? `cert:` and `key:`; http://: does it speak TLS, or is it no client port? `endpoints:`',
  ],
  [
    /no such file or directory.*\.(?:pem|crt|key)|open .*: (?:no such file|permission)/,
    'a certificate or key cannot be read',
    '`cacert:`, `cert:` and `key:` name files there',
  ],
  [/no space left on device/, 'the disk is full', '`temp:` in the config names a directory with more room'],
  [
    /deadline exceeded|connection refused|no route|no such host|timed? ?out|Unavailable|connection error|gave no answer/i,
    'it does not answer',
    'is it running, and is the address right? `endpoints:` of the entry',
  ],
];

/** The last thing that the program meant to say: what gRPC gave as reason, else its `Error:` line. */
function detail(text: string): string {
  const reasons = [...text.matchAll(/desc = ((?:[^"\\]|\\.)+)/g)].map(match => match[1]!.replaceAll('\\"', '"'));
  return (reasons.at(-1) ?? /Error: (.*)/.exec(text)?.[1] ?? text.split('\n')[0] ?? text).trim();
}

/**
 * A failure of etcdctl in words.
 * @returns BkpError('failed') with what it means and what to do; other errors as they are
 */
function explained(ctx: Context, endpoint: string, error: unknown): unknown {
  if (!(error instanceof BkpError) || error.exit !== 'failed') return error;
  const text = sentence(error);
  const [, meaning, next] = REASONS.find(([pattern]) => pattern.test(text)) ?? [];
  const said = detail(text);
  return new BkpError('failed', `${called(ctx)}: ${endpoint}: ${meaning ? `${meaning} (${said})` : said}`, {
    next: next ?? error.next,
    cause: error,
  });
}

/**
 * Runs etcdctl at a place against one endpoint.
 * @returns its stdout
 * @throws BkpError('failed') in words, when it fails or says nothing for ten seconds more than it was given
 */
export async function ask(ctx: Context, site: Site, file: string, endpoint: string, words: readonly string[], ms: number): Promise<string> {
  try {
    return (await site.text(asked(ctx, file, endpoint, words, ms), { timeoutMs: ms + 10_000 })).stdout;
  } catch (error) {
    throw explained(ctx, endpoint, error);
  }
}

const DROPPED =
  /connection reset|EOF|transport is closing|broken pipe|error reading from server|connection refused|code = Unavailable|lost|leader changed/i;
const HOPELESS = /deadline exceeded|gave no answer/i;

/** Waits between the tries of one thing, ms. */
const WAITS = [500, 2000];

/**
 * Does something that a dropped connection may break, again at most twice. What timed out is not tried again.
 * @throws the last error
 */
export async function retried<T>(ctx: Context, what: string, work: () => Promise<T>): Promise<T> {
  for (const wait of WAITS) {
    try {
      return await work();
    } catch (error) {
      ctx.signal.throwIfAborted();
      const text = sentence(error);
      if (!DROPPED.test(text) || HOPELESS.test(text)) throw error;
      ctx.report.emit({ type: 'warning', text: `${called(ctx)}: ${what} was cut off, and is tried again: ${detail(text)}` });
      await ctx.clock.sleep(wait, ctx.signal);
    }
  }
  return work();
}
