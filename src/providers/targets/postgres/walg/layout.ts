import type { LineageId, Manifest, TargetContext } from '../../../../core/contracts.ts';
import { isWalName } from '../../../../core/postgres/lsn.ts';
import type { PostgresConfig } from '../config.ts';

/** Folders of WAL-G below its prefix (utility/utility.go). */
export const BACKUPS = 'basebackups_005';
export const WAL = 'wal_005';
export const SENTINEL = '_backup_stop_sentinel.json';

/** What WAL-G adds to a name by the way it compressed: lz4, lzma, zstd, brotli, none. */
const EXTENSION = /\.(lz4|lzma|zst|br|none)$/;

/** A name without what the compression added. */
export const withoutExtension = (name: string): string => name.replace(EXTENSION, '');

/** The first lineage of a cluster may lie in an archive that was there before bkp. */
const isFirst = (lineage: LineageId): boolean => lineage.endsWith('-1');

/** Key prefix of the archive of one lineage, without slashes at its ends. */
export function prefixOf(ctx: Pick<TargetContext<PostgresConfig>, 'base' | 'config'>, lineage: LineageId): string {
  const adopted = ctx.config.walg?.prefix;
  return adopted !== undefined && isFirst(lineage) ? adopted : `${ctx.base}/walg/${lineage}`;
}

const OWN = /^(\d+-\d+)\/wal_005\/([^/]+)$/;

/**
 * The archived file behind a key of one of our own prefixes, by its name without extension.
 * @param base prefix of the target's keys
 */
export function ownWalAt(base: string, key: string): { lineage: LineageId; name: string } | undefined {
  const start = `${base}/walg/`;
  const [, lineage, file] = (key.startsWith(start) && OWN.exec(key.slice(start.length))) || [];
  const name = file === undefined ? undefined : walNameOf(file);
  return lineage !== undefined && name !== undefined ? { lineage, name } : undefined;
}

/** The name that PostgreSQL gave a file of `wal_005/`; undefined for what is none. */
export function walNameOf(file: string): string | undefined {
  const name = withoutExtension(file);
  return isWalName(name) ? name : undefined;
}

/** Where WAL-G keeps the files of a lineage; undefined under another engine. */
export const walgArchive = (ctx: Pick<TargetContext<PostgresConfig>, 'base' | 'config'>, lineage: LineageId): string | undefined =>
  ctx.config.engine === 'wal-g' ? prefixOf(ctx, lineage) : undefined;

/** The name of the archived file behind a key, wherever WAL-G's prefix is. */
export function walNameAt(key: string): string | undefined {
  const [file = '', folder] = key.split('/').reverse();
  return folder === WAL ? walNameOf(file) : undefined;
}

/** Names that WAL-G gives to backups: `base_<segment>`, a delta with `_D_<segment of its base>` behind. */
export const isBackupName = (name: string): boolean => /^base_[0-9A-F]{24}(_D_[0-9A-F]{24})?$/.test(name);

/** The timeline on which a backup was taken, from its name. */
export const timelineOfBackup = (name: string): number => Number.parseInt(name.slice(5, 13), 16);

/** An archive that was there before bkp, and the lineage that its WAL is of. */
export interface Adopted {
  prefix: string;
  lineage: LineageId;
}

type Somewhere = Pick<TargetContext, 'base'> & { config?: unknown };

const adoptedPrefix = ({ config }: Somewhere): string | undefined => (config as PostgresConfig | undefined)?.walg?.prefix;

/** Key prefixes outside `base` that belong to a target. */
export function placesOf(ctx: Somewhere): string[] {
  const prefix = adoptedPrefix(ctx);
  return prefix === undefined || `${prefix}/`.startsWith(`${ctx.base}/`) ? [] : [prefix];
}

/**
 * The adopted archive of an entry, as far as its manifests tell whose it is: names of WAL do not say. Several clusters in one prefix
 * cannot be told apart; then it is that of the newest backup.
 * @param manifests of the target, oldest first
 */
export function adoptedOf(ctx: Somewhere, manifests: readonly Manifest[]): Adopted | undefined {
  const prefix = adoptedPrefix(ctx);
  if (prefix === undefined) return undefined;
  const isIn = ({ pieces }: Manifest): boolean => pieces.some(piece => 'held' in piece && piece.held.detail?.['prefix'] === prefix);
  const lineage = manifests.findLast(isIn)?.lineage;
  return lineage === undefined ? undefined : { prefix, lineage };
}

/** The archived file behind a key, in one of our own prefixes or in the adopted one. */
export function walAt(base: string, adopted: Adopted | undefined, key: string): { lineage: LineageId; name: string } | undefined {
  const own = ownWalAt(base, key);
  if (own || adopted === undefined || !key.startsWith(`${adopted.prefix}/${WAL}/`)) return own;
  const name = walNameAt(key);
  return name === undefined ? undefined : { lineage: adopted.lineage, name };
}
