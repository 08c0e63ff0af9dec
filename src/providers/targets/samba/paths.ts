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

/**
 * Directories that no archive holds when they are empty, with their modes. Without `private/tls`, into which a DC that never ran has not
 * put anything, LDAP does not start and samba ends with it: it makes its certificate there, but not the directory (4.17).
 */
const EMPTY: readonly (readonly [string, number])[] = [
  ['cache', 0o755],
  ['bind-dns', 0o770],
  ['private/tls', 0o700],
];

export const confOf = (to: string): string => join(to, 'etc/smb.conf');

/** Looks at every path that the smb.conf of a restored domain names. Makes the directories that come empty. */
export async function checkPaths(to: string): Promise<PathsFound> {
  for (const [name, mode] of EMPTY) await mkdir(join(to, name), { recursive: true, mode });
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
