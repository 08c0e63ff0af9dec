import { join } from 'node:path';
import type { Known, Manifest, RestoreRequest, Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import type { Part } from './baseline.ts';
import type { Context } from './context.ts';
import { snapshotsIn } from './repository.ts';

export type Options = NonNullable<RestoreRequest['options']>;

/** The value of an option of this kind that takes one. */
export const text = (options: Options, name: string): string | undefined =>
  typeof options[name] === 'string' ? (options[name] as string) : undefined;

/** @throws BkpError('notFound') naming the paths that there are */
export function pathsOf(manifest: Manifest, parts: readonly Part[], one: string | undefined): string[] {
  const all = parts.flatMap(({ paths }) => paths);
  if (one === undefined) return all;
  const found = all.find(path => path === one || path.endsWith(`/${one}`));
  if (found !== undefined) return [found];
  throw new BkpError('notFound', `backup ${manifest.id} has no path ${one}`, { next: `--path with one of: ${all.join(', ')}` });
}

/** A pattern that does not begin with a slash is of each path. */
export function includeOf(paths: readonly string[], all: boolean, options: Options): string[] {
  const patterns = [options['include'] ?? []].flat() as string[];
  if (patterns.length === 0) return all ? [] : [...paths];
  return patterns.flatMap(pattern => (pattern.startsWith('/') ? [pattern] : paths.map(path => join(path, pattern))));
}

/** A store that has every part, and what they are there. */
export interface Choice {
  store: Store;
  snapshots: readonly string[];
}

/**
 * The first store that has every part.
 * @param tried names of stores that were taken before and gave it not
 * @throws BkpError, what the last one said; 'notFound' when all were tried
 */
export async function chooseStore(
  ctx: Context,
  { manifest, stores }: Known,
  wanted: readonly Part[],
  tried: readonly string[] = [],
): Promise<Choice> {
  let last: unknown;
  for (const store of ctx.stores.filter(({ name }) => stores.includes(name) && !tried.includes(name))) {
    try {
      const there = await snapshotsIn(ctx, store, manifest.id);
      const snapshots = wanted.map(
        ({ paths }) => there.find(each => [...each.paths].sort().join('\n') === [...paths].sort().join('\n'))?.id,
      );
      if (snapshots.every(id => id !== undefined)) {
        if (last) ctx.report.emit({ type: 'warning', text: `${sentence(last)}; it comes out of store ${store.name}` });
        return { store, snapshots: snapshots as string[] };
      }
      throw new BkpError(
        'verifyFailed',
        `store ${store.name} has the manifest of ${manifest.id}, and its repository not all of its snapshots`,
      );
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (last) ctx.report.emit({ type: 'warning', text: sentence(last) });
      last = error;
    }
  }
  throw last ?? new BkpError('notFound', `no other store has backup ${manifest.id}`, { next: 'bkp list volumes' });
}

/** Nothing that another store would give otherwise. */
const isAsked = (error: unknown): boolean => error instanceof BkpError && ['notFound', 'usage'].includes(error.exit);

/**
 * Takes something out of one store after the other: a repository may show a snapshot and lack a part of it.
 * @param elsewhere another store, where those that were tried did not give it; throws BkpError when there is none
 * @param use takes it out of one
 * @param clear takes away what is there of the one that failed, before the next one is taken
 * @returns what `use` did, and the store that gave it
 * @throws what the last store said; the signal's reason
 */
export async function fromAny<T>(
  ctx: Context,
  first: Choice,
  elsewhere: (tried: readonly string[]) => Promise<Choice>,
  use: (from: Choice) => Promise<T>,
  clear: () => Promise<void>,
): Promise<T & { store: Store }> {
  const tried: string[] = [];
  for (let from = first; ; ) {
    ctx.report.emit({ type: 'started', what: `restic restore out of ${from.store.name}` });
    try {
      return { ...(await use(from)), store: from.store };
    } catch (error) {
      ctx.signal.throwIfAborted();
      tried.push(from.store.name);
      const next = isAsked(error) ? undefined : await elsewhere(tried).catch(() => undefined);
      if (!next) throw error;
      ctx.report.emit({ type: 'warning', text: `${sentence(error)}; it comes out of store ${next.store.name}` });
      await clear();
      from = next;
    }
  }
}
