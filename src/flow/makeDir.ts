import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { BkpError } from '../core/errors.ts';

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** Whether it was made just now; false where it was there. Throws the reason of the file system. */
async function make(path: string, mode: number | undefined): Promise<boolean> {
  try {
    await mkdir(path, mode === undefined ? {} : { mode });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && (await stat(path)).isDirectory()) return false;
    throw error;
  }
}

/**
 * Makes a directory and those above it that are missing, step by step. Node's own way (`recursive`) never ends below a file system that
 * takes no directories and answers ENOENT to each, such as /proc (tried on Node 20 and 24).
 * @param mode of each that is made; default: by the umask
 * @returns the topmost one that was made; undefined when all were there
 * @throws BkpError('refused') naming the one that cannot be made
 */
export async function makeDir(path: string, mode?: number): Promise<string | undefined> {
  const at = resolve(path);
  const missing: string[] = [];
  for (let each = at; ; each = dirname(each)) {
    const there = await stat(each).catch(error => (codeOf(error) === 'ENOENT' ? undefined : Promise.reject(cannot(at, each, error))));
    if (there) break;
    missing.unshift(each);
    if (each === dirname(each)) break;
  }
  let first: string | undefined;
  for (const each of missing.length > 0 ? missing : [at]) {
    const made = await make(each, mode).catch(error => Promise.reject(cannot(at, each, error)));
    if (made) first ??= each;
  }
  return first;
}

const cannot = (path: string, at: string, error: unknown): BkpError =>
  new BkpError('refused', `directory ${path} cannot be made: ${at === path ? '' : `${at}: `}${(error as Error).message}`, { cause: error });
