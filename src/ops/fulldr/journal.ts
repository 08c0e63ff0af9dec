import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BkpError, sentence } from '../../core/errors.ts';
import { decodeJournal, encodeJournal, type Journal } from '../../core/journal.ts';
import { makeDir } from '../../flow/makeDir.ts';

/** The journal of an unfinished run; undefined when there is none. Throws BkpError('refused') for a damaged one. */
export async function readJournal(file: string): Promise<Journal | undefined> {
  try {
    return decodeJournal(await readFile(file, 'utf8'), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a journal whole and on disk, or not at all. Throws BkpError('refused') when the place cannot be written. */
export async function writeJournal(file: string, journal: Journal): Promise<void> {
  const fresh = `${file}.new`;
  try {
    await makeDir(dirname(file), 0o700);
    const handle = await open(fresh, 'w', 0o600);
    try {
      await handle.writeFile(encodeJournal(journal));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    throw new BkpError('refused', `the journal ${file} cannot be written: ${sentence(error)}`, {
      next: '--journal FILE names another place',
      cause: error,
    });
  }
}

/** A finished journal is kept beside, as the record of what was done. @returns where it is now */
export async function closeJournal(file: string, { id }: Journal): Promise<string> {
  const kept = `${file.replace(/\.json$/, '')}-${id}.json`;
  await rename(file, kept);
  return kept;
}
