import { spawnSync } from 'node:child_process';

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

export const round = (value: number): number => Math.round(value * 100) / 100;

/** Runs a program to its end and returns how long it took (ms). @throws when it ends with anything but 0 */
export function timed(
  file: string,
  args: readonly string[],
  options: { env?: Record<string, string>; uid?: number; gid?: number } = {},
): number {
  const from = performance.now();
  const { status, stderr } = spawnSync(file, [...args], { stdio: ['ignore', 'ignore', 'pipe'], ...options });
  const took = performance.now() - from;
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${status}: ${stderr}`);
  return took;
}
