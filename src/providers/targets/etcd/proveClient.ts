import { access, constants } from 'node:fs/promises';
import type { Command } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { asked } from './client.ts';
import type { Context } from './config.ts';
import type { ClientCertificate } from './privateServer.ts';
import type { Found } from './proveTrial.ts';

/** A private server answers here, with the source's own users where auth is on, or by the client certificate of one. */
export class Client {
  readonly #ctx: Context;
  readonly #file: string;
  readonly #endpoint: string;
  readonly #only: ClientCertificate | undefined;

  constructor(ctx: Context, file: string, endpoint: string, only?: ClientCertificate) {
    this.#ctx = ctx;
    this.#file = file;
    this.#endpoint = endpoint;
    this.#only = only;
  }

  async text(...words: string[]): Promise<string> {
    const { config } = this.#ctx;
    const own = { cert: this.#only?.cert, key: this.#only?.key };
    const plain: Context = { ...this.#ctx, config: { ...config, cacert: undefined, ...own } };
    const { env, ...call }: Command = asked(plain, this.#file, this.#endpoint, words, 30_000);
    const command = { ...call, env: { ...env, ...(this.#only ? { ETCDCTL_INSECURE_SKIP_TLS_VERIFY: 'true' } : {}) } };
    return (await this.#ctx.run.text(command, { signal: this.#ctx.signal })).stdout;
  }

  /** Whether auth is on, and nobody's name was given. */
  isLocked(): Promise<boolean> {
    return this.counts().then(
      () => false,
      error => /user name is empty/.test(sentence(error)),
    );
  }

  /** Newest revision, and how many keys there are that begin so. */
  async counts(prefix = ''): Promise<{ revision: number; keys: number }> {
    const { header, count = 0 } = JSON.parse(await this.text('get', prefix, '--prefix', '--limit=1', '--keys-only', '-w', 'json')) as {
      header: { revision: number };
      count?: number;
    };
    return { revision: header.revision, keys: count };
  }
}

/** etcdctl for the private server: any version speaks to any. */
export function clientProgram(ctx: Context): string {
  const found = ctx.run.which('etcdctl', ctx.config.bin);
  if (found) return found;
  throw new BkpError('failed', 'etcdctl is needed to ask the copy, and is not on PATH or in `bin:`', {
    next: 'apt-get install etcd-client',
  });
}

/** The client certificate of the entry, where its files can be read here: those of another place cannot. */
export async function certificateHere({ config: { cert, key } }: Context): Promise<ClientCertificate | undefined> {
  if (!cert || !key) return undefined;
  const readable = await Promise.all([cert, key].map(path => access(path, constants.R_OK))).catch(() => undefined);
  return readable && { cert, key };
}

/** Asks once by the certificate. Throws BkpError('usage') in words: that it is not let in tells of the certificate, not of the backup. */
export async function admit(client: Client, { cert }: ClientCertificate): Promise<Found> {
  try {
    await client.counts();
  } catch (error) {
    throw new BkpError('usage', `auth is on in the copy, and ${cert} is not let in: ${sentence(error).split('\n').at(-1)}`, {
      next: '`cert:` and `key:`, or `user:` and `password:`, of a user with the role root',
      cause: error,
    });
  }
  return { state: 'ok', text: `auth is on in the copy, and ${cert} is let in` };
}

function ofCopy(error: unknown): unknown {
  if (!(error instanceof BkpError)) return error;
  const text = sentence(error);
  if (/user name is empty|authentication failed|permission denied/.test(text))
    return new BkpError('usage', 'auth is on in the copy, and this host has no user for it', {
      next: '`user:` and `password:`, or `cert:` and `key:`, of a user with the role root',
    });
  return new BkpError('verifyFailed', text.split('\n').at(-1) ?? text, { cause: error });
}

/** An error of the client on our own server is the copy's, but for users that this host does not know. */
export const onCopy = <T>(work: Promise<T>): Promise<T> => work.catch(error => Promise.reject(ofCopy(error)));
