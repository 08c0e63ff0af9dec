import { copyFile, stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import type { Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { walObjects, walStores } from '../archive.ts';
import { lineageFor } from '../lineage.ts';
import { checkName, identityOf } from '../log.ts';
import { prefixOf } from './layout.ts';
import { type Context, environmentFor, howEnded, runWalg, who } from './program.ts';

/** One file, and no other: with more at once WAL-G also takes what the archiver has not asked for yet, and notes for all stores that it did. */
const ALONE = { WALG_UPLOAD_CONCURRENCY: '1', TOTAL_BG_UPLOADED_LIMIT: '1' };

export async function isThere(ctx: Context, store: Store, lineage: string, name: string): Promise<boolean> {
  for await (const object of walObjects(store, ctx.base, lineage, name, prefixOf(ctx, lineage)))
    if (object.name === name && object.walg) return true;
  return false;
}

export interface File {
  name: string;
  path: string;
  dataDir: string;
  segmentBytes: number | undefined;
}

/** @throws BkpError('conflict') when another content is there under this name; 'failed' when the store does not show it afterwards */
export async function pushTo(ctx: Context, store: Store, lineage: string, { name, path, dataDir, segmentBytes }: File): Promise<void> {
  const env = await environmentFor(ctx, store, prefixOf(ctx, lineage), segmentBytes === undefined ? {} : { segmentBytes });
  const ended = await runWalg(ctx, ['wal-push', path], { ...env, ...ALONE, PGDATA: dataDir }, { cwd: dataDir });
  if (ended.lines.some(line => /already archived, contents differ/.test(line)))
    throw new BkpError('conflict', `WAL ${name} of lineage ${lineage} is in store ${store.name} already with another content`, {
      next: 'two clusters archive into one lineage: check which of them is the original; the other one needs --new-lineage',
    });
  if (ended.lines.some(line => /whether there is an overwrite attempt.*incorrect key/.test(line)))
    throw new BkpError(
      'storeUnreachable',
      `WAL ${name} is in store ${store.name} already, and cannot be compared with what is to be stored: the key does not open it (${howEnded(ended)})`,
      { next: 'give `walg:` on this host the private half of the key, at least until this file is archived' },
    );
  if (ended.code !== 0) throw new BkpError('storeUnreachable', `wal-g wal-push ${howEnded(ended)}`);
  if (!(await isThere(ctx, store, lineage, name)))
    throw new BkpError('failed', `wal-g wal-push ended with exit code 0, and store ${store.name} does not show ${name}`);
}

/** WAL-G takes the name from the path. */
async function named(ctx: Context, name: string, path: string): Promise<string> {
  if (basename(path) === name) return path;
  const copy = join(await ctx.scratch(), name);
  await copyFile(path, copy);
  return copy;
}

/**
 * archive_command by WAL-G: one file of the data directory into every WAL store, which has to show it afterwards.
 * @throws BkpError when fewer than `need` stores hold it; PostgreSQL then keeps the file and tries again
 */
export async function push(ctx: Context, name: string, path: string, dataDir: string): Promise<void> {
  checkName(ctx, name);
  const lineage = await lineageFor(ctx, await identityOf(dataDir), false);
  const at = await named(ctx, name, isAbsolute(path) ? path : join(dataDir, path));
  const bytes = (await stat(at)).size;
  const file = { name, path: at, dataDir, segmentBytes: /^[0-9A-F]{24}$/.test(name) ? bytes : undefined };
  const stores = walStores(ctx);
  const results = await Promise.allSettled(stores.map(store => pushTo(ctx, store, lineage, file)));
  const failed = results.flatMap((result, n) =>
    result.status === 'rejected' ? [{ store: stores[n]!.name, reason: result.reason as unknown }] : [],
  );
  const conflict = failed.find(({ reason }) => reason instanceof BkpError && reason.exit === 'conflict');
  if (conflict) throw conflict.reason;
  const reasons = failed.map(({ store, reason }) => `${store}: ${sentence(reason)}`).join('; ');
  if (stores.length - failed.length < Math.min(ctx.need, stores.length))
    throw new BkpError(
      'storeUnreachable',
      `${who(ctx)}: WAL ${name} was stored in ${stores.length - failed.length} of ${stores.length} stores: ${reasons}`,
    );
  for (const { store, reason } of failed)
    ctx.report.emit({ type: 'warning', text: `WAL ${name} is not in store ${store}: ${sentence(reason)}` });
}
