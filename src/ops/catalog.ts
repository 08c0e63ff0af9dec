import type { Keys, Known, Manifest, PieceRef, Store } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { isId } from '../core/id.ts';
import { joinKey } from '../core/key.ts';
import { decodeManifest } from '../core/manifest.ts';
import { readAll } from '../flow/bytes.ts';

/** Something in a store that keeps a backup from counting. */
export interface Problem {
  store: string;
  key?: string;
  error: string;
}

export interface Catalog {
  /** Oldest first, by the start recorded inside the manifest. */
  known: Known[];
  problems: Problem[];
}

export const backupPrefix = (base: string, id: string): string => joinKey(base, 'backups', id);
export const manifestKey = (base: string, id: string): string => `${backupPrefix(base, id)}/manifest.json`;

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
  const stray = streamed(manifest)
    .flatMap(piece => piece.objects)
    .find(object => !object.key.startsWith(`${backupPrefix(base, id)}/`));
  if (stray) throw new BkpError('verifyFailed', `${what} names the object ${stray.key}, which is not its own`);
}

async function* manifestsIn(
  store: Store,
  base: string,
  keys: Keys,
): AsyncGenerator<{ id: string; raw: Buffer; manifest: Manifest } | Problem> {
  for await (const { key } of store.list(`${joinKey(base, 'backups')}/`)) {
    const id = /\/([^/]+)\/manifest\.json$/.exec(key)?.[1];
    if (!id || !isId(id) || key !== manifestKey(base, id)) continue;
    try {
      const raw = await readAll(store.get(key));
      const what = `${key} in store ${store.name}`;
      const manifest = decodeManifest(raw, keys.verify, what);
      checkPlace(manifest, base, id, what);
      yield { id, raw, manifest };
    } catch (error) {
      if (error instanceof BkpError && error.exit === 'storeUnreachable') throw error;
      yield { store: store.name, key, error: sentence(error) };
    }
  }
}

/**
 * Every backup of a target that its stores show, each manifest signed by a trusted key and in its place.
 * A store that does not answer, and a manifest that is not trusted, are told in `problems`.
 * @throws BkpError('storeUnreachable') when no store answers
 */
export async function catalog(stores: readonly Store[], base: string, keys: Keys): Promise<Catalog> {
  const found = new Map<string, { raw: Buffer; manifest: Manifest; stores: string[] }>();
  const problems: Problem[] = [];
  let silent = 0;
  for (const store of stores) {
    try {
      for await (const seen of manifestsIn(store, base, keys)) {
        if (!('manifest' in seen)) problems.push(seen);
        else place(found, store.name, seen, problems);
      }
    } catch (error) {
      silent += 1;
      problems.push({ store: store.name, error: sentence(error) });
    }
  }
  if (silent === stores.length)
    throw new BkpError('storeUnreachable', `no store of ${base} answers: ${problems.map(problem => problem.error).join('; ')}`);
  const known = [...found.values()].map(({ manifest, stores: holding }) => ({ manifest, stores: holding }));
  return { known: known.sort((a, b) => a.manifest.startedAt.localeCompare(b.manifest.startedAt)), problems };
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

/** Bytes that a backup takes in one store. */
export const storedBytes = (manifest: Manifest): number => streamed(manifest).reduce((sum, piece) => sum + piece.stored.bytes, 0);

/** Objects of a backup that a store does not show at their size; empty = whole. */
export async function missingObjects(manifest: Manifest, store: Store): Promise<string[]> {
  const missing: string[] = [];
  for (const object of streamed(manifest).flatMap(piece => piece.objects)) {
    if ((await store.stat(object.key))?.bytes !== object.bytes) missing.push(object.key);
  }
  return missing;
}
