import pMap from 'p-map';
import type { Store } from '../../../../core/contracts.ts';
import type { Sparse } from './baseline.ts';
import type { Context } from './context.ts';
import { readFault } from './faults.ts';
import { gatherHoles } from './holes.ts';
import { lookAt } from './names.ts';
import { askRestic, reachFor } from './program.ts';
import { type Node, nodeOf } from './said.ts';

const AT_ONCE = 32;
const BLOCK = 512;

/** Every file and directory of a snapshot. Throws BkpError. */
export async function* nodesIn(ctx: Context, store: Store, snapshot: string): AsyncGenerator<Node> {
  try {
    for await (const line of askRestic(ctx, await reachFor(ctx, store), ['ls', '--json', snapshot])) {
      const node = line === '' ? undefined : nodeOf(line);
      if (node) yield node;
    }
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw readFault(ctx, store, 'ls', error);
  }
}

/** What the files of a snapshot look like on this host right after it was made. */
export interface Census {
  /** Files that are not what was stored any more: they were written to while they were read, or right afterwards. */
  changed: string[];
  allocated: number;
  sparse: Sparse[];
}

/**
 * Compares each file of a snapshot with the one on this host (VH09): restic reads a file that is being written to, and says nothing of it.
 */
export async function census(ctx: Context, store: Store, snapshot: string): Promise<Census> {
  const found = { changed: [] as string[], allocated: 0 };
  const holes = gatherHoles();
  await pMap(
    nodesIn(ctx, store, snapshot),
    async ({ path, type, size, mtime }) => {
      if (type !== 'file') return;
      const there = await lookAt(path);
      const same = there.find(each => Number(each.size) === size && each.mtimeNs === mtime);
      if (!same) found.changed.push(path);
      const now = same ?? there[0];
      const allocated = now ? Math.min(size, Number(now.blocks) * BLOCK) : size;
      found.allocated += allocated;
      holes.add(() => path, size, allocated);
    },
    { concurrency: AT_ONCE },
  );
  return { ...found, changed: found.changed.sort(), sparse: holes.largest() };
}
