import { copyFile, link, mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { type Owner, own, ownAll } from '../../../flow/place.ts';
import type { Baseline } from './baseline.ts';
import { reading } from './dump.ts';
import type { Rdb, RdbReader } from './rdb/reader.ts';

/** Names of the files in a data directory. */
export interface Names {
  dump: string;
  /** Directory of the AOF's parts, from Redis 7.0 on. */
  aofDir: string;
  aof: string;
}

const plain = (name: string | undefined, otherwise: string): string =>
  name !== undefined && /^[^/\0\n"\\]+$/.test(name) && !/^\.\.?$/.test(name) ? name : otherwise;

/** The names that the source used, where they were recorded and are names; else those that every server has unless told otherwise. */
export const namesOf = (baseline: Baseline | undefined): Names => ({
  dump: plain(baseline?.aof?.dbfilename, 'dump.rdb'),
  aofDir: plain(baseline?.aof?.appenddirname, 'appendonlydir'),
  aof: plain(baseline?.aof?.appendfilename, 'appendonly.aof'),
});

function refuseWrite(path: string, cause: Error): never {
  throw new BkpError('failed', `${path} cannot be written: ${cause.message}`, { next: 'free some space there', cause });
}

/**
 * Writes a dump while it is read and checked; the file has its name only when it is whole.
 * @throws BkpError('failed') when it is no whole dump; what the source throws
 */
export async function writeDump(source: Bytes, path: string, reader: RdbReader): Promise<Rdb> {
  const part = `${path}.part`;
  const file = await open(part, 'wx', 0o600);
  try {
    for await (const chunk of reading(source, reader)) await file.writeFile(chunk).catch(cause => refuseWrite(part, cause));
    await file.sync().catch(cause => refuseWrite(part, cause));
  } finally {
    await file.close();
  }
  const rdb = reader.end();
  await rename(part, path);
  return rdb;
}

/** A second name for the dump where the file system has such: servers replace these files and never write into them. */
async function second(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}

/**
 * Lays the dump out for either way of starting: a server with `appendonly no` loads the dump by its name and looks at nothing else, one
 * with `appendonly yes` loads the AOF and starts empty, silently, where there is none. So the dump is also the base of an AOF.
 * @param major of the source: before 7 an AOF is one file, which may begin with a dump and is appended to
 */
export async function layOut(dir: string, names: Names, major: number, owner: Owner | undefined): Promise<void> {
  const dump = join(dir, names.dump);
  if (major < 7) {
    await copyFile(dump, join(dir, names.aof));
    await own(join(dir, names.aof), owner);
  } else {
    const base = `${names.aof}.1.base.rdb`;
    const word = /\s/.test(base) ? `"${base}"` : base;
    await mkdir(join(dir, names.aofDir), { mode: 0o700 });
    await second(dump, join(dir, names.aofDir, base));
    await writeFile(join(dir, names.aofDir, `${names.aof}.manifest`), `file ${word} seq 1 type b\n`, { mode: 0o600 });
    await ownAll(join(dir, names.aofDir), owner);
  }
  await own(dump, owner);
  await synced(dir);
}

/** Names are on the disk only once their directory is. */
async function synced(dir: string): Promise<void> {
  const handle = await open(dir, 'r').catch(cause => {
    throw new BkpError('failed', `${dir} cannot be opened: ${cause.message}`, { cause });
  });
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
