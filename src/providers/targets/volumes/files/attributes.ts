import type { Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import type { Context } from './context.ts';
import { askRestic, reachFor } from './program.ts';

/** An extended attribute, ACLs among them: its name, and its value as the kernel has it in base64. */
export interface Attribute {
  name: string;
  value: string;
}

/** What `restic ls` does not show of a file. */
export interface Detail {
  attributes: readonly Attribute[];
  /** The same for all names of one file; absent where it has a single one. */
  inode?: string;
}

interface TreeNode {
  name: string;
  subtree?: string;
  extended_attributes?: Attribute[];
  inode?: number;
  device_id?: number;
  links?: number;
}

const detailOf = ({ extended_attributes = [], links = 1, device_id = 0, inode }: TreeNode): Detail => ({
  attributes: extended_attributes,
  ...(links > 1 && inode !== undefined ? { inode: `${device_id}:${inode}` } : {}),
});

/**
 * The extended attributes and the identity of some files of a snapshot. `restic ls` does not show them, so the trees themselves are read
 * (`restic cat` prints both as JSON; tried with 0.14), each once.
 * @param paths whole paths in the snapshot
 * @returns what was found, by path
 * @throws BkpError('failed') of restic; 'verifyFailed' for a path that the snapshot does not have
 */
export async function detailsIn(ctx: Context, store: Store, snapshot: string, paths: readonly string[]): Promise<Map<string, Detail>> {
  const reach = await reachFor(ctx, store);
  const cat = async (...what: string[]): Promise<any> => {
    let text = '';
    for await (const line of askRestic(ctx, reach, ['cat', ...what])) text += `${line}\n`;
    return JSON.parse(text);
  };
  const trees = new Map<string, Promise<TreeNode[]>>();
  const treeOf = (id: string): Promise<TreeNode[]> => {
    const known = trees.get(id) ?? cat('blob', id).then(tree => tree.nodes);
    trees.set(id, known);
    return known;
  };
  const root: string = (await cat('snapshot', snapshot)).tree;
  const found = new Map<string, Detail>();
  for (const path of paths) {
    let node: TreeNode | undefined = { name: '', subtree: root };
    for (const name of path.split('/').filter(part => part !== ''))
      node = node?.subtree === undefined ? undefined : (await treeOf(node.subtree)).find(each => each.name === name);
    if (!node) throw new BkpError('verifyFailed', `snapshot ${snapshot} does not have ${path}`);
    found.set(path, detailOf(node));
  }
  return found;
}

/** Why no attribute can be written here; undefined = they can. */
export const noAttributes = (ctx: Context): string | undefined =>
  ctx.run.which('setfattr') ? undefined : 'setfattr is not there: apt-get install attr';

/**
 * Writes extended attributes, each by itself: a file system may take some and refuse others.
 * @returns a sentence for each that was not taken
 */
export async function writeAttributes(ctx: Context, path: string, attributes: readonly Attribute[]): Promise<string[]> {
  const refused: string[] = [];
  for (const { name, value } of attributes) {
    const args = ['-h', '-n', name, ...(value === '' ? [] : ['-v', `0s${value}`]), '--', path];
    try {
      await ctx.run.text({ file: 'setfattr', args }, { signal: ctx.signal });
    } catch (error) {
      ctx.signal.throwIfAborted();
      refused.push(`${path} came back without ${name}: ${sentence(error)}`);
    }
  }
  return refused;
}
