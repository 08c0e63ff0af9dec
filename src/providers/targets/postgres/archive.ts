import type { Manifest, ObjectInfo, Store, TargetContext } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { knownTo, lastOf } from '../../../core/postgres/chunks.ts';
import { type Ancestor, parseHistory } from '../../../core/postgres/history.ts';
import { historyName, isWalName } from '../../../core/postgres/lsn.ts';
import type { Archive, Contents } from '../../../core/postgres/plan.ts';
import { putBytes, readAll } from '../../../flow/bytes.ts';
import { openSmall, sealSmall } from '../../../flow/small.ts';
import { type Chunk, chunkAt, coverage, hashOf, shortHash } from './chunks.ts';
import type { PostgresConfig } from './config.ts';
import { lineageKey } from './lineage.ts';
import { WAL, walgArchive, walNameAt } from './walg/layout.ts';

/** One archived file as a store's listing shows it. `hash` is the first half of the plain bytes' SHA-256, from the key. */
export interface WalObject {
  name: string;
  hash: string;
  key: string;
  store: Store;
  bytes: number;
  /** WAL-G stored it: its key has no hash, and WAL-G reads it. */
  walg?: true;
}

const dirOf = (base: string, lineage: string, name: string): string => `${base}/wal/${lineage}/${name.slice(0, 8)}/`;

/** The stores that keep the WAL of a target. Throws BkpError('usage') when `wal.stores` names one that the target does not have. */
export function walStores(ctx: TargetContext<PostgresConfig>): readonly Store[] {
  const names = ctx.config.wal.stores;
  if (!names) return ctx.stores;
  return ctx.stores.filter(store => names.includes(store.name));
}

/** What a key says of the archived file behind it; undefined when it is none of ours. */
export function walObjectOf(store: Store, { key, bytes }: Pick<ObjectInfo, 'key' | 'bytes'>): WalObject | undefined {
  const walg = walNameAt(key);
  if (walg !== undefined) return { name: walg, hash: '', key, store, bytes, walg: true };
  const match = /\/([0-9A-F.a-z]+)-([0-9a-f]{32})\.zst(?:\.age)?$/.exec(key);
  return match && isWalName(match[1]!) ? { name: match[1]!, hash: match[2]!, key, store, bytes } : undefined;
}

async function* listed(store: Store, base: string, lineage: string, names: string, walg: string | undefined): AsyncGenerator<ObjectInfo> {
  yield* store.list(names === '' ? `${base}/wal/${lineage}/` : `${dirOf(base, lineage, names)}${names}`);
  if (walg !== undefined) yield* store.list(`${walg}/${WAL}/${names}`);
}

/**
 * Archived files of one lineage in one store: all, or those whose name begins with `names` (a timeline's eight digits, or more).
 * @param walg key prefix of WAL-G's archive of that lineage, where there may be one
 */
export async function* walObjects(store: Store, base: string, lineage: string, names = '', walg?: string): AsyncGenerator<WalObject> {
  for await (const info of listed(store, base, lineage, names, walg)) {
    const object = walObjectOf(store, info);
    if (object) yield object;
  }
}

const find = async (store: Store, base: string, lineage: string, name: string): Promise<WalObject | undefined> => {
  for await (const info of store.list(`${dirOf(base, lineage, name)}${name}-`)) {
    const object = walObjectOf(store, info);
    if (object?.name === name) return object;
  }
  return undefined;
};

/** Keys of what has to be read before the WAL behind a backup: the record of its lineage, and its timelines' histories. */
export async function recordsOf(ctx: TargetContext, store: Store, { lineage, wal }: Manifest): Promise<string[]> {
  if (lineage === undefined) return [];
  const key = lineageKey(ctx.base, lineage);
  const found = (await store.stat(key)) ? [key] : [];
  for (let timeline = 2; timeline <= (wal?.timeline ?? 1); timeline += 1) {
    const history = await find(store, ctx.base, lineage, historyName(timeline));
    if (history) found.push(history.key);
  }
  return found;
}

/** A WAL file sealed once, for any number of stores. */
export interface SealedWal {
  name: string;
  hash: string;
  bytes: Buffer;
  suffix: string;
}

/** Seals one file that PostgreSQL archives; lineage and name are inside the signed header. */
export async function sealWal(ctx: TargetContext<PostgresConfig>, lineage: string, name: string, plain: Buffer): Promise<SealedWal> {
  const bytes = await sealSmall(plain, ctx.keys, { lineage, name });
  return { name, hash: hashOf(plain), bytes, suffix: ctx.keys.recipients.length > 0 ? '.zst.age' : '.zst' };
}

/**
 * Puts one WAL file into one store. The same name with the same content is done already; with another content it is refused.
 * @throws BkpError('conflict') when the store holds another content under this name (rule: WAL is never overwritten)
 */
export async function putWal(store: Store, base: string, lineage: string, sealed: SealedWal): Promise<'stored' | 'present'> {
  const present = await find(store, base, lineage, sealed.name);
  if (present?.hash === sealed.hash) return 'present';
  if (present) {
    throw new BkpError(
      'conflict',
      `WAL ${sealed.name} of lineage ${lineage} is in store ${store.name} already with another content (${present.hash} there, ${sealed.hash} here)`,
      {
        next: 'two clusters archive into one lineage: check which of them is the original; the other one needs --new-lineage',
      },
    );
  }
  try {
    const key = `${dirOf(base, lineage, sealed.name)}${sealed.name}-${sealed.hash}${sealed.suffix}`;
    await putBytes(store, key, sealed.bytes, { ifAbsent: true, lasting: true });
    return 'stored';
  } catch (error) {
    // The name of the object holds the hash: whoever was quicker (stream and backup store the same history) wrote the same.
    if (error instanceof BkpError && error.exit === 'conflict') return 'present';
    throw error;
  }
}

