import { randomBytes } from 'node:crypto';
import { open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BkpError, sentence } from '../../core/errors.ts';

async function replace(path: string, text: string | Uint8Array, mode: number): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(temp, 'wx', mode);
    try {
      await file.chmod(mode);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } catch (error) {
    await rm(temp, { force: true }).catch(() => {});
    throw error;
  }
}

/**
 * Replaces a file as a whole, readable for everybody (mode 0644) unless told otherwise: a collector never sees half of it. It is written
 * beside its place under a name that begins with a dot and does not end in `.prom`, which node_exporter's textfile collector passes over.
 * A link goes: whoever may write in that directory would say by it what is written over. What is no file, a pipe or a device as /dev/stdout,
 * is written to: a rename would put a file in its place.
 * @param options `what` it is, for the error
 * @throws BkpError('failed') with the reason; the old file is as it was
 */
export async function writeWhole(path: string, text: string | Uint8Array, options: { mode?: number; what?: string } = {}): Promise<void> {
  const { mode = 0o644, what = 'the metrics' } = options;
  try {
    const there = await stat(path).catch(() => undefined);
    if (there === undefined || there.isFile() || there.isDirectory()) await replace(path, text, mode);
    else await writeFile(path, text);
  } catch (error) {
    throw new BkpError('failed', `${what} could not be written to ${path}: ${sentence(error)}`, { cause: error });
  }
}
