import type { Holding, Manifest } from '../../../../core/contracts.ts';
import { partsOf } from './baseline.ts';
import { CLAIMS_AT } from './claims.ts';
import type { Context } from './context.ts';

/** What the entry covers: directories of this host, or claims of a cluster. */
export async function* coverage(ctx: Context, newest: Manifest | undefined): AsyncIterable<Holding> {
  const paths = newest ? partsOf(newest).flatMap(part => part.paths) : [];
  const target = `volumes/${ctx.name}`;
  const why = `${target} has no backup of it yet`;
  const covered = newest && { target, backup: newest.id, at: newest.recoveryPointAt };
  for (const path of new Set([...paths, ...(ctx.config.paths ?? [])])) {
    const claim = path.startsWith(`${CLAIMS_AT}/`) ? path.slice(CLAIMS_AT.length + 1) : undefined;
    const base = claim === undefined ? { kind: 'path', name: path } : { kind: 'claim files', name: claim };
    yield paths.includes(path) && covered ? { ...base, coveredBy: covered } : { ...base, why };
  }
}
