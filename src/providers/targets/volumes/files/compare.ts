import pMap from 'p-map';
import type { Store } from '../../../../core/contracts.ts';
import { nodesIn } from './census.ts';
import type { Context } from './context.ts';
import { lookAt } from './names.ts';
import type { Node } from './said.ts';

const AT_ONCE = 32;
const NAMED = 5;

/** What is seen of a file, wherever it lies. */
export interface Seen {
  isFile(): boolean;
  size: number | bigint;
  uid: number | bigint;
  gid: number | bigint;
  mode: number | bigint;
}

/** Everything that may lie at a path that restic told. */
export type Look = (path: string) => Promise<readonly Seen[]>;

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

/** No difference in nothing. */
export const SAME: Difference = { files: 0, bytes: 0, owners: 0, wrong: 0, examples: [] };

export const added = (one: Difference, other: Difference): Difference => ({
  files: one.files + other.files,
  bytes: one.bytes + other.bytes,
  owners: one.owners + other.owners,
  wrong: one.wrong + other.wrong,
  examples: [...one.examples, ...other.examples].slice(0, NAMED),
});

/** Paths as they were backed up: a directory into which it came back for now is gone when somebody reads of it. */
export const unstaged = (found: Difference, stage: string): Difference => ({
  ...found,
  examples: found.examples.map(text => (text.startsWith(`${stage}/`) ? text.slice(stage.length) : text)),
});

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

function note(found: Difference, which: 'owners' | 'wrong', text: string): void {
  found[which] += 1;
  if (found.examples.length < NAMED) found.examples.push(text);
}

/** Links have no mode of their own. */
const hasMode = ({ type }: Node): boolean => type !== 'symlink';

/** What is not as it was, in words; `which` says what kind of difference that is. */
function differenceOf(node: Node, now: Seen, path: string): { which: 'owners' | 'wrong'; text: string } | undefined {
  if (node.type === 'file' && (!now.isFile() || Number(now.size) !== node.size))
    return { which: 'wrong', text: `${path} has ${now.size} bytes instead of ${node.size}` };
  if (Number(now.uid) !== node.uid || Number(now.gid) !== node.gid)
    return { which: 'owners', text: `${path} belongs to ${now.uid}:${now.gid} instead of ${node.uid}:${node.gid}` };
  const mode = Number(now.mode) & 0o7777;
  if (!hasMode(node) || mode === node.mode) return undefined;
  return { which: 'owners', text: `${path} has mode ${octal(mode)} instead of ${octal(node.mode)}` };
}

async function compareOne(found: Difference, node: Node, path: string, partial: boolean, look: Look): Promise<void> {
  const there = await look(path);
  const now = there.find(each => !differenceOf(node, each, path)) ?? there[0];
  if (!now) {
    if (!partial) note(found, 'wrong', `${path} is missing`);
    return;
  }
  if (node.type === 'file') {
    found.files += 1;
    found.bytes += Number(now.size);
  }
  const difference = differenceOf(node, now, path);
  if (difference) note(found, difference.which, difference.text);
}

/**
 * Compares what a snapshot says of each file with what is on this host (VH10): restic as another user than root restores other owners, and
 * ends with 0.
 * @param place where a path of the snapshot is on this host; undefined for one that was not restored
 * @param partial only a part was restored: what is missing is no fault
 * @param look looks at one of those places: at this host unless given
 */
export async function compare(
  ctx: Context,
  store: Store,
  snapshot: string,
  place: (path: string) => string | undefined,
  partial: boolean,
  look: Look = lookAt,
): Promise<Difference> {
  const found: Difference = { ...SAME, examples: [] };
  await pMap(
    nodesIn(ctx, store, snapshot),
    async node => {
      const path = place(node.path);
      if (path !== undefined) await compareOne(found, node, path, partial, look);
    },
    { concurrency: AT_ONCE },
  );
  return found;
}
