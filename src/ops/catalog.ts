import pMap from 'p-map';
import { chainOf, finder } from '../core/chain.ts';
import type {
  Held,
  HeldObject,
  Id,
  Keys,
  Known,
  Manifest,
  ManifestCache,
  ObjectInfo,
  PieceRef,
  Remembered,
  Store,
  Target,
  TargetContext,
} from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { isId } from '../core/id.ts';
import { joinKey } from '../core/key.ts';
import { decodeManifestAside } from '../core/manifest.ts';
import { isLater } from '../core/signed.ts';
import { readAll } from '../flow/bytes.ts';

/** Something in a store that keeps a backup from counting. */
export interface Problem {
  store: string;
  /** Absent = the store as a whole did not answer. */
  key?: string;
  error: string;
  /** It is sound, and a newer bkp reads it. */
  later?: true;
}

/** What one store shows under a target's `backups/`. */
export interface Shown {
  store: Store;
  /** Bytes by key of every object of the listing. */
  sizes: ReadonlyMap<string, number>;
}

export interface Catalog {
  /** Oldest first, by the start recorded inside the manifest. */
  known: Known[];
  problems: Problem[];
  /** The stores that answered, each with its listing. */
  shown: Shown[];
}

const MANIFEST = '/manifest.json';

export const backupPrefix = (base: string, id: string): string => joinKey(base, 'backups', id);
export const manifestKey = (base: string, id: string): string => `${backupPrefix(base, id)}${MANIFEST}`;

/** The manifest's own words have to agree with the place where it lies: a moved or copied manifest is no backup of this target. */
function checkPlace(manifest: Manifest, base: string, id: string, what: string): void {
  const [name, kind, env] = base.split('/').reverse();
  const differs = [
    ['id', manifest.id, id],
    ['name', manifest.name, name],
    ['kind', manifest.kind, kind],
    ['env', manifest.env, env],
  ].find(([, inside, place]) => inside !== place);
  if (differs) throw new BkpError('verifyFailed', `${what} names ${differs[0]} ${differs[1]}, and lies under ${differs[2]}`);
  const own = `${backupPrefix(base, id)}/`;
  const stray = streamed(manifest)
    .flatMap(piece => piece.objects)
    .find(object => !object.key.startsWith(own));
  if (stray) throw new BkpError('verifyFailed', `${what} names the object ${stray.key}, which is not its own`);
  for (const { under, objects = [] } of heldOf(manifest)) {
    const out = objects.find(({ key }) => under === undefined || !key.startsWith(`${under}/`));
    if (out) throw new BkpError('verifyFailed', `${what} names the object ${out.key}, which is not under ${under}/`);
  }
}

/** One manifest that was read and believed, or why not. */
export type Seen = { id: string; raw: Buffer; manifest: Manifest } | Problem;

/** Manifests read at once from one store. */
const AT_ONCE = 20;

const isAsListed = (remembered: Remembered | undefined, info: ObjectInfo): remembered is Remembered =>
  remembered?.bytes === info.bytes && remembered.modified === info.modified.toISOString();

/** One manifest as it lies in a store. Throws only when the store no longer answers. */
async function look(store: Store, base: string, key: string, keys: Keys, remembered?: Remembered): Promise<Seen> {
  const what = `${key} in store ${store.name}`;
  try {
    const id = idOf(base, key)!;
    const raw = remembered ? Buffer.from(remembered.raw) : await readAll(store.get(key));
    const manifest = await decodeManifestAside(raw, keys.verifyAside, what);
    checkPlace(manifest, base, id, what);
    return { id, raw, manifest };
  } catch (error) {
    if (error instanceof BkpError && error.exit === 'storeUnreachable') throw error;
    return { store: store.name, key, error: sentence(error), ...(isLater(error) ? { later: true } : {}) };
  }
}

/** The id of the backup whose manifest lies under a key; undefined for every other key. Asked of each key of a listing. */
export const idOf = (base: string, key: string): string | undefined => {
  if (!key.endsWith(MANIFEST)) return undefined;
  const id = key.slice(key.lastIndexOf('/', key.length - MANIFEST.length - 1) + 1, -MANIFEST.length);
  return isId(id) && key === `${base}/backups/${id}${MANIFEST}` ? id : undefined;
};

