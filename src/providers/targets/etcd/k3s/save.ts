import { basename, join } from 'node:path';
import type { Id, Site } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { retried } from '../client.ts';
import { type Context, called } from '../config.ts';
import { allowedMs, fetched, keep, type Tried, tried } from '../take.ts';
import { refuseFull, restoredBytes } from '../trial.ts';
import { snapshotCommand } from './command.ts';
import { type Listed, OWN, ownName, readList, takenAt } from './list.ts';
import { unzipped } from './unzip.ts';

/** After so long a snapshot of our own on the node is of a run that was killed. */
const STALE_MS = 6 * 3_600_000;

/** K3s's snapshots, those of other nodes too. */
export async function listed(ctx: Context, site: Site, k3s: string, signal: AbortSignal = ctx.signal): Promise<Listed[]> {
  const { stdout } = await site.text(snapshotCommand(ctx, k3s, 'ls', '-o', 'json'), { timeoutMs: 60_000, signal });
  return readList(stdout);
}

/** Removes a snapshot of our own from the node, through K3s, so that it also leaves K3s's own S3 and list. */
async function remove(ctx: Context, site: Site, k3s: string, name: string, signal: AbortSignal): Promise<void> {
  if (!OWN.test(name)) throw new BkpError('failed', `${name} is no snapshot of bkp's own, and stays`);
  await site.text(snapshotCommand(ctx, k3s, 'delete', name), { signal });
}

/**
 * Removes what a run had K3s take, whether the run came to know of it or was ended before. Not even a signal keeps it on the node; only a
 * warning when it cannot be done.
 */
export async function removeOwn(ctx: Context, site: Site, k3s: string, id: Id): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  try {
    const ours = (await listed(ctx, site, k3s, signal)).filter(({ name, path }) => path && name.startsWith(`${ownName(id)}-`));
    for (const { name } of ours) await remove(ctx, site, k3s, name, signal);
  } catch (error) {
    const text = `${called(ctx)}: a snapshot ${ownName(id)}-… may stay on ${site.name}: ${sentence(error).split('\n')[0]}`;
    ctx.report.emit({ type: 'warning', text });
  }
}

/** What killed runs of ours left on the node. Snapshots of K3s's own schedule, and of others, are never touched. */
export async function sweepOwn(ctx: Context, site: Site, k3s: string, all: readonly Listed[]): Promise<void> {
  const before = ctx.clock.now().getTime() - STALE_MS;
  for (const { name, path } of all)
    if (path && OWN.test(name) && (takenAt(name)?.getTime() ?? before) < before) await remove(ctx, site, k3s, name, ctx.signal);
}

/** `save` may end with 0 and leave nothing behind: K3s has to list it, and the file has to be there. */
async function found(ctx: Context, site: Site, k3s: string, id: Id): Promise<Listed & { path: string }> {
  const prefix = `${ownName(id)}-`;
  const ours = (await listed(ctx, site, k3s)).filter(({ name, path }) => path && basename(path).startsWith(prefix) && takenAt(name));
  const [one] = ours as (Listed & { path: string })[];
  const fail = (why: string): BkpError =>
    new BkpError('failed', `${called(ctx)}: k3s etcd-snapshot save ended well, and ${why}`, {
      next: ['journalctl -u k3s   # on the node', 'k3s etcd-snapshot ls'],
    });
  if (!one) throw fail('lists no such snapshot');
  if (one.failed) throw fail(`says of it: ${one.failed}`);
  if (!(await site.names(join(one.path, '..'))).includes(basename(one.path))) throw fail(`${one.path} is not there`);
  return one;
}

/** A snapshot of K3s as a plain file on this host. */
export async function plainFile(ctx: Context, site: Site, path: string, dir: string): Promise<string> {
  const here = await fetched(ctx, site, path, dir);
  if (!path.endsWith('.zip')) return here;
  const plain = join(dir, 'unzipped.db');
  await keep(ctx, plain, unzipped(here));
  return plain;
}

async function databaseBytes(ctx: Context, site: Site): Promise<number> {
  const path = `${ctx.config.k3s.dataDir}/server/db/etcd/member/snap/db`;
  const { stdout } = await site.text({ file: 'sh', args: ['-c', '[ -e "$0" ] && wc -c "$0" || echo 0', path] });
  return Number.parseInt(stdout, 10) || 0;
}

/** Has K3s take a snapshot, and proves it on this host. It stays on the node until `removeOwn`. */
export async function saveSnapshot(ctx: Context, site: Site, k3s: string, id: Id): Promise<Tried & { at: Date }> {
  const dir = await ctx.scratch();
  const bytes = await databaseBytes(ctx, site);
  await refuseFull(ctx, dir, (site.local ? 0 : bytes) + restoredBytes(bytes), 'a snapshot and its trial');
  const at = ctx.clock.now();
  await retried(ctx, 'k3s etcd-snapshot save', () =>
    site.text(snapshotCommand(ctx, k3s, 'save', '--name', ownName(id)), { timeoutMs: allowedMs(ctx, bytes) }),
  );
  const one = await found(ctx, site, k3s, id);
  const file = await plainFile(ctx, site, one.path, dir);
  return { ...(await tried(ctx, file, dir, undefined, `snapshot ${one.name}`)), at };
}
