import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import pMap from 'p-map';
import type { Manifest, Store, Tablespace, TargetContext } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { INCOMPLETE, own } from '../../../flow/place.ts';
import { baseBytes, isWalg, type Read, unpackBase } from './base.ts';
import { compareChecksums } from './combinedFiles.ts';
import type { PostgresConfig } from './config.ts';
import type { Private } from './private.ts';
import { type Mapped, pieceOf, spaceBytes, tablespacePiece, unpackTablespaces, writeManifest } from './tablespaces.ts';
import { basePiece, checkExtracted, extract } from './unpack.ts';

type Context = TargetContext<PostgresConfig>;

/** A backup of a chain, and the stores that hold it. */
export interface Part {
  manifest: Manifest;
  holders: readonly Store[];
}

/** Where the members lie until they are combined: within the place of each, so that files are linked and moved and not copied. */
const CHAIN = 'BKP_RESTORE_CHAIN';
const OUT = 'combined';

/** Members that are unpacked at once: while one waits for its store, the processors have the other. */
const AT_ONCE = 2;

/** The data directory and tablespaces of a whole cluster, bytes, and of all that is unpacked on the way. */
export const combinedBytes = (parents: readonly Manifest[], manifest: Manifest): number =>
  parents.length === 0 || isWalg(manifest)
    ? baseBytes(manifest)
    : [...parents, manifest].reduce((sum, each) => sum + baseBytes(each), manifest.contentBytes ?? 0);

/** As `combinedBytes`, of one tablespace: what was unchanged is linked, the rest is in the members. */
export const combinedSpaceBytes = (parents: readonly Manifest[], manifest: Manifest, space: Tablespace): number =>
  [...parents, manifest]
    .filter(each => each.tablespaces?.some(({ oid }) => oid === space.oid))
    .reduce((sum, each) => sum + (parents.length === 0 ? 1 : 2) * spaceBytes(each, space), 0);

async function makeDir(place: Private, path: string): Promise<string> {
  await mkdir(path, { mode: 0o700 });
  await own(path, place.owner);
  return path;
}

/** Unpacks one member as a data directory of its own, with those of its tablespaces that the newest has. @returns where */
async function unpackMember(
  ctx: Context,
  place: Private,
  { manifest, holders }: Part,
  n: number,
  spaces: readonly Mapped[],
  read: Read,
): Promise<string> {
  const dir = await makeDir(place, join(place.dataDir, CHAIN, String(n)));
  await extract(ctx, { ...place, dataDir: dir }, read(basePiece(manifest), holders));
  for (const space of spaces.filter(({ oid }) => manifest.pieces.some(({ name }) => name === pieceOf({ oid })))) {
    const to = await makeDir(place, join(space.to, CHAIN, String(n)));
    await extract(ctx, { ...place, dataDir: to }, read(tablespacePiece(manifest, space), holders));
    await symlink(to, join(dir, 'pg_tblspc', space.oid));
  }
  await writeManifest({ ...place, dataDir: dir }, manifest, piece => read(piece, holders));
  return dir;
}

/** Unpacks all members, some of them at once. When one fails the others are ended, and nothing is written any more once this throws. @returns where */
async function unpackMembers(
  ctx: Context,
  place: Private,
  parts: readonly Part[],
  spaces: readonly Mapped[],
  read: Read,
): Promise<string[]> {
  const failure = new AbortController();
  const either = { ...ctx, signal: AbortSignal.any([ctx.signal, failure.signal]) };
  const one = async (part: Part, n: number): Promise<string> => {
    try {
      either.signal.throwIfAborted();
      ctx.report.emit({ type: 'started', what: `unpack ${part.manifest.id} (${n + 1} of ${parts.length})` });
      return await unpackMember(either, place, part, n, spaces, read);
    } catch (error) {
      failure.abort(error);
      return '';
    }
  };
  const dirs = await pMap(parts, one, { concurrency: AT_ONCE });
  either.signal.throwIfAborted();
  return dirs;
}

const escaped = (path: string): string => path.replaceAll('=', '\\=');