async function readStore(store: Store, base: string, keys: Keys, cache?: ManifestCache): Promise<{ seen: Seen[]; shown: Shown }> {
  const sizes = new Map<string, number>();
  async function* listed(): AsyncGenerator<ObjectInfo> {
    for await (const info of store.list(`${joinKey(base, 'backups')}/`)) {
      sizes.set(info.key, info.bytes);
      if (idOf(base, info.key)) yield info;
    }
  }
  const seen = await readManifests(store, base, keys, listed(), cache);
  const read = seen.flatMap(each => ('manifest' in each ? [each.manifest] : []));
  for (const under of heldUnder(read)) for await (const info of store.list(`${under}/`)) sizes.set(info.key, info.bytes);
  return { seen, shown: { store, sizes } };
}

/**
 * Reads the manifests that a store's listing shows, signature and place checked, while more of it comes.
 * @param manifests of the listing, each with a key that `idOf` knows
 * @throws BkpError('storeUnreachable') when the store no longer answers; what the listing throws
 */
export async function readManifests(
  store: Store,
  base: string,
  keys: Keys,
  manifests: Iterable<ObjectInfo> | AsyncIterable<ObjectInfo>,
  cache?: ManifestCache,
): Promise<Seen[]> {
  const loading = cache?.load(base, store.name) ?? Promise.resolve(new Map<string, Remembered>());
  const after = new Map<string, Remembered>();
  let news = false;
  const seen = await pMap(
    manifests,
    async info => {
      const then = (await loading).get(info.key);
      const remembered = isAsListed(then, info) ? then : undefined;
      const each = await look(store, base, info.key, keys, remembered);
      if (!('raw' in each)) return each;
      after.set(info.key, remembered ?? rememberedOf(info, each.raw));
      news ||= !remembered;
      return each;
    },
    { concurrency: AT_ONCE },
  );
  if (news || after.size < (await loading).size) await cache?.save(base, store.name, after);
  return seen;
}

const rememberedOf = ({ bytes, modified }: ObjectInfo, raw: Buffer): Remembered => ({
  bytes,
  modified: modified.toISOString(),
  raw: raw.toString('utf8'),
});

/**
 * Every backup of a target that its stores show, each manifest signed by a trusted key and in its place.
 * A store that does not answer, and a manifest that is not trusted, are told in `problems`.
 * @param cache manifests that were read earlier and whose size and time the listing still shows; signatures are checked all the same
 * @throws BkpError('storeUnreachable') when no store answers
 */
export async function catalog(stores: readonly Store[], base: string, keys: Keys, cache?: ManifestCache): Promise<Catalog> {
  const found = new Map<string, { raw: Buffer; manifest: Manifest; stores: string[] }>();
  const problems: Problem[] = [];
  const shown: Shown[] = [];
  const advice: string[] = [];
  const results = await Promise.allSettled(stores.map(store => readStore(store, base, keys, cache)));
  for (const [n, result] of results.entries()) {
    const store = stores[n]!;
    if (result.status === 'rejected') {
      problems.push({ store: store.name, error: sentence(result.reason) });
      if (result.reason instanceof BkpError) advice.push(...result.reason.next);
      continue;
    }
    shown.push(result.value.shown);
    for (const seen of result.value.seen) {
      if ('manifest' in seen) place(found, store.name, seen, problems);
      else problems.push(seen);
    }
  }
  if (shown.length === 0)
    throw new BkpError('storeUnreachable', `no store of ${base} answers: ${problems.map(problem => problem.error).join('; ')}`, {
      next: [...new Set(advice)],
    });
  const known = [...found.values()].map(({ manifest, stores: holding }) => ({ manifest, stores: holding }));
  return { known: known.sort((a, b) => a.manifest.startedAt.localeCompare(b.manifest.startedAt)), problems, shown };
}

