import type { RestoreRequest, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { inspect as inspectPlace, type Owner, parentOwner, userOf } from '../../../flow/place.ts';
import type { PostgresConfig } from './config.ts';
import { isDataDir, refuseSurroundings } from './surroundings.ts';

type Context = TargetContext<PostgresConfig>;

/**
 * Refuses a place that holds something, unless forced; one whose surroundings would come to harm always.
 * @returns true when what is there has to be moved aside
 */
export async function inspect(ctx: Context, to: string, force: boolean): Promise<boolean> {
  await refuseSurroundings(ctx, to);
  return inspectPlace(to, force, async dir => ((await isDataDir(dir)) ? 'a PostgreSQL data directory' : undefined));
}

/** As root, PostgreSQL runs as somebody else: --owner, the config's owner, the owner of the target's parent, or postgres. */
export async function ownerOf(ctx: Context, request: RestoreRequest): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const named = request.owner ?? ctx.config.owner;
  if (named) return lookUp(ctx, named);
  const parent = await parentOwner(request.to);
  return parent.uid === 0 ? lookUp(ctx, 'postgres') : parent;
}

async function lookUp(ctx: Context, name: string): Promise<Owner> {
  const owner = await userOf(ctx, name);
  if (owner.uid === 0)
    throw new BkpError('usage', 'PostgreSQL refuses to run as root', { next: '--owner USER names who owns the restored data directory' });
  return owner;
}
