import { chmod, mkdir, readdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import { BkpError, sentence } from '../../core/errors.ts';
import { CONFIG, type KitMeta, META } from '../../core/kit/types.ts';
import { type KitFiles, sha256, unpackFiles } from '../../flow/kit/archive.ts';
import { type KitKey, openKit, wantsPassphrase } from '../../flow/kit/seal.ts';
import { unnumbered } from '../../flow/kit/sheet.ts';

const MOST_BYTES = 256 << 20;

/** A kit in memory, each file as its record says. */
export interface Kit {
  meta: KitMeta;
  files: KitFiles;
}

const shape = z.looseObject({
  version: z.literal(1),
  id: z.string(),
  env: z.string(),
  madeAt: z.iso.datetime(),
  files: z.record(z.string(), z.looseObject({ bytes: z.number(), sha256: z.string() })),
});

/** Text of a kit's file, or of its sheet as it was scanned. Throws BkpError('notFound' | 'verifyFailed'). */
export async function kitText(path: string): Promise<string> {
  try {
    if ((await stat(path)).size > MOST_BYTES) throw new Error('it is too large for a kit');
    return unnumbered(await readFile(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof BkpError) throw cause;
    throw new BkpError('notFound', `the kit ${path} cannot be read: ${sentence(cause)}`, { cause });
  }
}

export { wantsPassphrase };

function recordIn(files: KitFiles): KitMeta {
  try {
    return shape.parse(JSON.parse(files.get(META)?.toString('utf8').split('\n')[0] ?? '')) as unknown as KitMeta;
  } catch (cause) {
    throw new BkpError('verifyFailed', `what was opened is no kit that this version of bkp knows: its ${META} cannot be read`, { cause });
  }
}

/**
 * Opens a kit in memory; nothing of it is written anywhere.
 * @param text of its file
 * @throws BkpError('usage') for another passphrase or identity, 'verifyFailed' for damage
 */
export async function openedKit(text: string, key: KitKey): Promise<Kit> {
  const files = unpackFiles(await openKit(text, key));
  const meta = recordIn(files);
  const listed = Object.entries(meta.files);
  const wrong = listed.find(([name, { bytes, sha256: hash }]) => files.get(name)?.length !== bytes || sha256(files.get(name)!) !== hash);
  if (wrong) throw new BkpError('verifyFailed', `${wrong[0]} in the kit is missing or not as its record says`);
  const stray = [...files.keys()].find(name => name !== META && !Object.hasOwn(meta.files, name));
  if (stray || !files.has(CONFIG))
    throw new BkpError('verifyFailed', `the kit is not as its record says: ${stray ?? `${CONFIG} is missing`}`);
  return { meta, files };
}

/** Makes the directory where it is not there, its parent has to be. @returns whether it was made. Throws BkpError('refused'). */
async function occupy(dir: string): Promise<boolean> {
  try {
    const present = await readdir(dir);
    if (present.length === 0) return false;
    throw new BkpError('refused', `${dir} is not empty (${present.slice(0, 3).join(', ')})`, {
      next: '--to with a directory that is not there yet',
    });
  } catch (error) {
    if (error instanceof BkpError) throw error;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw refused(dir, error);
  }
  await mkdir(dir, { mode: 0o700 }).catch(error => {
    throw refused(dir, error);
  });
  return true;
}

const refused = (dir: string, cause: unknown): BkpError =>
  new BkpError('refused', `${dir} cannot be unpacked into: ${sentence(cause)}`, {
    next: '--to with a directory whose parent is there',
    cause,
  });

/**
 * Unpacks a kit for whoever works with it: directories of mode 700, files of 600. What was made of it is taken away again on failure.
 * @throws BkpError('refused') for a directory that is not empty
 */
export async function unpackKit({ files }: Kit, to: string, signal: AbortSignal): Promise<string> {
  const dir = resolve(to);
  const made = await occupy(dir);
  try {
    await chmod(dir, 0o700);
    for (const [name, bytes] of files) {
      signal.throwIfAborted();
      await mkdir(dirname(join(dir, name)), { recursive: true, mode: 0o700 });
      await writeFile(join(dir, name), bytes, { mode: 0o600, flag: 'wx' });
    }
    return dir;
  } catch (error) {
    for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true, force: true });
    if (made) await rmdir(dir);
    throw error;
  }
}
