import { spawnSync } from 'node:child_process';

/** Seconds of the clock and of processors (the command and all below it), and the largest memory of any one process, in MiB. */
export interface Metered {
  wall: number;
  cpu: number;
  rss: number;
}

// The kernel sums up what ended children used only for who waited for them, so a small program does nothing but wait.
const WAITER = [
  'import json, resource, subprocess, sys, time',
  'began = time.monotonic()',
  'code = subprocess.call(sys.argv[1:])',
  'wall = time.monotonic() - began',
  'used = resource.getrusage(resource.RUSAGE_CHILDREN)',
  'print(json.dumps({"code": code, "wall": wall, "cpu": used.ru_utime + used.ru_stime, "rss": used.ru_maxrss / 1024}), file=sys.stderr)',
].join('\n');

/** Runs a line of bash to its end. @returns what it used, and its stdout. @throws when any part of a pipe in it fails */
export function metered(line: string, env: Record<string, string>): Metered & { stdout: string } {
  const { stdout, stderr } = spawnSync('python3', ['-c', WAITER, 'bash', '-o', 'pipefail', '-c', line], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...env },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const last = stderr.trim().split('\n').at(-1) ?? '';
  const { code, wall, cpu, rss } = JSON.parse(last.startsWith('{') ? last : '{"code":-1}');
  if (code !== 0) throw new Error(`${line} ended with ${code}: ${stderr}`);
  return { wall, cpu, rss, stdout };
}

/** The medians of several runs. */
export function medians(runs: readonly Metered[]): Metered {
  const of = (field: keyof Metered): number => [...runs].map(run => run[field]).sort((a, b) => a - b)[runs.length >> 1]!;
  return { wall: of('wall'), cpu: of('cpu'), rss: of('rss') };
}
