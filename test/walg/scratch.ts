import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];

/** An empty directory until the end of the run, below WALG_STUB_TMP where that is set: a run that is killed leaves it behind. */
export function scratch(): string {
  const dir = mkdtempSync(join(process.env['WALG_STUB_TMP'] || tmpdir(), 'wal-g-'));
  made.push(dir);
  return dir;
}

/** Removes what `scratch` made. */
export function dropScratch(): void {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
}
