import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BkpError, sentence } from '../../core/errors.ts';

/**
 * Replaces a file as a whole, readable for everybody (mode 0644): a collector never sees half of it. It is written beside its place under
 * a name that begins with a dot and does not end in `.prom`, which node_exporter's textfile collector passes over.
 * @throws BkpError('failed') with the reason; the old file is as it was
 */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(temp, 'wx', 0o644);
    try {
      await file.chmod(0o644);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } catch (error) {
    await rm(temp, { force: true }).catch(() => {});
    throw new BkpError('failed', `the metrics could not be written to ${path}: ${sentence(error)}`, { cause: error });
  }
}
