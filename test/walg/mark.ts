import { type Args, wants } from './args.ts';
import { listBackups, readMetadata, readSentinel, writeJson } from './backup.ts';
import type { Folder } from './folder.ts';
import { fatal, log } from './log.ts';

/** A backup and those it builds on, the full one first, as far as they are not permanent yet. */
async function toMakePermanent(folder: Folder, name: string): Promise<string[]> {
  const { is_permanent } = await readMetadata(folder, name);
  const { DeltaFrom } = await readSentinel(folder, name);
  return [...(DeltaFrom ? await toMakePermanent(folder, DeltaFrom) : []), ...(is_permanent ? [] : [name])];
}

/** One backup alone, and only while no permanent delta was made right from it. */
async function toMakeImpermanent(folder: Folder, name: string): Promise<string[]> {
  for (const { backup_name } of await listBackups(folder)) {
    const { DeltaFrom } = await readSentinel(folder, backup_name);
    if (DeltaFrom === name && (await readMetadata(folder, backup_name)).is_permanent)
      fatal(
        `Failed to get previous backups: Can't mark backup '${name}' as impermanent. There is permanent increment backup that depends on this backup.`,
      );
  }
  return (await readMetadata(folder, name)).is_permanent ? [name] : [];
}

/** Marks a backup, and for permanence those before it: metadata.json is rewritten, the sentinel stays as it was. @throws Fatal */
export async function mark(folder: Folder, name: string, permanent: boolean): Promise<void> {
  log.info(`Retrieving previous related backups to be marked: toPermanent=${permanent}`);
  const { is_permanent } = await readMetadata(folder, name);
  if (is_permanent === permanent)
    log.warning(`Backup ${name} is already marked as ${permanent ? 'permanent' : 'impermanent'}, ignoring...`);
  const names = await (permanent ? toMakePermanent : toMakeImpermanent)(folder, name);
  log.info(`Retrieved backups to be marked, marking: [${names.join(' ')}]`);
  for (const one of names)
    await writeJson(folder, one, '/metadata.json', { ...(await readMetadata(folder, one)), is_permanent: permanent });
}

/** `backup-mark NAME [-i]` */
export async function backupMark(folder: Folder, args: Args): Promise<void> {
  wants(args, 1);
  await mark(folder, args.rest[0]!, !args.has('impermanent'));
}
