import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';

const NAME = /^bkp-([0-9a-f]{8})-(\d+)-(\d+)-\w{6}$/;

/** When a process was started, in ticks since the boot (field 22 of proc_pid_stat(5)); undefined when it is gone. */
async function startOf(pid: number | 'self'): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** Where numbers of processes mean the same ones: one boot of one kernel, one namespace. Undefined where there is no /proc. */
async function hereOf(): Promise<string | undefined> {
  try {
    const parts = await Promise.all([readFile('/proc/sys/kernel/random/boot_id', 'utf8'), readlink('/proc/self/ns/pid')]);
    return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 8);
  } catch {
    return undefined;
  }
}

/**
 * Makes an empty directory that only this account may enter, in one whose name says whose it is, so that `sweepScratch` of a later run
 * knows. Two, since the inner one is given to the account of a server at times, and only what has our own name on it is swept.
 * @param root where temporary files lie
 * @returns `dir` to use, and `whole` to remove
 */
export async function makeScratch(root: string): Promise<{ dir: string; whole: string }> {
  const [here, start] = await Promise.all([hereOf(), startOf('self').catch(() => undefined)]);
  const whole = await mkdtemp(join(root, here && start ? `bkp-${here}-${process.pid}-${start}-` : 'bkp-'));
  const dir = join(whole, 'tmp');
  await mkdir(dir, { mode: 0o700 });
  await chmod(whole, 0o711);
  return { dir, whole };
}

/**
 * Removes the directories of `makeScratch` whose process was killed and so could not: what they hold may be as large and as secret as a
 * backup. Those of other accounts, other hosts, other containers and other boots stay, for nobody here can tell whether they are in use.
 * @param root where temporary files lie
 * @returns how many were removed
 */
export async function sweepScratch(root: string): Promise<number> {
  const here = await hereOf();
  if (!here) return 0;
  let removed = 0;
  for (const name of await readdir(root)) {
    const [, whose, pid, start] = NAME.exec(name) ?? [];
    if (whose !== here || (await startOf(Number(pid))) === start) continue;
    const path = join(root, name);
    const found = await lstat(path).catch(() => undefined);
    if (!found?.isDirectory() || found.uid !== process.getuid?.()) continue;
    await rm(path, { recursive: true, force: true });
    removed += 1;
  }
  return removed;
}
