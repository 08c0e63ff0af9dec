import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BkpError, sentence } from '../../core/errors.ts';

/**
 * Replaces a file as a whole, readable for everybody (mode 0644) unless told otherwise: a collector never sees half of it. It is written
 * beside its place under a name that begins with a dot and does not end in `.prom`, which node_exporter's textfile collector passes over.
 * @param options `what` it is, for the error
 * @throws BkpError('failed') with the reason; the old file is as it was
 */
export async function writeWhole(path: string, text: string | Uint8Array, options: { mode?: number; what?: string } = {}): Promise<void> {
  const { mode = 0o644, what = 'the metrics' } = options;
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
    throw new BkpError('failed', `${what} could not be written to ${path}: ${sentence(error)}`, { cause: error });
  }
}