const isOf = (header: Record<string, unknown>, lineage: string, name: string): boolean =>
  header['lineage'] === lineage && header['name'] === name;

/** Reads one archived file back, whole and proven: hash, signature, lineage and name. Throws BkpError naming the object. */
export async function readWal(ctx: TargetContext, lineage: string, object: WalObject): Promise<Buffer> {
  if (object.walg) return (await import('./walg/fetch.ts')).fetchWal(ctx as TargetContext<PostgresConfig>, lineage, object);
  return openWal(ctx, lineage, object, await readAll(object.store.get(object.key)));
}

/**
 * Opens an archived file that is not WAL-G's, and proves hash, signature, lineage and name.
 * @param sealed its bytes as they are stored
 * @throws BkpError naming the object: 'usage' where no identity of this host opens it, 'verifyFailed' for damage
 */
export async function openWal(ctx: TargetContext, lineage: string, object: WalObject, sealed: Buffer): Promise<Buffer> {
  const what = `object ${object.key} in store ${object.store.name}`;
  const { plain, header, sha256 } = await openSmall(sealed, ctx.keys, what);
  if (!isOf(header, lineage, object.name) || shortHash(sha256) !== object.hash) {
    throw new BkpError(
      'verifyFailed',
      `${what} is not what its name says: it was sealed as ${String(header['name'])} of lineage ${String(header['lineage'])}`,
    );
  }
  return plain;
}

/** The holdings of a lineage in every WAL store of a target, by whichever engine they were stored. */
export const holdingsOf = (ctx: TargetContext<PostgresConfig>, lineage: string, names = ''): Promise<Holdings> =>
  holdings(walStores(ctx), ctx.base, lineage, names, walgArchive(ctx, lineage));

/** What the stores hold of a lineage: copies and chunks by file name, first store first, and what could not be asked. */
export interface Holdings {
  copies: Map<string, WalObject[]>;
  /** Of segments that were open, merged or not. */
  chunks: Map<string, Chunk[]>;
  unreachable: { store: string; reason: string }[];
}

/** Lists a lineage, or the files of it whose name begins with `names`, in every given store. Stores that do not answer are told in `unreachable`. */
export async function holdings(stores: readonly Store[], base: string, lineage: string, names = '', walg?: string): Promise<Holdings> {
  const result: Holdings = { copies: new Map(), chunks: new Map(), unreachable: [] };
  for (const store of stores) {
    try {
      for await (const info of listed(store, base, lineage, names, walg)) {
        const object = walObjectOf(store, info);
        const chunk = object ? undefined : chunkAt(store, info);
        if (object) result.copies.set(object.name, [...(result.copies.get(object.name) ?? []), object]);
        if (chunk) result.chunks.set(chunk.name, [...(result.chunks.get(chunk.name) ?? []), chunk]);
      }
    } catch (error) {
      result.unreachable.push({ store: store.name, reason: sentence(error) });
    }
  }
  return result;
}

/**
 * Reads a file from the first store whose copy is whole; each damaged copy is a warning. Damage in age's header looks like a wrong key,
 * so that is believed only when every copy says so. Throws the last reason when no copy is whole.
 */
export async function readFirstWhole(ctx: TargetContext, lineage: string, copies: readonly WalObject[]): Promise<Buffer> {
  let last: unknown = new BkpError('notFound', `lineage ${lineage}: no store holds the file`);
  for (const copy of copies) {
    try {
      return await readWal(ctx, lineage, copy);
    } catch (error) {
      last = error;
      if (copies.length > 1) ctx.report.emit({ type: 'warning', text: sentence(error) });
    }
  }
  throw last;
}

/** What chunks add to whole segments: those of a merged one say nothing new. */
export function openIn({ copies, chunks }: Pick<Holdings, 'copies' | 'chunks'>): Required<Pick<Archive, 'open' | 'torn'>> {
  const unmerged = new Map([...chunks].filter(([name]) => !copies.has(name)));
  const torn = [...unmerged].map(([name, parts]) => [name, lastOf(parts), knownTo(parts)] as const).filter(([, last, end]) => last > end);
  return { open: coverage(unmerged), torn: new Map(torn.map(([name, last]) => [name, last])) };
}

/** By what their keys say; WAL-G's say nothing. */
export const contentsOf = (copies: ReadonlyMap<string, readonly WalObject[]>): Contents =>
  new Map(
    [...copies]
      .map(([name, held]) => [name, new Set(held.flatMap(({ hash, walg }) => (walg ? [] : [hash])))] as const)
      .filter(([, hashes]) => hashes.size > 0),
  );

/** The planner's view of a lineage: whole segments, open ones, and the histories, which are read. Throws as `readFirstWhole` does. */
export async function archiveOf(ctx: TargetContext, lineage: string, held: Pick<Holdings, 'copies' | 'chunks'>): Promise<Archive> {
  const histories = new Map<number, readonly Ancestor[]>();
  const segments = new Set<string>();
  for (const [name, copies] of held.copies) {
    if (/^[0-9A-F]{24}$/.test(name)) segments.add(name);
    if (name.endsWith('.history')) {
      histories.set(Number.parseInt(name.slice(0, 8), 16), parseHistory((await readFirstWhole(ctx, lineage, copies)).toString('utf8')));
    }
  }
  return { segments, ...openIn(held), histories, hashes: contentsOf(held.copies) };
}
