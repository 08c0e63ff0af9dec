import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface Ended {
  /** Exit code, or null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A child with its output gathered. `output()` is what came so far. */
export interface Running {
  readonly pid: number;
  readonly process: ChildProcess;
  output(): { stdout: string; stderr: string };
  readonly ended: Promise<Ended>;
  kill(signal?: NodeJS.Signals): void;
}

/**
 * Starts a program with its output gathered. `input` is written to it and closed; with `keepInput` its standard input stays open for
 * the caller. A program that cannot start rejects `ended`.
 */
export function start(
  file: string,
  args: readonly string[],
  options: SpawnOptions & { input?: string; keepInput?: boolean } = {},
): Running {
  const { input, keepInput = false, ...rest } = options;
  const child = spawn(file, [...args], { ...rest, stdio: [input === undefined && !keepInput ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
  const got = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', text => {
    got.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', text => {
    got.stderr += text;
  });
  child.stdin?.on('error', () => {});
  if (!keepInput) child.stdin?.end(input);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...got }));
  });
  ended.catch(() => {});
  return { pid: child.pid ?? -1, process: child, output: () => ({ ...got }), ended, kill: signal => void child.kill(signal) };
}

/** Runs a program to its end. @throws when it ends with anything but 0, with its stderr */
export async function run(file: string, args: readonly string[], options: SpawnOptions & { input?: string } = {}): Promise<Ended> {
  const end = await start(file, args, options).ended;
  if (end.code === 0) return end;
  throw new Error(`${file} ${args.join(' ')} ended with ${end.code ?? end.signal}: ${end.stderr.trim() || end.stdout.trim()}`);
}

/** True while a process with this id exists and is no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Ids of the processes whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(candidate => {
      try {
        return new RegExp(`^PPid:\\s+${pid}$`, 'm').test(readFileSync(`/proc/${candidate}/status`, 'utf8'));
      } catch {
        return false;
      }
    });
}
