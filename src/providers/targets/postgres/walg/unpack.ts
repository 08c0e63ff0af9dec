import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Held, Manifest, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { readAll } from '../../../../flow/bytes.ts';
import { ownAll } from '../../../../flow/place.ts';
import type { RestorePlan } from '../plan.ts';
import type { Private } from '../private.ts';
import type { Mapped } from '../tablespaces.ts';
import { segmentsOf } from './archived.ts';
import { type Listing, listed, readBackup, type WalgBackup } from './backups.ts';
import { exactJson } from './json.ts';
import { BACKUPS } from './layout.ts';
import { type Context, environmentFor, howEnded, runWalg, scratchOf, who } from './program.ts';

const FETCH = '.bkp-fetch';

/** What WAL-G holds of a backup. Throws BkpError('verifyFailed') when the manifest names nothing. */
export function heldBy(manifest: Manifest): Held & { prefix: string } {
  const held = manifest.pieces.flatMap(piece => ('held' in piece && piece.held.by === 'wal-g' ? [piece.held] : []))[0];
  const prefix = held?.detail?.['prefix'];
  if (held && prefix !== undefined) return { ...held, prefix };
  throw new BkpError('verifyFailed', `backup ${manifest.id} names nothing that WAL-G holds`, {
    next: 'restore another one: bkp list postgres',
  });
}

async function backupIn(store: Store, prefix: string, listing: Listing, name: string): Promise<WalgBackup> {
  const shown = listing.backups.get(name);
  if (!shown?.sentinel) throw new BkpError('verifyFailed', `store ${store.name} has no sentinel of ${name} under ${prefix}/`);
  const backup = await readBackup(store, prefix, shown);
  if (backup.missing.length === 0) return backup;
  throw new BkpError('verifyFailed', `store ${store.name} lacks ${backup.missing.slice(0, 3).join(', ')} of ${name}`);
}

/** A backup and all that it builds on, itself first. Throws BkpError('verifyFailed') naming what is missing in the store. */
export async function chainIn(store: Store, prefix: string, name: string): Promise<Source['chain']> {
  const listing = await listed(store, prefix);
  const chain: Source['chain'] = [await backupIn(store, prefix, listing, name)];
  for (let at = chain[0].deltaFrom; at !== undefined; at = chain.at(-1)!.deltaFrom) {
    if (chain.some(each => each.name === at))
      throw new BkpError('verifyFailed', `the deltas of ${name} in store ${store.name} go in a circle`);
    chain.push(await backupIn(store, prefix, listing, at));
  }
  return chain;
}

interface Source {
  store: Store;
  /** The backup itself first. */
  chain: [WalgBackup, ...WalgBackup[]];
}

/**
 * Does something with one store after the other until it works: WAL-G reads from one only.
 * @param again called before the next store is tried, with why the one before would not do
 * @throws BkpError with the reasons of all and the first one's exit; at once what is no BkpError
 */
async function fromEither<T>(
  manifest: Manifest,
  holders: readonly Store[],
  work: (store: Store) => Promise<T>,
  again: (reason: BkpError) => Promise<void> = async () => {},
): Promise<T> {
  const reasons: BkpError[] = [];
  for (const store of holders) {
    const before = reasons.at(-1);
    if (before) await again(before);
    try {
      return await work(store);
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      reasons.push(error);
    }
  }
  const next = [...new Set(reasons.flatMap(reason => reason.next)), 'restore another one: bkp list postgres'];
  throw new BkpError(
    reasons[0]?.exit ?? 'verifyFailed',
    `backup ${manifest.id} cannot be restored: ${reasons.map(sentence).join('; ') || 'no store holds it'}`,
    { next, cause: reasons[0] },
  );
}

