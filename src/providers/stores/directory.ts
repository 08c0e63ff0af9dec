import { createHash, randomBytes } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { access, type FileHandle, link, lstat, open, readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import pMap from 'p-map';
import * as z from 'zod';
import { absolute } from '../../core/config/fields.ts';
import type { Access, Bytes, ObjectInfo, PerItem, Powers, PutOptions, Store, Upload } from '../../core/contracts.ts';
import { BkpError, hasNoRoom } from '../../core/errors.ts';
import { checkKey } from '../../core/key.ts';
import { pasted } from '../../core/shell.ts';
import { makeBelow } from '../../flow/folders.ts';

const BLOCK = 16 * 1024 * 1024;
const CHUNK = 1024 * 1024;
const TEMP = '.tmp-';
/** Directories that a listing reads before it comes to them, and files of one that it looks at at once. */
const AHEAD = 16;

/** A directory on a disk of this machine or a mounted share. */
export const directoryConfig = z.strictObject({
  type: z.literal('directory'),
  path: absolute.describe('absolute path; it has to exist, so that an unmounted disk is noticed'),
});

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException)?.code;

const FULL = 'the disk of the store is full: make room, or let go what retention no longer keeps (bkp prune --confirm)';

const isGone = (error: unknown): boolean => codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';

const isTemp = (key: string): boolean => basename(key).startsWith(TEMP);

class DirectoryStore implements Store {
  readonly name: string;
  readonly blockBytes = BLOCK;
  readonly place: string;
  readonly #root: string;

  constructor(name: string, root: string) {
    this.name = name;
    this.#root = root;
    this.place = root;
  }

