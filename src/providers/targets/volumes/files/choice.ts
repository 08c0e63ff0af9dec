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

/** @throws BkpError('usage' | 'refused') for what files do not have */
export function refuseUnmeant(request: RestoreRequest): void {
  if (request.owner !== undefined)
    throw new BkpError('usage', '--owner says nothing to files: each gets the owner back that it had', {
      next: 'run it as root, and `chown -R` afterwards where they are to belong to somebody else',
    });
  if (request.serve || request.tablespaces) throw new BkpError('usage', 'files are neither served nor in tablespaces');
}

/** @throws BkpError('notFound') naming the paths that there are */
export function pathsOf(manifest: Manifest, parts: readonly Part[], one: string | undefined): string[] {
  const all = parts.flatMap(({ paths }) => paths);
  if (one === undefined) return all;
  const found = all.find(path => path === one || path.endsWith(`/${one}`));
  if (found !== undefined) return [found];
  throw new BkpError('notFound', `backup ${manifest.id} has no path ${one}`, { next: `--path with one of: ${all.join(', ')}` });
}

/** A pattern that does not begin with a slash is of each path. */
export function includeOf(paths: readonly string[], all: boolean, pattern: string | undefined): string[] {
  if (pattern === undefined) return all ? [] : [...paths];
  if (pattern.startsWith('/')) return [pattern];
  return paths.map(path => join(path, pattern));
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
