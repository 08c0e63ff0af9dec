import type { Readable } from 'node:stream';
import { slowly } from './faults.ts';
import { openFiles } from './files.ts';
import { fatal } from './log.ts';
import { openS3 } from './s3.ts';
import type { Settings } from './settings.ts';

export interface Stored {
  /** Relative to the prefix. */
  name: string;
  time: Date;
  /** Bytes. */
  size: number;
  /** Where the bucket keeps versions: then a name may come more than once. */
  version?: string;
}

/** Where WAL-G keeps things: the part of a bucket, or of a disk, below a prefix. */
export interface Folder {
  /** For messages. */
  readonly path: string;
  /** Objects below `under`, which ends in `/` or is empty. `hidden`: deleted and older versions as well. */
  list(under: string, options?: { hidden?: boolean }): Promise<Stored[]>;
  /** The bytes of an object, or undefined when there is none of that name. */
  get(name: string): Promise<Readable | undefined>;
  /** Stores an object and returns how many bytes it has. */
  put(name: string, body: AsyncIterable<Uint8Array>): Promise<number>;
  remove(objects: readonly Stored[]): Promise<void>;
  /** Begins an upload in parts, sends one, and leaves it at that. */
  abandon(name: string): Promise<void>;
}

const PREFIXES = ['WALG_S3_PREFIX', 'WALG_FILE_PREFIX', 'WALE_S3_PREFIX'];

/** @throws Fatal when no storage is configured */
export function openFolder(settings: Settings): Folder {
  const s3 = settings.get('WALG_S3_PREFIX') ?? settings.get('WALE_S3_PREFIX');
  if (s3) return slow(openS3(s3, settings));
  const files = settings.get('WALG_FILE_PREFIX');
  if (files) return slow(openFiles(files));
  return fatal(PREFIXES.some(name => settings.get(name)) ? 'No storage is configured now' : 'Failed to find any configured storage');
}

const slow = (folder: Folder): Folder => ({
  ...folder,
  get: async name => slowly().then(() => folder.get(name)),
  put: async (name, body) => slowly().then(() => folder.put(name, body)),
});

/** The text of an object. @throws Fatal, worded as WAL-G's */
export async function textOf(folder: Folder, name: string): Promise<string> {
  const body = await folder.get(name);
  if (!body) return fatal(`object '${folder.path}${name}' not found in storage`);
  return Buffer.concat(await body.toArray()).toString('utf8');
}

/** Stores a text. */
export const putText = (folder: Folder, name: string, text: string): Promise<number> => folder.put(name, bytesOf(text));

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
