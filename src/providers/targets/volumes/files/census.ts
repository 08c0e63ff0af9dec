import { lstat } from 'node:fs/promises';
import pMap from 'p-map';
import type { Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import type { Sparse } from './baseline.ts';
import type { Context } from './context.ts';
import { faultOf } from './faults.ts';
import { askRestic, reachFor } from './program.ts';
import { type Node, nodeOf } from './said.ts';

const AT_ONCE = 32;
const BLOCK = 512;
/** Holes that are smaller are not worth a word. */
const HOLE = 1024 * 1024;
const SPARSE_KEPT = 500;

/** Every file and directory of a snapshot. Throws BkpError. */
export async function* nodesIn(ctx: Context, store: Store, snapshot: string): AsyncGenerator<Node> {
  try {
    for await (const line of askRestic(ctx, await reachFor(ctx, store), ['ls', '--json', snapshot])) {
      const node = line === '' ? undefined : nodeOf(line);
      if (node) yield node;
    }
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw error instanceof BkpError ? faultOf(ctx, store, 'ls', sentence(error)) : error;
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
  const found: Census = { changed: [], allocated: 0, sparse: [] };
  await pMap(
    nodesIn(ctx, store, snapshot),
    async ({ path, type, size, mtime }) => {
      if (type !== 'file') return;
      const now = await lstat(path, { bigint: true }).catch(() => undefined);
      if (!now || Number(now.size) !== size || now.mtimeNs !== mtime) found.changed.push(path);
      const allocated = now ? Math.min(size, Number(now.blocks) * BLOCK) : size;
      found.allocated += allocated;
      if (size - allocated >= HOLE) found.sparse.push({ path, bytes: size, allocated });
    },
    { concurrency: AT_ONCE },
  );
  found.sparse.sort((a, b) => b.bytes - b.allocated - (a.bytes - a.allocated)).splice(SPARSE_KEPT);
  found.changed.sort();
  return found;
}
