import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { isWalName } from '../../../core/postgres/lsn.ts';
import { holdingsOf, putWal, readFirstWhole, sealWal, walStores } from './archive.ts';
import type { PostgresConfig } from './config.ts';
import { currentOf, knownLineages, lineageFor } from './lineage.ts';

type Context = TargetContext<PostgresConfig>;

export const checkName = (ctx: Context, name: string): void => {
  if (!isWalName(name))
    throw new BkpError('usage', `postgres/${ctx.name}: "${name}" is no name of a WAL file`, {
      next: "archive_command is: bkp wal push NAME '%f' '%p'",
    });
};

/** First eight bytes of pg_control, little endian on every platform that we run on: the system identifier. */
export async function identityOf(dataDir: string): Promise<{ systemIdentifier: string; restored: string | null }> {
  const file = await open(join(dataDir, 'global/pg_control'));
  try {
    const head = Buffer.alloc(8);
    await file.read(head, 0, 8, 0);
    return { systemIdentifier: head.readBigUInt64LE(0).toString(), restored: await restoredMarker(dataDir) };
  } finally {
    await file.close();
  }
}

async function restoredMarker(dataDir: string): Promise<string | null> {
  const text = await readFile(join(dataDir, 'postgresql.auto.conf'), 'utf8').catch(error => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const values = [...text.matchAll(/^\s*bkp\.restored\s*=\s*'([^']*)'/gm)];
  return values.at(-1)?.[1] ?? null;
}

/**
 * archive_command: puts one file of the data directory (the current directory of the archiver) into every WAL store.
 * @throws BkpError when fewer than `need` stores hold it afterwards; PostgreSQL then keeps the file and tries again
 */
export async function push(ctx: Context, name: string, path: string, dataDir: string): Promise<void> {
  checkName(ctx, name);
  const lineage = await lineageFor(ctx, await identityOf(dataDir), false);
  const plain = await readFile(path);
  const sealed = await sealWal(ctx, lineage, name, plain);
  const stores = walStores(ctx);
  const results = await Promise.allSettled(stores.map(store => putWal(store, ctx.base, lineage, sealed)));
  const failed = results.flatMap((result, n) =>
    result.status === 'rejected' ? [{ store: stores[n]!.name, reason: result.reason as unknown }] : [],
  );
  const conflict = failed.find(({ reason }) => reason instanceof BkpError && reason.exit === 'conflict');
  if (conflict) throw conflict.reason;
  if (stores.length - failed.length < Math.min(ctx.need, stores.length)) {
    throw new BkpError(
      'storeUnreachable',
      `WAL ${name} was stored in ${stores.length - failed.length} of ${stores.length} stores: ${failed.map(f => `${f.store}: ${sentence(f.reason)}`).join('; ')}`,
    );
  }
  for (const { store, reason } of failed)
    ctx.report.emit({ type: 'warning', text: `WAL ${name} is not in store ${store}: ${sentence(reason)}` });
}

/**
 * restore_command outside a restore of bkp (a standby that catches up): the plain bytes of a file of the newest lineage of this cluster.
 * @returns undefined only when every WAL store answered, none has the file, and none lists a later segment of its timeline
 * @throws BkpError for everything else; the caller ends with 255, so that PostgreSQL stops instead of promoting at a hole
 */
export async function fetch(ctx: Context, name: string, dataDir: string): Promise<Buffer | undefined> {
  checkName(ctx, name);
  const identity = await identityOf(dataDir);
  const lineage = currentOf([...(await knownLineages(ctx)).values()], identity)?.lineage;
  if (!lineage) throw new BkpError('notFound', `postgres/${ctx.name}: no store has WAL of the cluster ${identity.systemIdentifier}`);
  const copies = (await holdingsOf(ctx, lineage, name)).copies.get(name);
  if (copies) return readFirstWhole(ctx, lineage, copies);
  await refuseHole(ctx, lineage, name);
  return undefined;
}

/** A file may be called absent only when every store answered and none has a later segment of its timeline. */
async function refuseHole(ctx: Context, lineage: string, name: string): Promise<void> {
  const { copies, unreachable } = await holdingsOf(ctx, lineage, name.slice(0, 8));
  if (copies.has(name)) throw new BkpError('conflict', `WAL ${name} was stored just now`, { next: 'ask for it again' });
  if (unreachable.length > 0) {
    throw new BkpError(
      'storeUnreachable',
      `${name} is in no store that answers, and ${unreachable.map(u => `${u.store} does not: ${u.reason}`).join('; ')}`,
    );
  }
  const later = /^[0-9A-F]{24}/.test(name) && [...copies.keys()].find(other => /^[0-9A-F]{24}$/.test(other) && other > name);
  if (later) throw new BkpError('verifyFailed', `WAL ${name} is missing in every store although ${later} is there: there is a hole`);
}
