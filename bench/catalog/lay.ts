import { existsSync, globSync, statfsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type S3Server, startVersity } from '../../test/real/rig/index.ts';
import type { Laid } from './backups.ts';

const AT_ONCE = 20;
const MEMORY = '/dev/shm';

export interface Bucket {
  server: S3Server;
  name: string;
  /** Directory whose files are the bucket's objects. */
  dir: string;
}

/** Small files take a page of memory and some more each: kept in memory where that much is free, else on disk. */
function chooseTemp(objects: number): void {
  if (process.env['TMPDIR'] || !existsSync(MEMORY)) return;
  const { bavail, bsize } = statfsSync(MEMORY);
  if (bavail * bsize > objects * 8192) process.env['TMPDIR'] = MEMORY;
}

/** A local S3 server (versitygw) with a bucket that serves the files of a directory. @param objects how many there will be */
export async function startBucket(objects: number): Promise<Bucket> {
  chooseTemp(objects);
  const server = await startVersity();
  const name = await server.bucket();
  const [dir] = globSync(join(tmpdir(), 'bkp-rig-*/data', name));
  if (!dir) throw new Error(`versitygw keeps bucket ${name} in no directory below ${tmpdir()}`);
  return { server, name, dir };
}

/**
 * Writes objects as the files that the server lists, 20 at a time: a request for each would take twenty times as long, and all would be of
 * now. @returns seconds
 */
export async function lay(dir: string, objects: Iterable<Laid>): Promise<number> {
  const began = performance.now();
  const made = new Map<string, Promise<unknown>>();
  const folder = (path: string) => {
    if (!made.has(path)) made.set(path, mkdir(path, { recursive: true }));
    return made.get(path);
  };
  const write = async ({ key, bytes, modified }: Laid): Promise<void> => {
    const path = join(dir, key);
    await folder(dirname(path));
    await writeFile(path, bytes);
    await utimes(path, modified, modified);
  };
  const rest = objects[Symbol.iterator]();
  const work = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) await write(next.value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return (performance.now() - began) / 1000;
}
