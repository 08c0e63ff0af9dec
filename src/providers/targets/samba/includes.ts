import { exists } from '../../../flow/place.ts';

/** A smb.conf that a host reads which has not all that it included on the DC. */
export interface Inlined {
  text: string;
  /** Files that are neither on this host nor in the backup. */
  lost: string[];
}

/** A line that includes a file; a path with `%` varies, and Samba passes over one that is not there. */
const INCLUDE = /^[ \t]*include[ \t]*=[ \t]*(\/[^%\n]*?)[ \t]*$/i;

/** The member of the archive that was this file: it lay in the directory of smb.conf, which the archive calls `etc`. */
export function memberOf(path: string, members: readonly string[]): string | undefined {
  const [longest] = members.filter(name => name.startsWith('etc/') && path.endsWith(name.slice(3))).sort((a, b) => b.length - a.length);
  return longest;
}

/**
 * Puts what a smb.conf includes and this host has not in its place, as far as the backup has it: Samba reads no smb.conf of which an included
 * file is missing (4.17), so no restore would come about on a new host.
 * @param members names in the archive
 * @param read the text of one of them
 * @returns undefined where all that it includes is on this host
 */
export async function inlined(
  text: string,
  members: readonly string[],
  read: (member: string) => Promise<string>,
): Promise<Inlined | undefined> {
  const lost: string[] = [];
  let changed = false;
  const lines = async (of: string, seen: readonly string[]): Promise<string[]> => {
    const all: string[] = [];
    for (const line of of.split('\n')) {
      const path = INCLUDE.exec(line)?.[1];
      if (path === undefined || (await exists(path))) {
        all.push(line);
        continue;
      }
      changed = true;
      const member = memberOf(path, members);
      if (member === undefined) lost.push(path);
      else if (!seen.includes(member)) all.push(...(await lines(await read(member), [...seen, member])));
    }
    return all;
  };
  const whole = (await lines(text, ['etc/smb.conf'])).join('\n');
  return changed ? { text: whole, lost: [...new Set(lost)] } : undefined;
}

/** Files that a smb.conf includes and no backup has, each in words. */
export const includesTold = (paths: readonly string[]): string[] =>
  paths.map(path => `smb.conf includes ${path}, which is not in the backup, since it does not lie in the directory of smb.conf`);

export const MEND_INCLUDES = 'move it into the directory of smb.conf and change the line, or back it up: bkp backup volumes, engine files';
