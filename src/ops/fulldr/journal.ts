import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BkpError, sentence } from '../../core/errors.ts';
import { decodeJournal, encodeJournal, type Journal, type JournalStep, withStep } from '../../core/journal.ts';
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
    // What stands in the way of writing may stand in the way of removing, and is told below.
    await rm(fresh, { force: true }).catch(() => {});
    throw new BkpError('refused', `the journal ${file} cannot be written: ${sentence(error)}`, {
      next: '--journal FILE names another place',
      cause: error,
    });
  }
}

/** The journal of a run that goes on. One writer at a time: parts of a wave end side by side. */
export class Recorder {
  #journal: Journal;
  #last: Promise<unknown> = Promise.resolve();
  readonly #file: string;

  constructor(file: string, journal: Journal) {
    this.#file = file;
    this.#journal = journal;
  }

  get journal(): Journal {
    return this.#journal;
  }

  /** Changes one step. Throws BkpError('refused') when this could not be written; what could not be written before comes with it. */
  write(of: { kind: string; name: string }, change: Partial<JournalStep>): Promise<void> {
    this.#journal = withStep(this.#journal, of, change);
    const journal = this.#journal;
    const written = this.#last.then(() => writeJournal(this.#file, journal));
    this.#last = written.catch(() => {});
    return written;
  }
}

/** A finished journal is kept beside, as the record of what was done. @returns where it is now */
export async function closeJournal(file: string, { id }: Journal): Promise<string> {
  const kept = `${file.replace(/\.json$/, '')}-${id}.json`;
  await rename(file, kept);
  return kept;
}
