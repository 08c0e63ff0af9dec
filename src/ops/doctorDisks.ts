import { stat } from 'node:fs/promises';
import type { Check, Store } from '../core/contracts.ts';

/**
 * Warns of stores in directories that lie on one file system: their copies are lost together with the disk below it. Partitions of one disk
 * show as several file systems, and are not noticed. A directory that is not there is told by the checks of its store.
 * @param device number of the file system that a directory lies on (`st_dev`); throws where it cannot be looked at
 */
export async function diskChecks(stores: readonly Store[], device = async (path: string) => (await stat(path)).dev): Promise<Check[]> {
  const on = new Map<number, string[]>();
  for (const { name, place } of stores) {
    const dev = place === undefined ? undefined : await device(place).catch(() => undefined);
    if (dev !== undefined) on.set(dev, [...(on.get(dev) ?? []), name]);
  }
  return [...on.values()]
    .filter(names => names.length > 1)
    .map(names => ({
      name: `stores ${names.join(', ')}`,
      state: 'warn',
      text: 'their directories lie on one file system: a disk that fails takes all of these copies',
      mend: "let one of them lead to another disk, another host's share or a bucket",
    }));
}
