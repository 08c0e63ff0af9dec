import pMap from 'p-map';
import type { CaptureOptions, Facts, Held, Id, Known, Need, Piece, Store, Tablespace } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { formatLsn } from '../../../../core/postgres/lsn.ts';
import { copyStored } from '../../../../flow/copyStored.ts';
import { baseline } from '../baseline.ts';
import { lineageFor } from '../lineage.ts';
import { type Live, liveState, refuseStandby } from '../live.ts';
import { holdWal } from '../slot.ts';
import { sql } from '../sql.ts';
import { refuseUnarchived, untilArchived } from './archived.ts';
import { type Listing, listed, readBackup, type WalgBackup } from './backups.ts';
import { parentOf } from './delta.ts';
import { encryptionOf } from './environment.ts';
import { pushHistory } from './history.ts';
import { BACKUPS, prefixOf } from './layout.ts';
import { localDir } from './local.ts';
import { type Context, environmentFor, howEnded, runWalg, told, versionOf, walgOf, who } from './program.ts';
import { refuseUnfit } from './unfit.ts';

const AT_ONCE = 4;

/** Where WAL-G puts the backup: the first store that answers, with what is there already. */
interface Primary {
  store: Store;
  prefix: string;
  before: Listing;
  failed: { store: Store; error: unknown }[];
}

async function choosePrimary(ctx: Context, prefix: string): Promise<Primary> {
  const failed: Primary['failed'] = [];
  for (const store of ctx.stores) {
    try {
      return { store, prefix, before: await listed(store, prefix), failed };
    } catch (error) {
      ctx.signal.throwIfAborted();
      failed.push({ store, error });
    }
  }
  const reasons = failed.map(({ store, error }) => `${store.name}: ${sentence(error)}`);
  throw new BkpError('storeUnreachable', `${who(ctx)}: no store answers: ${reasons.join('; ')}`, {
    next: 'bkp doctor shows what each store lacks',
  });
}

const isOurs = ({ userData }: WalgBackup, id: Id): boolean => (userData as { bkp?: unknown } | undefined)?.bkp === id;

/**
 * The backup that this run made, by the id that WAL-G wrote into its sentinel: neither the exit code nor the log proves that there is one (PG02).
 * @throws BkpError('failed') when no new sentinel has it, or parts of it are missing (PG21)
 */
async function madeBy(ctx: Context, { store, prefix, before }: Primary, id: Id, how: string): Promise<WalgBackup> {
  const { backups } = await listed(store, prefix);
  for (const shown of backups.values()) {
    const old = before.backups.get(shown.name)?.sentinel;
    if (!shown.sentinel || (old && old.modified.getTime() === shown.sentinel.modified.getTime())) continue;
    const backup = await readBackup(store, prefix, shown);
    if (!isOurs(backup, id)) continue;
    if (backup.missing.length === 0) return backup;
    throw new BkpError(
      'failed',
      `${who(ctx)}: wal-g wrote the sentinel of ${backup.name} into store ${store.name} without ${backup.missing.length} of its parts (${backup.missing.slice(0, 3).join(', ')}): that cannot be restored`,
    );
  }
  throw new BkpError(
    'failed',
    `${who(ctx)}: wal-g backup-push ${how}, and store ${store.name} shows no new sentinel of it under ${prefix}/${BACKUPS}/: there is no backup`,
    {
      next: 'run it again; `wal-g backup-list` by the settings of `bkp config walg` shows what is there',
    },
  );
}

/** WAL-G tries localhost:5432 when the server does not answer, so what it backed up is looked at before it counts. */
function refuseForeign(ctx: Context, backup: WalgBackup, live: Live): void {
  if (backup.systemIdentifier === live.systemIdentifier) return;
  throw new BkpError(
    'failed',
    `${who(ctx)}: wal-g backed up cluster ${backup.systemIdentifier}, and ${ctx.config.host}:${ctx.config.port} is ${live.systemIdentifier}`,
    {
      next: 'WAL-G turns to localhost:5432 when the server does not answer: see whether it was restarted meanwhile, and run it again',
    },
  );
}

async function push(ctx: Context, primary: Primary, live: Live, options: CaptureOptions): Promise<WalgBackup> {
  const dir = await localDir(ctx, live);
  const parent = dir === undefined || options.full ? undefined : await parentOf(ctx, primary, options.known);
  if (parent) await options.pin(parent.id);
  const how = parent ? ['--delta-from-name', parent.name] : ['--full'];
  const env = await environmentFor(ctx, primary.store, primary.prefix, { server: true, segmentBytes: live.segmentBytes });
  const args = ['backup-push', ...(dir === undefined ? [] : [dir]), ...how, '--add-user-data', JSON.stringify({ bkp: options.id })];
  const onLine = (line: string): void => void (/part[ _]\d+/.test(line) && ctx.report.emit({ type: 'progress', what: 'wal-g', bytes: 0 }));
  const ended = await runWalg(ctx, args, env, { onLine });
  if (ended.code !== 0) throw new BkpError('failed', `${who(ctx)}: wal-g backup-push to store ${primary.store.name} ${howEnded(ended)}`);
  const backup = await madeBy(ctx, primary, options.id, 'ended with exit code 0');
  refuseForeign(ctx, backup, live);
  return backup;
}