/** What the manifest does not name has no place that anybody chose. Throws BkpError('verifyFailed'). */
function refuseUnnamed(manifest: Manifest, [{ name, spaces }]: readonly [WalgBackup, ...WalgBackup[]]): void {
  const named = new Set((manifest.tablespaces ?? []).map(({ oid }) => oid));
  const lost = spaces.filter(({ oid }) => !named.has(oid)).map(({ oid, location }) => `${oid} in ${location}`);
  if (lost.length === 0) return;
  throw new BkpError(
    'verifyFailed',
    `${name} has tablespaces (${lost.join(', ')}), and the manifest of backup ${manifest.id} names none of them`,
    {
      next: 'restore another one: bkp list postgres',
    },
  );
}

/** The base has no WAL inside: all of it from start to stop has to be in the archive. */
export async function refuseMissing(ctx: Context, plan: RestorePlan): Promise<void> {
  const { manifest } = plan.known;
  const { base } = plan.reach;
  const absent = segmentsOf(base, base.segmentBytes).find(name => !plan.held.copies.has(name));
  if (absent !== undefined)
    throw new BkpError(
      'verifyFailed',
      `backup ${manifest.id} cannot be restored: WAL ${absent}, of the time in which it was taken, is in no store`,
      {
        next: 'restore another one: bkp list postgres',
      },
    );
  const holders = ctx.stores.filter(store => plan.known.stores.includes(store.name));
  const { id, prefix } = heldBy(manifest);
  const chain = await fromEither(manifest, holders, store => chainIn(store, prefix, id));
  refuseUnnamed(manifest, chain);
}

/** Names that the files of a backup tell of, by the part that holds them. */
async function filesOf(store: Store, prefix: string, name: string): Promise<{ files: string[]; parts: Map<string, string> }> {
  const key = `${prefix}/${BACKUPS}/${name}/files_metadata.json`;
  const told = exactJson((await readAll(store.get(key))).toString('utf8'), `${key} in store ${store.name}`);
  const parts = new Map<string, string>();
  for (const [part, names] of Object.entries<string[]>(told.TarFileSets ?? {})) for (const file of names) parts.set(file, part);
  return { files: [...new Set([...Object.keys(told.Files ?? {}), ...parts.keys()])], parts };
}

/** WAL-G leaves it out where it is told of the places by --restore-spec; ours is written afterwards. */
const UNWANTED = /^\/?tablespace_map$/;

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    error => (error.code === 'ENOENT' ? false : Promise.reject(error)),
  );

/** WAL-G's exit code says nothing of parts that it left out (PG01), so each file that the backup names has to be there. */
async function refuseHoles(dir: string, { store, chain }: Source, prefix: string): Promise<void> {
  const [{ name }] = chain;
  const { files, parts } = await filesOf(store, prefix, name);
  const absent: string[] = [];
  for (const file of files) if (!UNWANTED.test(file) && !(await isThere(join(dir, file)))) absent.push(file);
  if (absent.length === 0) return;
  const of = [...new Set(absent.map(file => parts.get(file) ?? 'the backup below it'))];
  throw new BkpError(
    'verifyFailed',
    `wal-g backup-fetch ended with exit code 0 and left out ${absent.length} of the files of ${name}, the first ${absent[0]} (${of.slice(0, 3).join(', ')})`,
  );
}

/**
 * A tablespace that was dropped since the full backup below a delta leaves its empty directories, at which recovery panics from 15 on ("should
 * be symbolic links"). Whatever has a file in it stays.
 */
async function sweepDropped(dir: string, spaces: readonly Mapped[]): Promise<void> {
  const links = join(dir, 'pg_tblspc');
  for (const entry of await readdir(links, { withFileTypes: true })) {
    if (!entry.isDirectory() || spaces.some(({ oid }) => oid === entry.name)) continue;
    const below = await readdir(join(links, entry.name), { recursive: true, withFileTypes: true });
    if (below.every(each => each.isDirectory())) await rm(join(links, entry.name), { recursive: true });
  }
}

async function moveUp(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) await rename(join(from, name), join(to, name));
  await rmdir(from);
}

/** Lines of WAL-G by which a part has come. */
const PART = /Finished (?:extraction|decompression) of (\S+)/;

/**
 * Tells WAL-G where tablespaces go, and that there are no others. Without it WAL-G puts them where they were, over those of a server that may
 * still run; one that is not named stays in the data directory (tried on 3.0.9).
 */
