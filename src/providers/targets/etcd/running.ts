import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Inodes on which somebody holds a lock (proc(5), /proc/locks), as decimal text. */
const locked = async (): Promise<Set<string>> => {
  const text = await readFile('/proc/locks', 'utf8').catch(() => '');
  return new Set([...text.matchAll(/ [0-9a-f]+:[0-9a-f]+:(\d+) /g)].map(match => match[1]!));
};

/** Whether a running etcd has its database in a directory: etcd keeps it locked as long as it lives. */
export async function isRunning(dir: string): Promise<boolean> {
  const inode = await stat(join(dir, 'member/snap/db')).then(
    ({ ino }) => String(ino),
    () => undefined,
  );
  return inode !== undefined && (await locked()).has(inode);
}
