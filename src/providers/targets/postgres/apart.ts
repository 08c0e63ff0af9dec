import type { LineageId, Manifest, ObjectInfo, TargetContext, WalRange } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { isApart, lastSegment, tellApart } from '../../../core/postgres/apart.ts';
import type { Base, Contents } from '../../../core/postgres/plan.ts';
import { contentsOf, holdingsOf } from './archive.ts';
import { baseOf } from './choose.ts';
import type { PostgresConfig } from './config.ts';
import { walByLineage } from './walFiles.ts';

type Context = TargetContext<PostgresConfig>;

async function isElsewhere(ctx: Context, lineage: LineageId, base: Base): Promise<boolean> {
  const { copies } = await holdingsOf(ctx, lineage, lastSegment(base));
  return isApart(base, contentsOf(copies));
}

/**
 * A copy of the server under the same config, or a server that was set back, must not put its backups among those of the original. Stores
 * that do not answer now say nothing of it.
 * @throws BkpError('conflict')
 */
export async function refuseApart(ctx: Context, id: string, lineage: LineageId, wal: WalRange): Promise<void> {
  const [base] = baseOf({ manifest: { id, wal, recoveryPointAt: '' } as Manifest, stores: [] });
  if (!base || !(await isElsewhere(ctx, lineage, base))) return;
  throw new BkpError(
    'conflict',
    `postgres/${ctx.name}: ${ctx.config.host}:${ctx.config.port} has WAL ${lastSegment(base)} with another content than lineage ${lineage} in the stores: it is a copy of the server that archives there, or was set back to an earlier state`,
    {
      next: [
        'find out which server is the original: host and port in the config must be its own',
        'a copy that is to be backed up too needs an entry with a name of its own',
        `where the server was set back, and no other one is left: bkp backup postgres ${ctx.name} --new-lineage`,
      ],
    },
  );
}

/** What the server changed since it took a backup is not what it changed since another one took it. @throws BkpError('verifyFailed') */
export async function refuseApartParent(ctx: Context, manifest: Manifest): Promise<void> {
  const [base] = baseOf({ manifest, stores: [] });
  const { lineage } = manifest;
  if (base && lineage !== undefined && (await isElsewhere(ctx, lineage, base)))
    throw new BkpError('verifyFailed', tellApart(base, lineage));
}

/** By the keys of one lineage in a store's listing. */
export const contentsIn = (files: readonly { name: string; hash?: string }[]): Contents => {
  const found = new Map<string, Set<string>>();
  for (const { name, hash } of files) if (hash !== undefined) found.set(name, (found.get(name) ?? new Set()).add(hash));
  return found;
};

/** Ids of the backups of one store with which nothing of its log goes on. Pure. */
export function apartIn(
  ctx: Pick<TargetContext, 'base'>,
  objects: readonly ObjectInfo[],
  manifests: readonly Manifest[],
): ReadonlySet<string> {
  const contents = new Map([...walByLineage(ctx.base, objects)].map(([lineage, files]) => [lineage, contentsIn(files)] as const));
  const isIn = (manifest: Manifest): boolean =>
    baseOf({ manifest, stores: [] }).some(base => isApart(base, contents.get(manifest.lineage ?? '') ?? new Map()));
  return new Set(manifests.filter(isIn).map(({ id }) => id));
}
