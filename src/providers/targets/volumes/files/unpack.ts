import { chmod, lchown, mkdir, open, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Id, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { attributesIn, noAttributes, writeAttributes } from './attributes.ts';
import type { Sparse } from './baseline.ts';
import { nodesIn } from './census.ts';
import type { Context } from './context.ts';
import { faultOf, refuseFailed } from './faults.ts';
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

async function withTime(path: string, node: Node): Promise<void> {
  const seconds = Number(node.mtime / 1000n) / 1e6;
  await utimes(path, seconds, seconds);
}

/**
 * What this restic writes out in full although it has holes, one file after the other.
 * @returns what could not be brought back of them
 */
async function sparseByHand(ctx: Context, { store, snapshot, sparse }: Wanted, into: string): Promise<string[]> {
  const nodes = new Map<string, Node>();
  const wanted = new Set(sparse.map(({ path }) => path));
  for await (const node of nodesIn(ctx, store, snapshot)) if (wanted.has(node.path)) nodes.set(node.path, node);
  const reach = await reachFor(ctx, store);
  const attributes = await attributesIn(ctx, store, snapshot, [...nodes.keys()]);
  const unable = attributes.size > 0 ? noAttributes(ctx) : undefined;
  const lost =
    unable === undefined ? [] : [`${attributes.size} file(s) with holes came back without extended attributes and ACLs: ${unable}`];
  for (const [path, node] of nodes) {
    await mkdir(dirname(join(into, path)), { recursive: true });
    await writeWithHoles(join(into, path), readRestic(ctx, reach, ['dump', snapshot, path]));
    await withOwner(join(into, path), node);
    if (unable === undefined) lost.push(...(await writeAttributes(ctx, join(into, path), attributes.get(path) ?? [])));
    await withTime(join(into, path), node);
  }
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
    throw error instanceof BkpError ? faultOf(ctx, store, 'dump', sentence(error)) : error;
  }
}
