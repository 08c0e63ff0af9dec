import { lstat } from 'node:fs/promises';
import pMap from 'p-map';
import type { Store } from '../../../../core/contracts.ts';
import { nodesIn } from './census.ts';
import type { Context } from './context.ts';
import type { Node } from './said.ts';

const AT_ONCE = 32;
const NAMED = 5;

/** How what is on this host differs from what was backed up. */
export interface Difference {
  /** Files that were compared, and their bytes. */
  files: number;
  bytes: number;
  /** Files and directories with another owner or mode, and the first of them in words. */
  owners: number;
  /** Missing, of another kind or of another size. */
  wrong: number;
  examples: string[];
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

function note(found: Difference, which: 'owners' | 'wrong', text: string): void {
  found[which] += 1;
  if (found.examples.length < NAMED) found.examples.push(text);
}

/** Links have no mode of their own. */
const hasMode = ({ type }: Node): boolean => type !== 'symlink';

async function compareOne(found: Difference, node: Node, path: string, partial: boolean): Promise<void> {
  const now = await lstat(path).catch(() => undefined);
  if (!now) {
    if (!partial) note(found, 'wrong', `${path} is missing`);
    return;
  }
  if (node.type === 'file') {
    found.files += 1;
    found.bytes += now.size;
    if (!now.isFile() || now.size !== node.size) note(found, 'wrong', `${path} has ${now.size} bytes instead of ${node.size}`);
  }
  const mode = now.mode & 0o7777;
  if (now.uid !== node.uid || now.gid !== node.gid)
    note(found, 'owners', `${path} belongs to ${now.uid}:${now.gid} instead of ${node.uid}:${node.gid}`);
  else if (hasMode(node) && mode !== node.mode) note(found, 'owners', `${path} has mode ${octal(mode)} instead of ${octal(node.mode)}`);
}

/**
 * Compares what a snapshot says of each file with what is on this host (VH10): restic as another user than root restores other owners, and
 * ends with 0.
 * @param place where a path of the snapshot is on this host; undefined for one that was not restored
 * @param partial only a part was restored: what is missing is no fault
 */
export async function compare(
  ctx: Context,
  store: Store,
  snapshot: string,
  place: (path: string) => string | undefined,
  partial: boolean,
): Promise<Difference> {
  const found: Difference = { files: 0, bytes: 0, owners: 0, wrong: 0, examples: [] };
  await pMap(
    nodesIn(ctx, store, snapshot),
    async node => {
      const path = place(node.path);
      if (path !== undefined) await compareOne(found, node, path, partial);
    },
    { concurrency: AT_ONCE },
  );
  return found;
}