  access = (): Access => ({ kind: 'directory', path: this.#root });

  async powers(): Promise<Powers> {
    return { conditionalPut: true, versions: false, locks: false };
  }

  async open(key: string, options: PutOptions = {}): Promise<Upload> {
    const path = this.#path(key);
    await this.#reach();
    const [temp, file] = await this.#asking(key, () => this.#temporary(path, key));
    return new FileUpload(this, key, path, temp, file, options.ifAbsent ?? false);
  }

  async *get(key: string, range: { from: number; to?: number } = { from: 0 }): Bytes {
    const path = this.#path(key);
    await this.#inside(path, key).catch(error => this.#absent(key, error));
    const file = await this.#asking(key, () => open(path, constants.O_RDONLY | constants.O_NOFOLLOW)).catch(error =>
      this.#absent(key, error),
    );
    try {
      const end = Math.min(range.to ?? Number.POSITIVE_INFINITY, (await file.stat()).size);
      for (let at = range.from; at < end; ) {
        const { bytesRead, buffer } = await this.#asking(key, () =>
          file.read(Buffer.allocUnsafe(Math.min(CHUNK, end - at)), 0, undefined, at),
        );
        if (bytesRead === 0)
          throw new BkpError('verifyFailed', `object ${key} in store ${this.name} ended at byte ${at} while it was read`);
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
    } finally {
      await file.close();
    }
  }

  async stat(key: string): Promise<ObjectInfo | undefined> {
    const path = this.#path(key);
    await this.#reach();
    try {
      await this.#inside(path, key);
      const { size, mtime } = await lstat(path);
      return { key, bytes: size, modified: mtime };
    } catch (error) {
      if (isGone(error)) return undefined;
      if (error instanceof BkpError) throw error;
      throw this.#unreachable(error, key);
    }
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    await this.#reach();
    for await (const info of this.#walk(this.#start(prefix), prefix)) if (!isTemp(info.key)) yield info;
  }

  async remove(keys: readonly string[]): Promise<PerItem[]> {
    await this.#reach();
    const results: PerItem[] = [];
    for (const key of keys) results.push(await this.#remove(key));
    return results;
  }

  /** A killed upload leaves its temporary file. A file that is still written to has a young `modified`. */
  async sweep(prefix: string, before: Date): Promise<PerItem[]> {
    await this.#reach();
    const stale: string[] = [];
    for await (const { key, modified } of this.#walk(this.#start(prefix), prefix)) if (isTemp(key) && modified < before) stale.push(key);
    const results: PerItem[] = [];
    for (const key of stale) results.push(await this.#remove(key, join(this.#root, key)));
    return results;
  }

  /** Publishes a finished temporary file. Called by its upload. */
  async publish(temp: string, path: string, key: string, ifAbsent: boolean): Promise<ObjectInfo> {
    try {
      if (ifAbsent) {
        await link(temp, path);
        await rm(temp);
      } else await rename(temp, path);
      await syncDirectory(dirname(path));
    } catch (error) {
      if (codeOf(error) === 'EEXIST')
        throw new BkpError('conflict', `store ${this.name} has an object ${key} already, and it is never overwritten`, { cause: error });
      throw this.#unreachable(error, key);
    }
    const seen = await this.stat(key);
    if (!seen) throw new BkpError('storeUnreachable', `store ${this.name} does not show ${key} after it was written`);
    return seen;
  }

  #path(key: string): string {
    return join(this.#root, checkKey(key));
  }

  /** Others that remove their last object take its folders with them, so it may need a second try. */
  async #temporary(path: string, key: string, tries = 5): Promise<[temp: string, file: FileHandle]> {
    const temp = join(dirname(path), `${TEMP}${randomBytes(8).toString('hex')}`);
    try {
      await makeBelow(this.#root, dirname(path));
      await this.#inside(path, key);
      return [temp, await open(temp, 'wx', 0o600)];
    } catch (error) {
      if (!isGone(error)) throw error;
      await this.#reach();
      if (tries === 1) throw this.#unreachable(error, key);
      return this.#temporary(path, key, tries - 1);
    }
  }

  /** A link inside the root must not lead reads, writes or deletions out of it. */
  async #inside(path: string, key: string): Promise<void> {
    const [root, parent] = await Promise.all([realpath(this.#root), realpath(dirname(path))]);
    if (parent !== root && !parent.startsWith(`${root}/`))
      throw new BkpError('refused', `object ${key} in store ${this.name} lies behind a link that leads out of ${this.#root}`);
  }

  async #reach(): Promise<void> {
    await access(this.#root, constants.R_OK | constants.X_OK).catch(error => {
      throw this.#unreachable(error);
    });
  }

  #unreachable(error: unknown, key?: string): BkpError {
    const why = codeOf(error) === 'ENOENT' ? 'is not there (is the disk mounted?)' : `does not answer: ${(error as Error).message}`;
    return new BkpError('storeUnreachable', `store ${this.name} (${this.#root})${key ? `, object ${key},` : ''} ${why}`, {
      next: hasNoRoom(error) ? FULL : `mkdir -p ${pasted(this.#root)}   # if it is new`,
      cause: error,
      full: hasNoRoom(error),
    });
  }

  async #asking<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof BkpError || isGone(error)) throw error;
      throw this.#unreachable(error, key);
    }
  }

  async #absent(key: string, error: unknown): Promise<never> {
    if (!isGone(error)) throw error;
    await this.#reach();
    throw new BkpError('notFound', `store ${this.name} has no object ${key}`, { cause: error });
  }

  /** The deepest directory that can hold keys of a prefix. */
  #start(prefix: string): string {
    const cut = prefix.lastIndexOf('/');
    return cut < 0 ? this.#root : join(this.#root, checkKey(prefix.slice(0, cut)));
  }

