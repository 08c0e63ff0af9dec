import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverAccount } from './account.ts';
import { guarded } from './guard.ts';

const made = new Set<string>();

/**
 * A fresh empty directory that everybody may enter, so that a server under another account can work below it.
 * Removed by `cleanUp`, or by the guard when this process ends first.
 * @param options `forServer`: owned by the account that servers run as
 */
export function tempDir(options: { forServer?: boolean } = {}): string {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-rig-'));
  chmodSync(dir, 0o755);
  const account = serverAccount();
  if (options.forServer && account) chownSync(dir, account.uid, account.gid);
  made.add(dir);
  guarded.addDir(dir);
  return dir;
}

/** Removes one directory of `tempDir` now. */
export function removeTemp(dir: string): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  made.delete(dir);
  guarded.dropDir(dir);
}

/** Removes every directory of `tempDir`. */
export function removeAllTemp(): void {
  for (const dir of made) removeTemp(dir);
}
