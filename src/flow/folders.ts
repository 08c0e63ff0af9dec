import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/**
 * Makes a directory below `root` and those between, each closed to others (0700); `root` itself is never made: a disk that was
 * unmounted a moment ago must not be written beside. In: two absolute paths, `dir` below or at `root`.
 * @throws the system's error: ENOENT when `root` is gone
 */
export async function makeBelow(root: string, dir: string): Promise<void> {
  let at = root;
  for (const name of relative(root, dir).split('/').filter(Boolean)) {
    at = join(at, name);
    await mkdir(at, { mode: 0o700 }).catch(error => (error.code === 'EEXIST' ? undefined : Promise.reject(error)));
  }
}
