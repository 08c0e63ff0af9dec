import { createHash } from 'node:crypto';
import type { Site } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { readAll } from '../../../../flow/bytes.ts';
import { type Context, called } from '../config.ts';

/** Path of the server token there. */
export const tokenPath = ({ config: { k3s } }: Context): string => k3s.token ?? `${k3s.dataDir}/server/token`;

/** Twelve hex of its SHA-256: names a token in a manifest without telling it. The line break at its end does not count. */
export const fingerprint = (token: Buffer): string => createHash('sha256').update(token.toString('utf8').trim()).digest('hex').slice(0, 12);

/** The SHA-256 of the cluster's authority, which a token `K10<hash>::server:<password>` begins with; it is the same for the cluster's whole life. */
export const authority = (token: Buffer): string | undefined => /^K10([0-9a-f]{64})::/.exec(token.toString('utf8').trim())?.[1];

const password = (token: Buffer): string =>
  token
    .toString('utf8')
    .trim()
    .replace(/^K10[0-9a-f]{64}::(?:[^:]*:)?/, '');

/** Whether two tokens open the same datastore: their password does, which K3s also takes without the rest. */
export const samePassword = (one: Buffer, other: Buffer): boolean => password(one) === password(other);

/** Throws BkpError('refused') where a token would be stored for everybody to read. */
export function refuseOpen(ctx: Context): void {
  if (ctx.keys.recipients.length > 0 || ctx.config.k3s.allowUnencryptedToken) return;
  throw new BkpError('refused', `${called(ctx)}: the server token opens the whole cluster, and backups are not encrypted`, {
    next: ['`keys.recipients:` in the config (bkp keygen)', '`k3s: { allowUnencryptedToken: true }` stores it all the same'],
  });
}

/**
 * The server token. K3s encrypts its certificates in the datastore with it: without it a snapshot is of no use on a new node.
 * @throws BkpError('failed') when it cannot be read or is empty
 */
export async function readToken(ctx: Context, site: Site): Promise<Buffer> {
  const path = tokenPath(ctx);
  const fail = (why: string, cause?: unknown): BkpError =>
    new BkpError(
      'failed',
      `${called(ctx)}: the server token ${path} on ${site.name} ${why}, and without it no snapshot comes back on a new node`,
      {
        next: ['run bkp as root there', '`k3s: { token: PATH }` names another file'],
        ...(cause === undefined ? {} : { cause }),
      },
    );
  const token = await readAll(site.read(path)).catch(error => {
    ctx.signal.throwIfAborted();
    throw fail(`cannot be read (${sentence(error).split('\n')[0]})`, error);
  });
  if (token.toString('utf8').trim() === '') throw fail('is empty');
  return token;
}
