import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Bytes, Site } from '../../../core/contracts.ts';
import { parseDuration } from '../../../core/duration.ts';
import { BkpError, hasNoRoom, sentence } from '../../../core/errors.ts';
import { local } from '../../../flow/site/local.ts';
import { ask, retried } from './client.ts';
import { type Context, called } from './config.ts';
import { checkSnapshot } from './snapshotFile.ts';
import type { EndpointStatus } from './status.ts';
import { offline, parseVersion } from './tools.ts';
import { refuseFull, restoredBytes, type SnapshotFacts, tryRestore } from './trial.ts';

/** The slowest link on which a snapshot may come, bytes per ms: one MiB a second. */
const SLOWEST = 1048.576;

/** How long a snapshot of so many bytes may take, ms. */
export const allowedMs = (ctx: Context, bytes: number): number => parseDuration(ctx.config.timeout) + Math.ceil(bytes / SLOWEST);

/** A snapshot that was tried, on this host. */
export interface Tried {
  file: string;
  bytes: number;
  facts: SnapshotFacts;
  /** Version of the tool that tried it. */
  tool: string;
}

/** Bytes of a file of this host. */
export const bytesOf = (path: string): Bytes => createReadStream(path, { highWaterMark: 1 << 20 }) as Bytes;

/**
 * The bytes of a file of this host while it is proven. Their end comes after the proof and throws what that throws, and no store shows anything
 * of a stream without an end.
 */
export async function* provenBytes(path: string, proof: Promise<unknown>): AsyncGenerator<Uint8Array> {
  yield* bytesOf(path);
  await proof;
}

/** Writes bytes into a file of this host, mode 600. */
export const keep = async (ctx: Context, path: string, bytes: Bytes): Promise<void> => {
  try {
    await local(ctx).write(path, bytes);
  } catch (error) {
    if (!hasNoRoom(error)) throw error;
    throw new BkpError('failed', `${called(ctx)}: ${path} could not be written: the disk is full`, {
      next: '`temp:` in the config names a directory with more room',
      cause: error,
    });
  }
};

/**
 * Proves a snapshot on this host: whole by its own hash, and restorable.
 * @param version of the server where it is known, such as `3.6.16`
 * @throws BkpError('verifyFailed' | 'failed' | 'refused')
 */
export async function tried(ctx: Context, file: string, dir: string, version: string | undefined, what: string): Promise<Tried> {
  const bytes = await checkSnapshot(file, what);
  const tool = await offline(ctx, parseVersion(version));
  const facts = await tryRestore(ctx, tool, file, dir, bytes);
  return { file, bytes, facts, tool: tool.version.join('.') };
}

/** Brings a file of a place to this host; one that is here stays where it is. */
export async function fetched(ctx: Context, site: Site, path: string, dir: string): Promise<string> {
  if (site.local) return path;
  const here = join(dir, 'fetched.db');
  await keep(ctx, here, site.read(path));
  return here;
}

async function save(ctx: Context, site: Site, etcdctl: string, from: EndpointStatus): Promise<string> {
  const path = join(await site.dir(), 'snapshot.db');
  const ms = allowedMs(ctx, from.dbSize);
  await ask(ctx, site, etcdctl, from.endpoint, ['snapshot', 'save', path], ms);
  const names = await site.names(join(path, '..'));
  if (names.includes('snapshot.db')) return path;
  throw new BkpError('failed', `${called(ctx)}: etcdctl said that it saved a snapshot, and on ${site.name} there is none`, {
    next: `${etcdctl} --endpoints=${from.endpoint} snapshot save FILE`,
  });
}

/**
 * Takes a snapshot by etcdctl and begins to prove it on this host. A connection that drops is tried again, from another endpoint where there is one.
 * @param endpoints in the order in which they are asked
 * @returns a file of this host, which `proof` works on until it settles
 */
export async function takeSnapshot(
  ctx: Context,
  site: Site,
  etcdctl: string,
  endpoints: readonly [EndpointStatus, ...EndpointStatus[]],
): Promise<{ file: string; proof: Promise<Tried>; from: EndpointStatus; at: Date }> {
  const dir = await ctx.scratch();
  await refuseFull(ctx, dir, endpoints[0].dbSize + restoredBytes(endpoints[0].dbSize), 'a snapshot and its trial');
  let tries = 0;
  const { path, from, at } = await retried(ctx, 'the snapshot', async () => {
    const chosen = endpoints[tries++ % endpoints.length]!;
    const began = ctx.clock.now();
    return { path: await save(ctx, site, etcdctl, chosen), from: chosen, at: began };
  });
  const file = await fetched(ctx, site, path, dir);
  const proof = tried(ctx, file, dir, from.version, `the snapshot of ${from.endpoint}`);
  // It is waited for in the end, and may fail before.
  proof.catch(() => {});
  return { file, proof, from, at };
}

/** What of an error is told where it does not end the run. */
export const told = (error: unknown): string => sentence(error).split('\n')[0]!;
