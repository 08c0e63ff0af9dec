import type { Facts, Found, Held, Known, LineageId, Need, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { formatLsn, segmentAt, segmentName } from '../../../../core/postgres/lsn.ts';
import { type WalObject, walObjects } from '../archive.ts';
import { knownLineages, lineageFor } from '../lineage.ts';
import { listed, readBackup, type WalgBackup } from './backups.ts';
import { encryptionOf } from './environment.ts';
import { fetchWal } from './fetch.ts';
import { BACKUPS, prefixOf } from './layout.ts';
import { type Context, told, walgOf, who } from './program.ts';

const USUAL = 16 * 1024 * 1024;

/** One backup of WAL-G with the stores in which all its parts are. */
interface Copy {
  prefix: string;
  backup: WalgBackup;
  stores: Store[];
}

const signedNames = (known: readonly Known[]): Set<string> =>
  new Set(
    known.flatMap(({ manifest }) =>
      manifest.pieces.flatMap(piece => ('held' in piece ? [`${piece.held.detail?.['prefix']} ${piece.held.id}`] : [])),
    ),
  );

/** Prefixes in which backups of WAL-G of this entry may lie: the adopted one, and that of every lineage on record. */
async function prefixes(ctx: Context): Promise<string[]> {
  const lineages = [...(await knownLineages(ctx)).keys()];
  return [...new Set([...(walgOf(ctx).prefix === undefined ? [] : [walgOf(ctx).prefix!]), ...lineages.map(each => prefixOf(ctx, each))])];
}

/** Every whole backup that nobody has signed, by prefix and name. One that is not whole anywhere is told. */
async function unsigned(ctx: Context, known: readonly Known[]): Promise<Copy[]> {
  const signed = signedNames(known);
  const found = new Map<string, Copy>();
  for (const prefix of await prefixes(ctx))
    for (const store of ctx.stores)
      for (const shown of (await listed(store, prefix)).backups.values()) {
        const id = `${prefix} ${shown.name}`;
        if (!shown.sentinel || signed.has(id)) continue;
        try {
          const backup = await readBackup(store, prefix, shown);
          if (backup.missing.length > 0) throw new BkpError('verifyFailed', `it lacks ${backup.missing.slice(0, 3).join(', ')}`);
          found.get(id)?.stores.push(store) ?? found.set(id, { prefix, backup, stores: [store] });
        } catch (error) {
          ctx.report.emit({ type: 'warning', text: `backup ${shown.name} in store ${store.name} is left out: ${sentence(error)}` });
        }
      }
  return [...found.values()].sort((a, b) => a.backup.startedAt.getTime() - b.backup.startedAt.getTime());
}

/** The size of a segment stands in no file of WAL-G: the first segment of the backup itself is looked at, and has to be there anyway. */
async function segmentBytesOf(ctx: Context, lineage: LineageId, { backup, stores, prefix }: Copy): Promise<number> {
  const name = segmentName({ timeline: backup.timeline, number: segmentAt(backup.from, USUAL) }, USUAL);
  for (const store of stores) {
    let first: WalObject | undefined;
    for await (const object of walObjects(store, ctx.base, lineage, backup.name.slice(5, 29), prefix))
      if (/^[0-9A-F]{24}$/.test(object.name)) first ??= object;
    if (first) return (await fetchWal(ctx, lineage, first)).length;
  }
  throw new BkpError('verifyFailed', `WAL ${name}, where ${backup.name} begins, is in none of its stores: it cannot be restored`);
}

/** `150018` → `15.18` */
const versionOf = (number: number): string => `${Math.floor(number / 10_000)}.${number % 10_000}`;

const heldOf = ({ prefix, backup }: Copy): Held => ({
  by: 'wal-g',
  id: backup.name,
  detail: { prefix },
  under: `${prefix}/${BACKUPS}`,
  objects: backup.objects,
});

async function factsOf(ctx: Context, lineage: LineageId, copy: Copy, parent: Need[]): Promise<Facts> {
  const { backup } = copy;
  const wal = { from: formatLsn(backup.from), to: formatLsn(backup.to) };
  return {
    identity: { systemIdentifier: backup.systemIdentifier },
    at: backup.finishedAt,
    lineage,
    wal: { timeline: backup.timeline, ...wal, segmentBytes: await segmentBytesOf(ctx, lineage, copy) },
    // Their names are on record nowhere.
    ...(backup.spaces.length > 0 ? { tablespaces: backup.spaces.map(space => ({ ...space, name: space.oid })) } : {}),
    needs: [...parent, { log: lineage, ...wal }],
    contentBytes: backup.catalogBytes ?? backup.plainBytes,
    baseline: {},
    versions: { server: versionOf(backup.serverVersion), encryption: encryptionOf(told(ctx, {})) },
    notCovered: ['server configuration outside the data directory', 'WAL: it is in the archive, from the start of this backup on'],
    warnings: ['it was taken by WAL-G alone and adopted: what was in the databases then is not on record'],
  };
}

/**
 * Backups in the archive of WAL-G that have no manifest, oldest first, each with what a manifest says. A delta comes after what it builds on
 * and names it by `held`; one whose base is missing, or that is of another cluster than the entry (PG04), is told and left out.
 */
export async function* adopt(ctx: Context, known: readonly Known[]): AsyncGenerator<Found> {
  const names = signedNames(known);
  for (const copy of await unsigned(ctx, known)) {
    const { prefix, backup, stores } = copy;
    try {
      if (backup.deltaFrom !== undefined && !names.has(`${prefix} ${backup.deltaFrom}`))
        throw new BkpError('verifyFailed', `${backup.deltaFrom}, on which it builds, is not there`);
      const lineage = await lineageFor(ctx, { systemIdentifier: backup.systemIdentifier, restored: null }, false);
      if (prefixOf(ctx, lineage) !== prefix)
        throw new BkpError('refused', `it lies under ${prefix}/, which is not the place of lineage ${lineage}`);
      const parent: Need[] = backup.deltaFrom === undefined ? [] : [{ held: { by: 'wal-g', id: backup.deltaFrom, detail: { prefix } } }];
      yield { startedAt: backup.startedAt, held: heldOf(copy), facts: await factsOf(ctx, lineage, copy, parent), stores };
      names.add(`${prefix} ${backup.name}`);
    } catch (error) {
      ctx.signal.throwIfAborted();
      ctx.report.emit({ type: 'warning', text: `${who(ctx)}: backup ${backup.name} is not adopted: ${sentence(error)}` });
    }
  }
}
