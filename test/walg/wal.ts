import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { wants } from './args.ts';
import { WAL } from './backup.ts';
import { gathered, readArchive } from './codec.ts';
import { fatal, log } from './log.ts';
import type { Run } from './run.ts';

/** Whether the file is archived already with this content. @throws Fatal when it is archived with another */
async function isArchived({ folder, codec }: Run, path: string): Promise<boolean> {
  const archived = await readArchive(folder, codec, WAL + basename(path));
  if (!archived) return false;
  const plain = await gathered(archived).catch(({ message }) =>
    fatal(`Couldn't check whether there is an overwrite attempt due to inner error: failed to init decrypt reader: ${message}`),
  );
  if (!plain.equals(readFileSync(path))) fatal(`WAL file '${path}' already archived, contents differ, unable to overwrite`);
  log.info(`WAL file '${path}' already archived with equal content, skipping`);
  return true;
}

/** Archives one file, over whatever is there of that name. */
export async function storeWal({ folder, codec }: Run, path: string): Promise<void> {
  await folder.put(WAL + codec.named(basename(path)), codec.seal(createReadStream(path)));
}

/** `wal-push PATH`: a segment of another content is overwritten unless WALG_PREVENT_WAL_OVERWRITE is set; a history file never is. */
export async function walPush(run: Run): Promise<void> {
  wants(run.args, 1);
  const path = run.args.rest[0]!;
  log.info('Files will be uploaded to storage: default');
  const careful = run.settings.on('WALG_PREVENT_WAL_OVERWRITE') || path.endsWith('.history');
  if (!existsSync(path)) fatal(`upload: could not open '${path}'\n: open ${path}: no such file or directory`);
  if (careful && (await isArchived(run, path))) return;
  await storeWal(run, path);
}

/** WAL-G's exit code for a file that is in no storage: EX_IOERR. Every other failure is 1, which PostgreSQL takes for the same. */
const ABSENT = 74;

/** `wal-fetch NAME DEST`: DEST must not exist. */
export async function walFetch({ args, folder, codec }: Run): Promise<void> {
  wants(args, 2);
  const [name = '', destination = ''] = args.rest;
  const file = await open(destination, 'wx').catch(({ code }) =>
    fatal(`open ${destination}: ${code === 'EEXIST' ? 'file exists' : code === 'ENOENT' ? 'no such file or directory' : code}`),
  );
  try {
    const plain = await readArchive(folder, codec, WAL + name);
    if (!plain) {
      await rm(destination, { force: true });
      fatal(`Archive '${name}' does not exist.\n`, ABSENT);
    }
    for await (const chunk of plain!) await file.write(chunk);
  } finally {
    await file.close();
  }
}
