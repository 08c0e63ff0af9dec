import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Access, Store, TargetContext } from '../../../../core/contracts.ts';
import { BkpError } from '../../../../core/errors.ts';
import { derivedKey, identitiesOf } from '../../../../flow/derive.ts';
import type { FilesConfig } from './config.ts';

export type Context = TargetContext<FilesConfig>;

export const who = (ctx: Context): string => `volumes/${ctx.name}`;

/** Key prefix of the restic repository of an entry, the same in each of its stores. */
export const prefixOf = ({ base }: Pick<Context, 'base'>): string => `${base}/restic`;

/** What restic calls the host of our snapshots: pods have another name each time, and restic finds the snapshot before by it. */
export const hostOf = ({ base }: Pick<Context, 'base'>): string => base;

/**
 * The password of the repositories: the one of the config, else derived from this host's age identity.
 * @throws BkpError('usage') saying how to get one
 */
export function passwordOf(ctx: Context): string {
  const { password } = ctx.config;
  if (password !== undefined) {
    if (/[\r\n\0]/.test(password)) throw new BkpError('usage', `${who(ctx)}: the password of restic has a line break: it is one line`);
    return password;
  }
  const next = `bkp keygen --derive ${who(ctx)} prints it where the age identity is; then \`password: \${file:FILE}\` in the entry`;
  let identities: string[];
  try {
    identities = identitiesOf(ctx.keys.identity());
  } catch (error) {
    throw new BkpError('usage', `${who(ctx)} has no password for restic, and this host no identity to derive it from`, {
      next,
      cause: error,
    });
  }
  const [identity] = identities;
  if (identity !== undefined && identities.length === 1) return derivedKey(identity, ctx.base);
  throw new BkpError(
    'usage',
    `${who(ctx)} has no password for restic, and one can be derived from each of ${identities.length} identities`,
    { next },
  );
}

/** How a store is reached. Throws BkpError('usage') for one that only bkp can reach. */
export function accessOf(ctx: Context, store: Store): Access {
  const access = store.access?.();
  if (access) return access;
  throw new BkpError('usage', `${who(ctx)}: store ${store.name} cannot be reached by another program, and restic needs that`);
}

const dirs = new WeakMap<Context['scratch'], Promise<string>>();

/** One scratch directory for all runs of an operation. */
export function scratchOf({ scratch }: Pick<Context, 'scratch'>): Promise<string> {
  const dir = dirs.get(scratch) ?? scratch();
  dirs.set(scratch, dir);
  return dir;
}

/** A file of this operation's own with such a text; the same text is the same file. */
export async function fileWith(ctx: Context, name: string, text: string): Promise<string> {
  const path = join(await scratchOf(ctx), `${name}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}