async function specFile(ctx: Context, into: string, spaces: readonly Mapped[]): Promise<string> {
  const places = spaces.map(({ oid, to }) => [oid, { loc: to, link: `pg_tblspc/${oid}` }]);
  const spec = { ...Object.fromEntries(places), base_prefix: into, tablespaces: spaces.map(({ oid }) => oid) };
  const path = join(await scratchOf(ctx), `spec-${randomBytes(4).toString('hex')}.json`);
  await writeFile(path, JSON.stringify(spec), { mode: 0o600 });
  return path;
}

/** What lies in the places of a backup's tablespaces; the mark of a restore that is not whole among it. */
const laidOut = (spaces: readonly Mapped[]): Promise<Set<string>> =>
  Promise.all(spaces.map(async ({ to }) => (await readdir(to)).map(name => join(to, name)))).then(all => new Set(all.flat()));

/** Has WAL-G put a backup into an empty directory, out of one store. Throws BkpError when it did not come out whole. */
async function fetchFrom(
  ctx: Context,
  manifest: Manifest,
  spaces: readonly Mapped[],
  into: string,
  store: Store,
  elsewhere: boolean,
): Promise<void> {
  const { id, prefix } = heldBy(manifest);
  const source: Source = { store, chain: await chainIn(store, prefix, id) };
  refuseUnnamed(manifest, source.chain);
  await mkdir(into, { mode: 0o700 });
  const total = source.chain.reduce((sum, { objects }) => sum + objects.filter(({ key }) => key.includes('/tar_partitions/')).length, 0);
  const seen = new Set<string>();
  const onLine = (line: string): void => {
    const part = PART.exec(line)?.[1];
    if (part !== undefined) ctx.report.emit({ type: 'progress', what: 'wal-g parts', bytes: seen.add(`${part} ${seen.size}`).size, total });
  };
  const args = ['backup-fetch', into, id, '--restore-spec', await specFile(ctx, into, spaces)];
  const ended = await runWalg(ctx, args, await environmentFor(ctx, store, prefix, { elsewhere }), { cwd: '/', onLine });
  if (ended.code !== 0)
    throw new BkpError('failed', `${who(ctx)}: wal-g backup-fetch ${id} from store ${store.name} ${howEnded(ended)}`, {
      next: 'a wrong key looks like this too: `walg:` needs the key with which it was stored',
    });
  await refuseHoles(into, source, prefix);
}

/**
 * Has WAL-G put a backup, with all that it builds on, into the data directory and the places of its tablespaces. WAL-G wants an empty data
 * directory, so it gets one inside. A store whose parts do not come out whole gives way to the next.
 * @param holders stores whose manifest says that they hold it
 * @throws BkpError('verifyFailed') when something of it is missing, before or after; 'failed' when WAL-G failed or stood still
 */
export async function unpack(
  ctx: Context,
  place: Private,
  manifest: Manifest,
  spaces: readonly Mapped[],
  holders: readonly Store[],
): Promise<void> {
  const into = join(place.dataDir, FETCH);
  const before = await laidOut(spaces);
  const again = async (reason: BkpError): Promise<void> => {
    ctx.signal.throwIfAborted();
    ctx.report.emit({ type: 'warning', text: `${sentence(reason)}; taking it from another store` });
    const half = [...(await laidOut(spaces))].filter(path => !before.has(path));
    for (const path of [into, ...half]) await rm(path, { recursive: true, force: true, maxRetries: 3 });
  };
  await fromEither(manifest, holders, store => fetchFrom(ctx, manifest, spaces, into, store, store !== holders.at(-1)), again);
  await sweepDropped(into, spaces);
  await moveUp(into, place.dataDir);
  // A server does not start without it, and a backup over the connection may not have it.
  await mkdir(join(place.dataDir, 'pg_wal'), { recursive: true, mode: 0o700 });
  for (const dir of [place.dataDir, ...spaces.map(({ to }) => to)]) await ownAll(dir, place.owner);
}
