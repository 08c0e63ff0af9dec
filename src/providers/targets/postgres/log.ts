import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { isWalName } from '../../../core/postgres/lsn.ts';
import { putWal, sealWal, walStores } from './archive.ts';
import type { PostgresConfig } from './config.ts';
import { lineageFor } from './lineage.ts';

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
