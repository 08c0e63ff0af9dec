import { chmod, lchown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Owner } from '../private.ts';

/** WAL-G writes as whoever runs bkp, and PostgreSQL refuses files of others: everything below `dir` goes to the owner, links included. */
export async function ownAll(dir: string, owner: Owner | undefined): Promise<void> {
  await chmod(dir, 0o700);
  if (!owner) return;
  await lchown(dir, owner.uid, owner.gid);
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true }))
    await lchown(join(entry.parentPath, entry.name), owner.uid, owner.gid);
}
