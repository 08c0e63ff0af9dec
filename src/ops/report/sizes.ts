import type { TargetContext } from '../../core/contracts.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import type { StoredSize } from '../../core/reportMaterial.ts';
import { catalog, type Problem, storedBytes } from '../catalog.ts';

/** What each backup of a target takes, oldest first, by its manifest. Where nothing is stored with us, such as snapshots elsewhere, it is left out. */
export async function storedSizes(ctx: TargetContext): Promise<{ sizes: StoredSize[]; problems: Problem[] }> {
  try {
    const { known, problems } = await catalog(ctx.stores, ctx.base, ctx.keys, ctx.cache);
    const sizes = known.map(({ manifest }) => ({
      kind: ctx.kind,
      name: ctx.name,
      backup: manifest.id,
      startedAt: manifest.startedAt,
      bytes: storedBytes(manifest),
    }));
    return { sizes: sizes.filter(({ bytes }) => bytes > 0), problems };
  } catch (error) {
    if (!(error instanceof BkpError && error.exit === 'storeUnreachable')) throw error;
    return { sizes: [], problems: ctx.stores.map(({ name }) => ({ store: name, error: sentence(error) })) };
  }
}
