import { chmod, lchown, link, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Id, Store } from '../../../../core/contracts.ts';
import { detailsIn, noAttributes, writeAttributes } from './attributes.ts';
import type { Sparse } from './baseline.ts';
import { nodesIn } from './census.ts';
import type { Context } from './context.ts';
import { readFault, refuseFailed } from './faults.ts';
import { isSince, reachFor, readRestic, runRestic, versionOf } from './program.ts';
import type { Node } from './said.ts';

/** `restore --sparse` came with it. */
const SPARSE_SINCE = '0.15.0';
const BLOCK = 64 * 1024;
const ZEROS = Buffer.alloc(BLOCK);

/** A snapshot in a store, the backup that it is of, and what of it is wanted: patterns of restic, none = all. */
export interface Wanted {
  store: Store;
  backup: Id;
  snapshot: string;
  include: readonly string[];
  sparse: readonly Sparse[];
}

/** In restic's patterns these mean more than themselves. */
const literal = (path: string): string => path.replace(/[\\*?[\]]/g, '\\$&');

/** Writes a stream, blocks of zeros as holes. */
async function writeWithHoles(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    let [at, pending] = [0, Buffer.alloc(0)];
    const put = async (block: Buffer): Promise<void> => {
      if (!ZEROS.subarray(0, block.length).equals(block)) await file.write(block, 0, block.length, at);
      at += block.length;
    };
    for await (const chunk of bytes) {
      pending = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
      while (pending.length >= BLOCK) {
        await put(pending.subarray(0, BLOCK));
        pending = pending.subarray(BLOCK);
      }
    }
    await put(pending);
    await file.truncate(at);
  } finally {
    await file.close();
  }
}

async function withOwner(path: string, node: Node): Promise<void> {
  if (process.getuid?.() === 0) await lchown(path, node.uid, node.gid);
  await chmod(path, node.mode);
}

const NS = 1_000_000_000n;

/** To the nanosecond, which Node's own cannot. */
async function withTime(ctx: Context, path: string, { mtime }: Node): Promise<void> {
  const fraction = ((mtime % NS) + NS) % NS;
  const time = `@${(mtime - fraction) / NS}.${String(fraction).padStart(9, '0')}`;
  await ctx.run.text({ file: 'touch', args: ['-d', time, '--', path] }, { signal: ctx.signal });
}

/** Files with holes, and the directories in which they lie, whose times change as these are written. */
async function nodesOf(ctx: Context, { store, snapshot, sparse }: Wanted): Promise<{ files: Map<string, Node>; dirs: Map<string, Node> }> {
  const files = new Map<string, Node>();
  const dirs = new Map<string, Node>();
  const wanted = new Set(sparse.map(({ path }) => path));
  const above = new Set(sparse.map(({ path }) => dirname(path)));
  for await (const node of nodesIn(ctx, store, snapshot)) {
    if (wanted.has(node.path)) files.set(node.path, node);
    if (above.has(node.path) && node.type === 'dir') dirs.set(node.path, node);
  }
  return { files, dirs };
}

/**
 * What this restic writes out in full although it has holes, one file after the other; of one with several names the first is written.
 * @returns what could not be brought back of them
 */
async function sparseByHand(ctx: Context, wanted: Wanted, into: string): Promise<string[]> {
  const { store, snapshot } = wanted;
  const { files, dirs } = await nodesOf(ctx, wanted);
  const reach = await reachFor(ctx, store);
  const details = await detailsIn(ctx, store, snapshot, [...files.keys()]);
  const rich = [...details.values()].filter(({ attributes }) => attributes.length > 0).length;
  const unable = rich > 0 ? noAttributes(ctx) : undefined;
  const lost = unable === undefined ? [] : [`${rich} file(s) with holes came back without extended attributes and ACLs: ${unable}`];
  const written = new Map<string, string>();
  for (const [path, node] of files) {
    const { attributes, inode } = details.get(path)!;
    const to = join(into, path);
    await mkdir(dirname(to), { recursive: true });
    const same = inode === undefined ? undefined : written.get(inode);
    if (same !== undefined) {
      await link(same, to);
      continue;
    }
    await writeWithHoles(to, readRestic(ctx, reach, ['dump', snapshot, path]));
    await withOwner(to, node);
    if (unable === undefined) lost.push(...(await writeAttributes(ctx, to, attributes)));
    await withTime(ctx, to, node);
    if (inode !== undefined) written.set(inode, to);
  }
  for (const [path, node] of dirs) await withTime(ctx, join(into, path), node);
  return lost;
}

/**
 * Restores a snapshot into a directory, where each file lies under its whole path, and holes stay holes.
 * @returns what should be known of it
 * @throws BkpError
 */
export async function unpack(ctx: Context, wanted: Wanted, into: string): Promise<string[]> {
  const { store, backup, snapshot, include, sparse } = wanted;
  const version = await versionOf(ctx);
  const byHand = sparse.length > 0 && include.length === 0 && !isSince(version, SPARSE_SINCE);
  const args = [
    'restore',
    '--no-lock',
    ...(sparse.length > 0 && isSince(version, SPARSE_SINCE) ? ['--sparse'] : []),
    ...include.flatMap(pattern => ['--include', pattern]),
    ...(byHand ? sparse.flatMap(({ path }) => ['--exclude', literal(path)]) : []),
    ...['--target', into, snapshot],
  ];
  refuseFailed(ctx, store, `restore of backup ${backup}`, await runRestic(ctx, await reachFor(ctx, store), args));
  if (!byHand) return [];
  try {
    return await sparseByHand(ctx, wanted, into);
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw readFault(ctx, store, `dump of backup ${backup}`, error);
  }
}