/** pg_combinebackup takes the newest last, and wants to be told of each tablespace where its combined files go. */
async function combineInto(ctx: Context, place: Private, dirs: readonly string[], spaces: readonly Mapped[]): Promise<void> {
  const last = dirs.length - 1;
  const moves = spaces.flatMap(({ to }) => ['-T', `${escaped(join(to, CHAIN, String(last)))}=${escaped(join(to, CHAIN, OUT))}`]);
  // The members are ours and go right after, so a file that none of them changed may be the same one (18 and newer).
  const link = place.tools.major >= 18 ? ['--link'] : [];
  const args = ['-N', '--manifest-checksums=SHA256', ...link, ...moves, '-o', join(place.dataDir, CHAIN, OUT), ...dirs];
  const command = { file: place.tools.path('pg_combinebackup'), args, cwd: '/', ...(place.owner ?? {}) };
  await ctx.run.text(command, { signal: ctx.signal }).catch(cause => {
    ctx.signal.throwIfAborted();
    throw cause instanceof BkpError ? new BkpError('verifyFailed', `the chain cannot be combined: ${cause.message}`, { cause }) : cause;
  });
}

/** What was combined comes to its place, and the members go. */
async function settle(to: string): Promise<void> {
  const out = join(to, CHAIN, OUT);
  for (const name of await readdir(out)) await rename(join(out, name), join(to, name));
  await rm(join(to, CHAIN), { recursive: true, force: true, maxRetries: 3 });
}

async function combine(ctx: Context, place: Private, parts: readonly Part[], spaces: readonly Mapped[], read: Read): Promise<void> {
  for (const path of [place.dataDir, ...spaces.map(({ to }) => to)]) await makeDir(place, join(path, CHAIN));
  const dirs = await unpackMembers(ctx, place, parts, spaces, read);
  ctx.report.emit({ type: 'started', what: `combine ${parts.length} backups` });
  await combineInto(ctx, place, dirs, spaces);
  await settle(place.dataDir);
  for (const { oid, to } of spaces) {
    await settle(to);
    await rm(join(place.dataDir, 'pg_tblspc', oid), { force: true });
    await symlink(to, join(place.dataDir, 'pg_tblspc', oid));
  }
}

/**
 * Puts data directory and tablespaces of a backup into their places, which are there and empty: unpacked, or combined with all that it
 * builds on. All of it is as PostgreSQL recorded it until `redirect`.
 * @param parents what it builds on, oldest first; empty for a full one
 * @throws BkpError when it did not come out whole
 */
export async function bring(
  ctx: Context,
  place: Private,
  parents: readonly Part[],
  part: Part,
  spaces: readonly Mapped[],
  read: Read,
): Promise<void> {
  const { manifest, holders } = part;
  if (parents.length > 0) {
    await combine(ctx, place, [...parents, part], spaces, read);
    return checkExtracted(ctx, place, manifest);
  }
  await unpackBase(ctx, place, manifest, spaces, holders, read);
  await checkExtracted(ctx, place, manifest);
  await unpackTablespaces(ctx, place, manifest, spaces, piece => read(piece, holders));
}

/** Whether the files are all there, of the size that was recorded, and no others, and the WAL from start to end; by pg_verifybackup. */
async function compareNames(ctx: Context, place: Private, spaces: readonly Mapped[]): Promise<void> {
  const marks = [INCOMPLETE, ...spaces.map(({ oid }) => `pg_tblspc/${oid}/${INCOMPLETE}`)];
  const args = ['--quiet', '--skip-checksums', ...marks.map(mark => `--ignore=${mark}`), place.dataDir];
  await ctx.run.text({ file: place.tools.path('pg_verifybackup'), args, cwd: '/', ...(place.owner ?? {}) }, { signal: ctx.signal });
}

/**
 * What was combined was in no store as it is, so every file of it is compared with what the server recorded; for a restore, whose places
 * still bear their marks. Checksums are made here and several at a time: pg_verifybackup makes one after the other.
 * @throws BkpError('verifyFailed') with the first complaints
 */
export async function verifyCombined(ctx: Context, place: Private, spaces: readonly Mapped[]): Promise<void> {
  ctx.report.emit({ type: 'started', what: 'compare every file with backup_manifest' });
  const found = await Promise.allSettled([compareNames(ctx, place, spaces), compareChecksums(place.dataDir, ctx.signal)]);
  ctx.signal.throwIfAborted();
  const cause = found.flatMap(each => (each.status === 'rejected' ? [each.reason] : []))[0];
  if (cause === undefined) return;
  throw cause instanceof BkpError
    ? new BkpError('verifyFailed', `the combined backup is not what was recorded: ${cause.message}`, { cause })
    : cause;
}