  /** Every file, temporary ones too, in key order. */
  async *#walk(dir: string, prefix: string, looking = this.#look(dir, prefix)): AsyncGenerator<ObjectInfo> {
    const all = await looking;
    const dirs = all.filter(each => typeof each === 'string').reverse();
    const ahead: (typeof looking)[] = [];
    for (const each of all) {
      while (ahead.length < AHEAD && dirs.length > 0) {
        const next = this.#look(dirs.pop()!, prefix);
        next.catch(() => {});
        ahead.push(next);
      }
      if (typeof each === 'string') yield* this.#walk(each, prefix, ahead.shift());
      else yield each;
    }
  }

  /** What lies in a directory and can have keys of a prefix, in key order: files as objects, directories by their paths. */
  async #look(dir: string, prefix: string): Promise<(ObjectInfo | string)[]> {
    const at = relative(this.#root, dir);
    const above = at === '' ? '' : `${at}/`;
    const entries = (await this.#entries(dir)).filter(entry => {
      const key = above + entry.name;
      return entry.isDirectory() ? key.startsWith(prefix) || prefix.startsWith(`${key}/`) : entry.isFile() && key.startsWith(prefix);
    });
    const seen = await pMap(entries, async entry => (entry.isFile() ? this.#seen(dir, above, entry.name) : join(dir, entry.name)), {
      concurrency: AHEAD,
    });
    return seen.filter(each => each !== undefined);
  }

  /** Undefined when it went away meanwhile. */
  async #seen(dir: string, above: string, name: string): Promise<ObjectInfo | undefined> {
    const key = above + name;
    try {
      const { size, mtime } = await stat(join(dir, name));
      return { key, bytes: size, modified: mtime };
    } catch (error) {
      if (isGone(error)) return undefined;
      throw this.#unreachable(error, key);
    }
  }

  /** In key order: a directory sorts as its name with a slash behind. */
  async #entries(dir: string): Promise<Dirent[]> {
    const sortKey = (entry: Dirent) => (entry.isDirectory() ? `${entry.name}/` : entry.name);
    try {
      return (await readdir(dir, { withFileTypes: true })).sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
    } catch (error) {
      if (isGone(error)) return [];
      throw this.#unreachable(error);
    }
  }

  async #remove(key: string, file?: string): Promise<PerItem> {
    try {
      const path = file ?? this.#path(key);
      await this.#inside(path, key);
      await rm(path, { force: true });
      await this.#prune(dirname(path));
      return { key, ok: true };
    } catch (error) {
      if (isGone(error)) return { key, ok: true };
      return { key, ok: false, reason: (error as Error).message };
    }
  }

  /** Removes directories that became empty, never the root. */
  async #prune(dir: string): Promise<void> {
    for (let at = dir; at.length > this.#root.length; at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        return;
      }
    }
  }
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

class FileUpload implements Upload {
  readonly #store: DirectoryStore;
  readonly #key: string;
  readonly #path: string;
  readonly #temp: string;
  readonly #file: FileHandle;
  readonly #ifAbsent: boolean;
  #bytes = 0;
  #open = true;

  constructor(store: DirectoryStore, key: string, path: string, temp: string, file: FileHandle, ifAbsent: boolean) {
    this.#store = store;
    this.#key = key;
    this.#path = path;
    this.#temp = temp;
    this.#file = file;
    this.#ifAbsent = ifAbsent;
  }

  async block(n: number, bytes: Buffer, sha256: string): Promise<void> {
    if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
      throw new BkpError(
        'verifyFailed',
        `block ${n} of ${this.#key} does not have the SHA-256 that was announced to store ${this.#store.name}`,
      );
    }
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, n * BLOCK + at).catch(error => {
        throw new BkpError('storeUnreachable', `store ${this.#store.name} could not write ${this.#key}: ${error.message}`, {
          next: hasNoRoom(error) ? FULL : [],
          cause: error,
          full: hasNoRoom(error),
        });
      });
      at += bytesWritten;
    }
    this.#bytes += bytes.length;
  }

  async commit(): Promise<ObjectInfo> {
    const { size } = await this.#file.stat();
    if (size !== this.#bytes)
      throw new BkpError(
        'storeUnreachable',
        `store ${this.#store.name} has ${size} bytes of ${this.#key}, and ${this.#bytes} were written`,
      );
    await this.#file.sync();
    await this.#close();
    return this.#store.publish(this.#temp, this.#path, this.#key, this.#ifAbsent);
  }

  async abort(): Promise<void> {
    await this.#close().catch(() => {});
    await rm(this.#temp, { force: true }).catch(() => {});
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }
}

/** A store in a directory: the embedded default. */
export const openDirectory = (name: string, config: z.infer<typeof directoryConfig>): Store => new DirectoryStore(name, config.path);
