import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../../../flow/place.ts';
import { parseConf, pathsIn } from './conf.ts';

/** What the paths of a restored smb.conf are like (SA07). */
export interface PathsFound {
  /** Places that have to be in the restored directory and are not. */
  faults: string[];
  /** Places elsewhere that are not on this host: nothing of them is in a backup. */
  absent: string[];
  /** Of those that are right. */
  right: number;
}

/** What samba makes itself at its first start; a restore leaves it out. */
const EMPTY = ['cache', 'bind-dns'];

export const confOf = (to: string): string => join(to, 'etc/smb.conf');

/** Looks at every path that the smb.conf of a restored domain names. Makes the directories that come empty. */
export async function checkPaths(to: string): Promise<PathsFound> {
  for (const name of EMPTY) await mkdir(join(to, name), { recursive: true, mode: name === 'cache' ? 0o755 : 0o770 });
  const found: PathsFound = { faults: [], absent: [], right: 0 };
  const within = (path: string): boolean => path === to || path.startsWith(`${to}/`);
  for (const { what, path, own } of pathsIn(parseConf(await readFile(confOf(to), 'utf8')))) {
    const there = await exists(path);
    if (own && !within(path)) found.faults.push(`${what} leads to ${path}, out of ${to}`);
    else if (!there && within(path)) found.faults.push(`${what} leads to ${path}, which is missing`);
    else if (!there) found.absent.push(`${what} leads to ${path}, which is not on this host and in no backup of this kind`);
    else found.right += 1;
  }
  return found;
}
