import type { Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BkpError } from '../../../../core/errors.ts';
import { pasted } from '../../../../core/shell.ts';
import { type Context, who } from './context.ts';

/** A directory that is backed up, as it was found. */
export interface Place {
  path: string;
  /** Something is mounted on it. */
  mount: boolean;
  uid: number;
  gid: number;
  mode: number;
  /** There is nothing in it but directories; absent where that was not looked at. */
  empty?: boolean;
}

/** Whether a directory is on another file system than the one above it; the root is. */
export async function isMountPoint(path: string): Promise<boolean> {
  const [here, above] = await Promise.all([stat(path), stat(dirname(path))]);
  return here.dev !== above.dev || here.ino === above.ino;
}

async function directory(ctx: Context, path: string): Promise<Stats> {
  const found = await lstat(path).catch(error => {
    throw new BkpError('refused', `${who(ctx)}: ${path} cannot be looked at: ${error.message}`, {
      next: 'is its volume mounted? `paths:` in the entry names what is backed up',
      cause: error,
    });
  });
  if (found.isDirectory()) return found;
  throw new BkpError(
    'refused',
    `${who(ctx)}: ${path} is no directory${found.isSymbolicLink() ? ', it is a link: restic would store the link alone' : ''}`,
    {
      next: '`paths:` in the entry names the directories themselves',
    },
  );
}

/** Whether a directory holds nothing but directories; undefined where it cannot be looked through. */
async function isEmpty(ctx: Context, path: string): Promise<boolean | undefined> {
  const within = ctx.config.oneFileSystem ? ['-xdev'] : [];
  try {
    const { stdout } = await ctx.run.text(
      { file: 'find', args: [path, ...within, '!', '-type', 'd', '-printf', 'x', '-quit'] },
      { signal: ctx.signal },
    );
    return stdout === '';
  } catch {
    ctx.signal.throwIfAborted();
    return undefined;
  }
}

/**
 * Which directories held something and hold nothing now: beside a large one, whose size is what it was, a small one is missed by nobody.
 * @param before as they were in the last good backup
 * @returns a sentence; undefined when all is well
 */
export function emptiedOf(places: readonly Place[], before: readonly Place[]): string | undefined {
  const gone = places.filter(({ path, empty }) => empty && before.some(place => place.path === path && place.empty === false));
  return gone.length > 0
    ? `there is no file in ${gone.map(({ path }) => path).join(', ')}, and there were some in the backup before`
    : undefined;
}

async function refuseUnmarked(ctx: Context, path: string): Promise<void> {
  const { marker } = ctx.config;
  if (marker === undefined || (await stat(join(path, marker)).catch(() => undefined))) return;
  throw new BkpError('refused', `${who(ctx)}: ${path} has no ${marker}, so it is not the volume that it should be`, {
    next: `mount the volume; where it is the right one: touch ${pasted(join(path, marker))}`,
  });
}

function refuseUnmounted(ctx: Context, { path, mount }: Place, before: readonly Place[]): void {
  const was = before.find(place => place.path === path)?.mount;
  const { mountPoint } = ctx.config;
  if (mount || mountPoint === false || !(mountPoint ?? was)) return;
  const why = mountPoint ? '' : ', and in the backup before it was one';
  throw new BkpError('refused', `${who(ctx)}: ${path} is no mount point${why}: its volume is not mounted`, {
    next: ['mount it', '`mountPoint: false` in the entry, where it is right so'],
  });
}

/**
 * Looks at the directories of an entry: an empty directory where a volume should be mounted looks like a good one.
 * @param before as they were in the last backup
 * @throws BkpError('refused')
 */
export async function checkedPlaces(ctx: Context, paths: readonly string[], before: readonly Place[] = []): Promise<Place[]> {
  const places: Place[] = [];
  for (const path of paths) {
    const { uid, gid, mode } = await directory(ctx, path);
    const empty = await isEmpty(ctx, path);
    const place = { path, mount: await isMountPoint(path), uid, gid, mode: mode & 0o7777, ...(empty === undefined ? {} : { empty }) };
    refuseUnmounted(ctx, place, before);
    await refuseUnmarked(ctx, path);
    places.push(place);
  }
  return places;
}
