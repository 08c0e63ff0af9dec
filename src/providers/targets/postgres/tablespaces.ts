import { symlink, writeFile } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import type { Bytes, Manifest, PieceRef, RestoreRequest, Tablespace, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { pasted } from '../../../core/shell.ts';
import { readAll } from '../../../flow/bytes.ts';
import { complete, type Owner, occupy, own, real, refuseClosed } from '../../../flow/place.ts';
import { isWalg } from './base.ts';
import type { PostgresConfig } from './config.ts';
import { inspect } from './place.ts';
import type { Private } from './private.ts';
import { extract } from './unpack.ts';

type Context = TargetContext<PostgresConfig>;

export const pieceOf = ({ oid }: Pick<Tablespace, 'oid'>): string => `tablespace-${oid}.tar`;

/** Where a tablespace of a backup goes on this host. */
export interface Mapped extends Tablespace {
  to: string;
  /** What is there now has to be moved aside. */
  aside: boolean;
}

const within = (path: string, dir: string): boolean => {
  const way = relative(dir, path);
  return way === '' || (!way.startsWith('..') && !isAbsolute(way));
};

const overlap = (a: string, b: string): boolean => within(a, b) || within(b, a);

/** What is wrong with a place for a tablespace, in itself; undefined = nothing. */
function fault(space: Tablespace, to: string, request: RestoreRequest, taken: readonly string[]): string | undefined {
  if (!isAbsolute(to) || /[\n\r\\]/.test(to)) return 'is no absolute path without backslashes and line ends';
  if (overlap(to, space.location)) return "is the original's own place, which a restore never writes to";
  if (overlap(to, request.to)) return 'lies in the data directory, or around it';
  return taken.some(other => overlap(to, other)) ? 'is the place of another tablespace too' : undefined;
}

const typed = (spaces: readonly Tablespace[]): string =>
  spaces.map(({ location }) => `--tablespace ${pasted(`${location.replace(/[\\=]/g, '\\$&')}=NEW`)}`).join(' ');

/**
 * Where each tablespace of a backup goes. Pure.
 * @throws BkpError('refused') when one has no place; 'usage' for a place that cannot be, or one of a tablespace that is not in the backup
 */
export function mapTablespaces(manifest: Manifest, request: RestoreRequest): Omit<Mapped, 'aside'>[] {
  const spaces = manifest.tablespaces ?? [];
  const asked = request.tablespaces ?? new Map<string, string>();
  const known = new Set(spaces.flatMap(({ name, location }) => [name, location]));
  const stranger = [...asked.keys()].find(old => !known.has(old));
  if (stranger !== undefined)
    throw new BkpError('usage', `backup ${manifest.id} has no tablespace ${stranger}`, {
      next: spaces.length > 0 ? typed(spaces) : 'leave --tablespace out: everything of it is in the data directory',
    });
  const placed = (space: Tablespace): string | undefined => asked.get(space.location) ?? asked.get(space.name);
  const lacking = spaces.filter(space => placed(space) === undefined);
  if (lacking.length > 0)
    throw new BkpError(
      'refused',
      `backup ${manifest.id} has tablespaces outside the data directory (${lacking.map(({ name, location }) => `${name} in ${location}`).join(', ')}), and nothing says where they go`,
      { next: typed(lacking) },
    );
  const original = spaces.find(({ location }) => within(request.to, location));
  if (original)
    throw new BkpError(
      'usage',
      `${request.to} is the original's own place of tablespace ${original.name}, which a restore never writes to`,
      {
        next: 'restore elsewhere with --to DIR',
      },
    );
  return spaces.map(space => ({ ...space, to: resolve(placed(space)!) })).map((space, n, all) => checked(space, n, all, request, placed));
}

function checked(
  space: Omit<Mapped, 'aside'>,
  n: number,
  all: readonly Omit<Mapped, 'aside'>[],
  request: RestoreRequest,
  placed: (space: Tablespace) => string | undefined,
): Omit<Mapped, 'aside'> {
  const others = all.filter((_, other) => other !== n).map(({ to }) => to);
  const elsewhere = all.find(({ location }) => overlap(space.to, location));
  const why = isAbsolute(placed(space)!) ? fault(elsewhere ?? space, space.to, request, others) : 'is no absolute path';
  if (why) throw new BkpError('usage', `tablespace ${space.name} cannot go to ${placed(space)}: it ${why}`, { next: typed([space]) });
  return space;
}

/** The original's own place by another name. Throws BkpError('usage'). */
async function refuseOriginals(to: string, spaces: readonly Tablespace[]): Promise<void> {
  const at = await real(to);
  for (const { name, location } of spaces)
    if (overlap(at, await real(location)))
      throw new BkpError(
        'usage',
        `${to} leads to ${location}, the original's own place of tablespace ${name}, which a restore never writes to`,
        {
          next: 'name another directory with --tablespace',
        },
      );
}

/** Looks at each place as at the data directory's own. Throws BkpError('refused'), or 'usage' for a place that cannot be. */
export async function inspectTablespaces(
  ctx: Context,
  manifest: Manifest,
  request: RestoreRequest,
  owner: Owner | undefined,
): Promise<Mapped[]> {
  const mapped: Mapped[] = [];
  for (const space of mapTablespaces(manifest, request)) {
    await refuseOriginals(space.to, manifest.tablespaces ?? []);
    mapped.push({ ...space, aside: await inspect(ctx, space.to, request.force) });
    await refuseClosed(space.to, owner);
  }
  return mapped;
}

/** The stream of one tablespace. Throws BkpError('verifyFailed') when the manifest names none. */
export function tablespacePiece(manifest: Manifest, space: Tablespace): PieceRef {
  const piece = manifest.pieces.find(({ name }) => name === pieceOf(space));
  if (piece && 'objects' in piece) return piece;
  throw new BkpError('verifyFailed', `backup ${manifest.id} names tablespace ${space.name} and has no ${pieceOf(space)}`);
}

/** Bytes that a tablespace takes; 0 in a backup of WAL-G, which counts them with the data directory. */
export const spaceBytes = (manifest: Manifest, space: Tablespace): number =>
  isWalg(manifest) ? 0 : tablespacePiece(manifest, space).bytes;

/** Makes the place of each tablespace. @returns directories that were moved aside */
export async function occupyTablespaces(ctx: Context, place: Private, spaces: readonly Mapped[]): Promise<string[]> {
  const aside: string[] = [];
  for (const space of spaces) {
    const moved = await occupy(ctx, space.to, space.aside, place.owner);
    if (moved) aside.push(moved);
  }
  return aside;
}

/**
 * Unpacks what lies outside the data directory: each tablespace into its new place, with the link by which the server finds it, and the
 * backup_manifest, which is a stream of its own then. Everything is as PostgreSQL recorded it until `redirect`. Of a backup of WAL-G all of
 * it came with the base.
 */
export async function unpackTablespaces(
  ctx: Context,
  place: Private,
  manifest: Manifest,
  spaces: readonly Mapped[],
  read: (piece: PieceRef) => Bytes,
): Promise<void> {
  if (spaces.length === 0 || isWalg(manifest)) return;
  for (const space of spaces) {
    await extract(ctx, { ...place, dataDir: space.to }, read(tablespacePiece(manifest, space)));
    await symlink(space.to, join(place.dataDir, 'pg_tblspc', space.oid));
  }
  await writeManifest(place, manifest, read);
}

/** The backup_manifest of a cluster with tablespaces is a stream of its own; else it came with the base. */
export async function writeManifest(place: Private, manifest: Manifest, read: (piece: PieceRef) => Bytes): Promise<void> {
  const piece = manifest.pieces.find(({ name }) => name === 'backup_manifest');
  if (piece && 'objects' in piece) await writeOwned(place, 'backup_manifest', await readAll(read(piece)));
}

async function writeOwned(place: Private, name: string, bytes: Buffer | string): Promise<void> {
  const path = join(place.dataDir, name);
  await writeFile(path, bytes, { mode: 0o600 });
  await own(path, place.owner);
}

/** A server that starts on a base makes its links anew from `tablespace_map`: with the old one it would go to the original's places. */
export async function redirect(place: Private, spaces: readonly Mapped[]): Promise<void> {
  if (spaces.length > 0) await writeOwned(place, 'tablespace_map', spaces.map(({ oid, to }) => `${oid} ${to}\n`).join(''));
}

export const completeTablespaces = async (spaces: readonly Mapped[]): Promise<void> => {
  for (const { to } of spaces) await complete(to);
};
