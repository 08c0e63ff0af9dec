import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BkpError, sentence } from '../../../core/errors.ts';
import { formatBytes } from '../../../core/size.ts';
import { freeBytes } from '../../../flow/place.ts';
import { type Context, called } from './config.ts';
import type { Offline } from './tools.ts';

/** What a new member preallocates beside its database: one segment of its log. */
const LOG_BYTES = 64 << 20;

/** Bytes that a restored data directory takes. */
export const restoredBytes = (snapshot: number): number => snapshot + LOG_BYTES;

/** What a snapshot says of itself: facts from the finished file, not from before it was taken. */
export interface SnapshotFacts {
  revision: number;
  /** Keys that exist. Tools before 3.6 count what else is in the file too, so they tell nothing here. */
  keys?: number;
  /** Version of the server that wrote it; absent before 3.6. */
  version?: string;
}

/** Membership of a restored member, as `snapshot restore` takes it. */
export interface Member {
  name?: string;
  initialCluster?: string;
  initialClusterToken?: string;
  initialAdvertisePeerUrls?: string;
}

/** By how much revisions are raised, so that no watcher or cache of the lost cluster takes the restored one for older news. */
export const BUMP = 1_000_000_000;

const isOfHost = (text: string): boolean =>
  /no space left|permission denied|cannot allocate|too many open files|signal SIGKILL/i.test(text);

/** What a crash of the tool comes down to: the first line that says so. */
const why = (text: string): string => /(?:panic|fatal error|Error): [^\n]*/.exec(text)?.[0] ?? text.split('\n')[0] ?? text;

/** Reads revision and keys out of a snapshot. Throws BkpError('verifyFailed') when it cannot be read. */
export async function snapshotFacts(ctx: Context, tool: Offline, file: string): Promise<SnapshotFacts> {
  try {
    const command = { file: tool.file, args: ['snapshot', 'status', file, '-w', 'json'], env: { ETCDCTL_API: '3' } };
    const { stdout } = await ctx.run.text(command, { signal: ctx.signal });
    const { revision, totalKey, version } = JSON.parse(stdout) as { revision: number; totalKey: number; version?: string };
    return { revision, ...(tool.bumps ? { keys: totalKey } : {}), ...(version ? { version } : {}) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw new BkpError('verifyFailed', `${called(ctx)}: the snapshot cannot be read: ${why(sentence(error))}`, { cause: error });
  }
}

const flags = ({ name, initialCluster, initialClusterToken, initialAdvertisePeerUrls }: Member): string[] => [
  ...(name ? ['--name', name] : []),
  ...(initialCluster ? ['--initial-cluster', initialCluster] : []),
  ...(initialClusterToken ? ['--initial-cluster-token', initialClusterToken] : []),
  ...(initialAdvertisePeerUrls ? ['--initial-advertise-peer-urls', initialAdvertisePeerUrls] : []),
];

/**
 * Makes a data directory out of a snapshot.
 * @param into must not exist yet
 * @throws BkpError('verifyFailed') when the snapshot does not come back, 'failed' when this host is the reason
 */
export async function restoreSnapshot(ctx: Context, tool: Offline, file: string, into: string, member: Member = {}): Promise<void> {
  const raise = tool.bumps ? ['--bump-revision', String(BUMP), '--mark-compacted'] : [];
  const args = ['snapshot', 'restore', file, '--data-dir', into, ...flags(member), ...raise];
  try {
    await ctx.run.text({ file: tool.file, args, env: { ETCDCTL_API: '3' } }, { signal: ctx.signal });
  } catch (error) {
    ctx.signal.throwIfAborted();
    const text = sentence(error);
    if (/couldn't find local name|--initial-cluster|invalid.*URL|advertise/i.test(text))
      throw new BkpError('usage', `${called(ctx)}: ${why(text)}`, {
        next: '--initial-cluster NAME=PEER-URL,… holds --name and its peer URL',
        cause: error,
      });
    throw new BkpError(isOfHost(text) ? 'failed' : 'verifyFailed', `${called(ctx)}: the snapshot does not restore: ${why(text)}`, {
      cause: error,
    });
  }
}

/** Throws BkpError('refused') where a directory has no room for so many bytes. */
export async function refuseFull(ctx: Context, dir: string, needed: number, what: string): Promise<void> {
  const free = await freeBytes(dir);
  if (free >= needed) return;
  throw new BkpError('refused', `${called(ctx)}: ${what} needs about ${formatBytes(needed)}, and ${dir} has ${formatBytes(free)} free`, {
    next: '`temp:` in the config names a directory with more room',
  });
}

/**
 * A snapshot is a backup only if it restores: pages that were damaged before the hash was made show in nothing else.
 * @returns what the file says of itself
 */
export async function tryRestore(ctx: Context, tool: Offline, file: string, dir: string, bytes: number): Promise<SnapshotFacts> {
  const into = join(dir, 'trial');
  await refuseFull(ctx, dir, restoredBytes(bytes), 'the trial restore');
  try {
    const [restored, facts] = await Promise.allSettled([restoreSnapshot(ctx, tool, file, into), snapshotFacts(ctx, tool, file)]);
    if (restored.status === 'rejected') throw restored.reason;
    if (facts.status === 'rejected') throw facts.reason;
    return facts.value;
  } finally {
    await rm(into, { recursive: true, force: true, maxRetries: 3 });
  }
}