function place(
  found: Map<string, { raw: Buffer; manifest: Manifest; stores: string[] }>,
  store: string,
  seen: { id: string; raw: Buffer; manifest: Manifest },
  problems: Problem[],
): void {
  const first = found.get(seen.id);
  if (!first) found.set(seen.id, { raw: seen.raw, manifest: seen.manifest, stores: [store] });
  else if (first.raw.equals(seen.raw)) first.stores.push(store);
  else problems.push({ store, key: seen.id, error: `backup ${seen.id} has another manifest there than in ${first.stores[0]}` });
}

/** The pieces of a manifest that are streams in our stores. */
export const streamed = (manifest: Manifest): PieceRef[] => manifest.pieces.filter((piece): piece is PieceRef => 'objects' in piece);

/** What other tools hold of a backup. */
export const heldOf = (manifest: Manifest): Held[] => manifest.pieces.flatMap(piece => ('held' in piece ? [piece.held] : []));

/** Objects of a backup that other tools put into our stores, the one that makes it exist last. */
export const heldObjects = (manifest: Manifest): HeldObject[] => heldOf(manifest).flatMap(({ objects }) => objects ?? []);

/** Key prefixes under which other tools put what these backups consist of. */
export const heldUnder = (manifests: readonly Manifest[]): string[] => [
  ...new Set(manifests.flatMap(heldOf).flatMap(({ under }) => (under === undefined ? [] : [under]))),
];

/**
 * All that a store lists of a target: under its base, and in places that were there before bkp.
 * @throws BkpError('storeUnreachable') when any of it cannot be listed
 */
export async function allObjects(target: Pick<Target, 'places'>, ctx: TargetContext, store: Store): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for (const place of [ctx.base, ...(target.places?.(ctx) ?? [])]) for await (const info of store.list(`${place}/`)) found.push(info);
  return found;
}

/** Every object of a backup. */
const objectsOf = (manifest: Manifest): HeldObject[] => [...streamed(manifest).flatMap(piece => piece.objects), ...heldObjects(manifest)];

/** Bytes that a backup takes in one store; of a tool that stores each content once, what it added. */
export const storedBytes = (manifest: Manifest): number =>
  objectsOf(manifest).reduce((sum, { bytes = 0 }) => sum + bytes, manifest.addedBytes ?? 0);

/** Bytes that a restore of it reads out of one store, at most: what a tool added before is read too. */
export const fetchedBytes = (manifest: Manifest): number =>
  manifest.addedBytes === undefined ? storedBytes(manifest) : (manifest.contentBytes ?? manifest.addedBytes);

const isThere = ({ bytes }: HeldObject, seen: number | undefined): boolean => seen !== undefined && (bytes === undefined || bytes === seen);

/** Objects of a backup that a listing lacks or shows at another size; empty = whole. */
export const lacking = (manifest: Manifest, sizes: Shown['sizes']): string[] =>
  objectsOf(manifest)
    .filter(object => !isThere(object, sizes.get(object.key)))
    .map(({ key }) => key);

/**
 * What a listing lacks for the restore of a backup out of that store alone: objects of its own and of all that it builds on, and the
 * manifests of members of its chain that are not there; empty = whole.
 * @param find the manifest of an id, where that store holds it
 */
export function lackingChain(base: string, manifest: Manifest, find: (id: Id) => Manifest | undefined, sizes: Shown['sizes']): string[] {
  const { members, missing } = chainOf(manifest, find);
  return [...missing.map(id => manifestKey(base, id)), ...[...members, manifest].flatMap(each => lacking(each, sizes))];
}

/** By id, the manifests that one store holds. */
export const heldBy = (known: readonly Known[], store: string): ((id: Id) => Manifest | undefined) =>
  finder(known.filter(({ stores }) => stores.includes(store)).map(({ manifest }) => manifest));

/** Objects of a backup that a store, asked now for each, does not show at their size; empty = whole. */
export async function missingObjects(manifest: Manifest, store: Store): Promise<string[]> {
  const missing: string[] = [];
  for (const object of objectsOf(manifest)) {
    if (!isThere(object, (await store.stat(object.key))?.bytes)) missing.push(object.key);
  }
  return missing;
}