/** Stored bytes as they are, so that every store holds the same; the sentinel last. */
async function copyTo(ctx: Context, primary: Primary, backup: WalgBackup): Promise<Primary['failed']> {
  const done = new Set([primary.store, ...primary.failed.map(({ store }) => store)]);
  const failed = [...primary.failed];
  for (const to of ctx.stores.filter(store => !done.has(store))) {
    try {
      const [last, ...data] = [...backup.objects].reverse();
      const copy = async ({ key }: { key: string }): Promise<void> => {
        ctx.signal.throwIfAborted();
        const seen = await primary.store.stat(key);
        if (!seen) throw new BkpError('verifyFailed', `${key} is no longer in store ${primary.store.name}`);
        await copyStored(primary.store, to, seen);
      };
      await pMap(data.reverse(), copy, { concurrency: AT_ONCE });
      await copy(last!);
    } catch (error) {
      ctx.signal.throwIfAborted();
      failed.push({ store: to, error });
    }
  }
  return failed;
}

const heldOf = (primary: Primary, backup: WalgBackup): Held => ({
  by: 'wal-g',
  id: backup.name,
  detail: { prefix: primary.prefix },
  under: `${primary.prefix}/${BACKUPS}`,
  objects: backup.objects,
});

/** What it builds on: by the id of our own backup where it has one, else by its name in WAL-G's archive. */
function needsOf(lineage: string, { deltaFrom, from, to }: WalgBackup, { prefix }: Primary, known: readonly Known[]): Need[] {
  const log: Need = { log: lineage, from: formatLsn(from), to: formatLsn(to) };
  if (deltaFrom === undefined) return [log];
  const parent = known.find(({ manifest }) =>
    manifest.pieces.some(piece => 'held' in piece && piece.held.id === deltaFrom && piece.held.detail?.['prefix'] === prefix),
  );
  return [parent ? { backup: parent.manifest.id } : { held: { by: 'wal-g', id: deltaFrom, detail: { prefix } } }, log];
}

/** Takes away what a failed run finished by its id, the sentinel first; parts without one cannot be told from those of others, and prune sweeps them. */
async function discard(ctx: Context, { store, prefix, before }: Primary, id: Id): Promise<void> {
  try {
    for (const shown of (await listed(store, prefix)).backups.values()) {
      if (!shown.sentinel || before.backups.get(shown.name)?.sentinel) continue;
      const backup = await readBackup(store, prefix, shown);
      if (isOurs(backup, id)) await store.remove(backup.objects.map(({ key }) => key).reverse());
    }
  } catch (error) {
    ctx.report.emit({ type: 'warning', text: `store ${store.name} keeps what the failed run of WAL-G left: ${sentence(error)}` });
  }
}

/** By what WAL-G stored: one that was created just now is in the backup, and its name is not known then. */
const tablespacesOf = ({ spaces }: WalgBackup, live: Live): Tablespace[] =>
  spaces.map(space => ({ ...space, name: live.tablespaces.find(({ oid }) => oid === space.oid)?.name ?? space.oid }));

async function factsOf(ctx: Context, live: Live, lineage: string, backup: WalgBackup, needs: readonly Need[]): Promise<Facts> {
  const at = new Date(await sql(ctx, 'select to_char(clock_timestamp() at time zone \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'));
  const ahead = backup.finishedAt.getTime() - at.getTime() > 60_000;
  return {
    identity: { systemIdentifier: live.systemIdentifier },
    at,
    lineage,
    wal: { timeline: backup.timeline, from: formatLsn(backup.from), to: formatLsn(backup.to), segmentBytes: live.segmentBytes },
    ...(backup.spaces.length > 0 ? { tablespaces: tablespacesOf(backup, live) } : {}),
    needs,
    contentBytes: backup.catalogBytes ?? backup.plainBytes,
    baseline: await baseline(ctx),
    versions: {
      server: live.version,
      superuser: live.superuser,
      'wal-g': await versionOf(ctx),
      compression: walgOf(ctx).compression,
      encryption: encryptionOf(told(ctx, {})),
    },
    notCovered: ['server configuration outside the data directory', 'WAL: it is in the archive, from the start of this backup on'],
    warnings: ahead
      ? [`WAL-G says that the backup ends at ${backup.finishedAt.toISOString()}, and the server's clock says ${at.toISOString()}`]
      : [],
  };
}

/**
 * Takes a backup by WAL-G into the first store that answers, proves by the store that it is there, and copies it to the others as it is
 * stored. It counts once all WAL from its start to its end is archived.
 * @throws BkpError('refused') before anything is stored when the cluster is foreign or unfit; 'failed' when there is no whole backup afterwards
 */
export async function* capture(ctx: Context, options: CaptureOptions): AsyncGenerator<Piece, Facts> {
  encryptionOf(told(ctx, {}));
  const live = await liveState(ctx);
  refuseStandby(ctx, live);
  refuseUnfit(ctx, live);
  await refuseUnarchived(ctx, live);
  const lineage = await lineageFor(ctx, live, options.newLineage);
  const primary = await choosePrimary(ctx, prefixOf(ctx, lineage));
  await pushHistory(ctx, lineage);
  const release = await holdWal(ctx, live);
  let backup: WalgBackup;
  let failed: Primary['failed'];
  try {
    backup = await push(ctx, primary, live, options);
    await untilArchived(ctx, live, lineage, backup);
    failed = await copyTo(ctx, primary, backup);
  } catch (error) {
    if (!ctx.signal.aborted) await discard(ctx, primary, options.id);
    throw error;
  } finally {
    await release();
  }
  yield { name: 'base', held: heldOf(primary, backup), failed };
  return factsOf(ctx, live, lineage, backup, needsOf(lineage, backup, primary, options.known));
}
