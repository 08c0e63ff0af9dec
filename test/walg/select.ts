import { isDeepStrictEqual } from 'node:util';
import { type Args, userData } from './args.ts';
import { latest, listBackups, readMetadata } from './backup.ts';
import type { Folder } from './folder.ts';
import { fatal, log } from './log.ts';

async function byUserData(folder: Folder, wanted: unknown): Promise<string | undefined> {
  const found: string[] = [];
  for (const { backup_name } of await listBackups(folder)) {
    const { user_data } = await readMetadata(folder, backup_name);
    if (isDeepStrictEqual(user_data, wanted)) found.push(backup_name);
  }
  if (found.length > 1) fatal(`too many backups (${found.length}) found with specified user data: ${found.join(' ')}`);
  return found[0];
}

async function byName(folder: Folder, name: string): Promise<string> {
  const names = (await listBackups(folder)).map(({ backup_name }) => backup_name);
  return names.includes(name) ? name : fatal(`Backup '${name}' does not exist.`);
}

/**
 * The backup that a command is about: a name, LATEST, or `--target-user-data JSON`. Undefined when nothing fits LATEST or the user data.
 * @throws Fatal for a name that is not there, and for arguments that name none or two
 */
export async function selected(folder: Folder, args: Args, name: string | undefined): Promise<string | undefined> {
  const data = args.value('target-user-data');
  if (name && data) fatal('incorrect arguments. Specify target backup name OR target userdata, not both');
  if (data) {
    log.info('Selecting the backup with the specified user data...');
    return byUserData(folder, userData(data));
  }
  if (!name) return fatal('insufficient arguments');
  log.info(name === 'LATEST' ? 'Selecting the latest backup...' : `Selecting the backup with name ${name}...`);
  return name === 'LATEST' ? latest(folder) : byName(folder, name);
}

/** The base of a delta: `--delta-from-name`, `--delta-from-user-data` or the latest. */
export async function deltaBase(folder: Folder, args: Args): Promise<string | undefined> {
  const [name, data] = [args.value('delta-from-name'), args.value('delta-from-user-data')];
  if (name && data) fatal('only one delta target should be specified');
  if (name) log.info(`Selecting the backup with name ${name} as the base for the current delta backup...`);
  if (data) log.info('Selecting the backup with specified user data as the base for the current delta backup...');
  return name ? byName(folder, name) : data ? byUserData(folder, userData(data)) : latest(folder);
}
