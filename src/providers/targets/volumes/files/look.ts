import type { Store } from '../../../../core/contracts.ts';
import type { Baseline } from './baseline.ts';
import type { Census } from './census.ts';
import type { Picture } from './picture.ts';
import { few, type Taken } from './take.ts';

/** How files are looked at, where they can be reached from here. */
export interface Eyes {
  state(): Promise<string | undefined>;
  picture(): Promise<Picture | undefined>;
  census(store: Store, snapshot: string): Promise<Census>;
}

export type Looked = { warnings: string[]; oddLinks: readonly string[]; mounts: readonly string[] } & Pick<
  Baseline,
  'allocated' | 'sparse' | 'picture'
>;

const agrees = ({ files, bytes }: Picture, { summary }: Taken): boolean => files === summary.files && bytes === summary.bytes;

/**
 * Looks at files before they are read, and again afterwards (VH09): what was the same both times was the same in between, and where restic
 * read as many files and bytes it is what restic stored. Otherwise each file of the snapshot is compared with what is there now.
 * @returns what looks again, at a snapshot in a store
 */
export async function looking(eyes: Eyes | undefined): Promise<(store: Store, taken: Taken) => Promise<Looked>> {
  if (!eyes) return async () => ({ warnings: [], oddLinks: [], mounts: [], sparse: [] });
  const before = await eyes.state();
  return async (store, taken) => {
    const after = before === undefined ? undefined : await eyes.picture();
    const { oddLinks = [], mounts = [] } = after ?? {};
    if (after && after.state === before && agrees(after, taken))
      return { warnings: [], oddLinks, mounts, allocated: after.allocated, sparse: after.sparse, picture: after.sum };
    const { changed, ...found } = await eyes.census(store, taken.summary.snapshot);
    return {
      warnings: changed.length > 0 ? [`${changed.length} file(s) changed while read: ${few(changed)}`] : [],
      oddLinks,
      mounts,
      ...found,
    };
  };
}
