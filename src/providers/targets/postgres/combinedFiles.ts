import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pMap from 'p-map';
import { BkpError, sentence } from '../../../core/errors.ts';

/** Files that are read at once: the bytes of some come while those of another are hashed. */
const AT_ONCE = 4;
const CHUNK = 1 << 20;

/** One file as a backup_manifest has it: a name that is no UTF-8 stands there in hexadecimal digits (PostgreSQL 13 to 18, backup_manifest.c). */
interface Entry {
  Path?: string;
  'Encoded-Path'?: string;
  'Checksum-Algorithm'?: string;
  Checksum?: string;
}

const pathOf = (entry: Entry): Buffer =>
  entry.Path === undefined ? Buffer.from(entry['Encoded-Path'] ?? '', 'hex') : Buffer.from(entry.Path);

/** What is there only for the WAL has no checksum on record: pg_verifybackup leaves all of it to pg_waldump, too. */
const isWal = ({ Path: path = '' }: Entry): boolean => path.startsWith('pg_wal/');

async function sha256Of(path: Buffer, signal: AbortSignal): Promise<string> {
  const file = await open(path);
  try {
    const hash = createHash('sha256');
    const chunk = Buffer.allocUnsafeSlow(CHUNK);
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(chunk, 0, CHUNK);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

/**
 * Reads every file that the backup_manifest of a data directory names, but for the WAL, and compares its SHA-256; whether all are there, and no others, is not asked.
 * @throws BkpError('verifyFailed') naming the first file that has another one, or of which none is recorded; the signal's reason
 */
export async function compareChecksums(dataDir: string, signal: AbortSignal): Promise<void> {
  const { Files: entries } = JSON.parse(await readFile(join(dataDir, 'backup_manifest'), 'utf8')) as { Files: Entry[] };
  await pMap(
    entries.filter(entry => !isWal(entry)),
    async entry => {
      const name = pathOf(entry);
      const fault = (why: string): BkpError => new BkpError('verifyFailed', `${name.toString()} ${why}`);
      if (entry['Checksum-Algorithm'] !== 'SHA256') throw fault('has no SHA-256 on record');
      const found = await sha256Of(Buffer.concat([Buffer.from(`${dataDir}/`), name]), signal).catch(error => {
        signal.throwIfAborted();
        throw fault(`cannot be read: ${sentence(error)}`);
      });
      if (found !== entry.Checksum) throw fault(`has SHA-256 ${found}, and ${entry.Checksum} was recorded`);
    },
    { concurrency: AT_ONCE, signal },
  );
}
