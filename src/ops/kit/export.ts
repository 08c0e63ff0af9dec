import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { BkpError, sentence } from '../../core/errors.ts';
import { cover } from '../../core/kit/cover.ts';
import type { KitMeta } from '../../core/kit/types.ts';
import { packFiles, sha256 } from '../../flow/kit/archive.ts';
import { type KitLock, openKit, sealKit } from '../../flow/kit/seal.ts';
import { numbered } from '../../flow/kit/sheet.ts';
import type { Gathered } from './gather.ts';

/** Shorter ones are guessed by who has the file: nothing else stands before all backups. */
const LEAST_PASSPHRASE = 16;

export interface Exported {
  file: string;
  /** Where the sheet for paper is. */
  sheet: string;
  sha256: string;
  /** Of the sealed text. */
  lines: number;
}

/**
 * Refuses what would lock the key in with itself, and what is no lock.
 * @throws BkpError('refused' | 'usage')
 */
export function checkLock(lock: KitLock, { opens, sealedFor }: Pick<KitMeta, 'opens' | 'sealedFor'>): void {
  if ('passphrase' in lock) {
    if ([...lock.passphrase].length >= LEAST_PASSPHRASE) return;
    throw new BkpError(
      'usage',
      `the passphrase is shorter than ${LEAST_PASSPHRASE} characters, and it is all that stands before every backup`,
      {
        next: 'five or six words chosen by dice make a good one',
      },
    );
  }
  // Of an identity that is itself sealed nobody can tell which recipient it has.
  const inside = opens.length > 0 ? opens : sealedFor;
  const bad = lock.recipients.find(recipient => inside.includes(recipient));
  if (bad)
    throw new BkpError('refused', `the identity of ${bad} is inside the kit: a kit that is sealed for it could never be opened`, {
      next: ['--recipient with a key that is kept elsewhere (age-keygen makes one)', 'or --passphrase'],
    });
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx', flush: true });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST')
      throw new BkpError('refused', `${path} is there already, and no kit is overwritten`, { next: '--out with another name', cause });
    await rm(path, { force: true });
    throw new BkpError('failed', `${path} cannot be written: ${sentence(cause)}`, { cause });
  }
}

/** A kit that was never opened is none; for whom else it was sealed cannot be tried here. */
async function tryOpen(path: string, packed: Buffer, lock: KitLock): Promise<void> {
  const text = await readFile(path, 'utf8');
  if ('passphrase' in lock && !(await openKit(text, lock)).equals(packed))
    throw new BkpError('verifyFailed', `${path} does not come back as it was sealed`, { next: 'make it again' });
}

/**
 * Seals a kit into a file, and makes the sheet for paper beside it.
 * @param out path of the sealed file; the sheet is `out`.txt
 * @throws BkpError('refused') where one of them is there already, or the lock is a key inside
 */
export async function exportKit(
  { meta, files }: Gathered,
  lock: KitLock,
  options: { out: string; holder?: string | undefined; maxAge: string },
): Promise<Exported> {
  checkLock(lock, meta);
  const [file, sheet] = [resolve(options.out), `${resolve(options.out)}.txt`];
  const packed = packFiles(files, new Date(meta.madeAt));
  const sealed = await sealKit(packed, lock);
  const lines = numbered(sealed);
  const hash = sha256(sealed);
  const recipients = 'recipients' in lock ? lock.recipients : [];
  await write(file, sealed);
  try {
    await tryOpen(file, packed, lock);
    await write(sheet, cover({ meta, file: basename(file), sha256: hash, recipients, lines, ...options }));
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
  return { file, sheet, sha256: hash, lines: lines.length - 1 };
}
