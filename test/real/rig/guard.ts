import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { node24, root } from './places.ts';

let guard: ChildProcess | undefined;

/** Starts the guard once. Neither it nor its pipe keeps this process alive; it is in a group of its own, so Ctrl-C passes it by. */
function running(): ChildProcess {
  if (guard) return guard;
  guard = spawn(node24(), [join(root, 'test/real/rig/guard.mjs')], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return guard;
}

/**
 * Tells the guard what must not outlive this process, or no longer matters. Should this process end without cleaning up, killed or
 * not, the guard sends SIGQUIT to every pid and removes every directory still listed.
 */
export const guarded = {
  addPid: (pid: number) => void running().stdin?.write(`+pid ${pid}\n`),
  dropPid: (pid: number) => void running().stdin?.write(`-pid ${pid}\n`),
  addDir: (dir: string) => void running().stdin?.write(`+dir ${dir}\n`),
  dropDir: (dir: string) => void running().stdin?.write(`-dir ${dir}\n`),
};
