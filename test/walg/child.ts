import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const children = new Set<ChildProcess>();

/** Ends every child that still runs: for signals and failures. */
export function killChildren(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** Starts a child that does not outlive this program's own end. */
export function begin(file: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const child = spawn(file, [...args], options);
  children.add(child);
  child.once('close', () => children.delete(child));
  return child;
}

/** Path of a program on PATH, or undefined. */
export const onPath = (name: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map(dir => join(dir, name))
    .find(existsSync);

/** Where PostgreSQL's programs are: WALG_STUB_PGBIN, else PATH. WAL-G itself needs none of them, it speaks the protocol. */
export const pgTool = (name: string): string => (process.env['WALG_STUB_PGBIN'] ? join(process.env['WALG_STUB_PGBIN'], name) : name);

export interface Ended {
  code: number | null;
  stderr: string;
}

/** The end of a child, its stderr gathered. @throws when it could not start */
export function endOf(child: ChildProcess): Promise<Ended> {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', text => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', code => resolve({ code, stderr }));
  });
}

/** Runs a program to its end with nothing on its standard input; `onLine` hears its stderr. @throws Error with its stderr when it fails */
export async function runTool(file: string, args: readonly string[], env: Record<string, string>): Promise<Ended> {
  const child = begin(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = await endOf(child);
  if (ended.code !== 0) throw new Error(ended.stderr.trim());
  return ended;
}

/** What a filter makes of `source`: its standard output. @throws at the end, when the filter or the source failed */
export async function* through(file: string, args: readonly string[], source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const child = begin(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = endOf(child);
  const fed = pipeline(Readable.from(source), child.stdin!).then(
    () => undefined,
    error => error as NodeJS.ErrnoException,
  );
  let drained = false;
  try {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    drained = true;
  } finally {
    if (!drained) child.kill('SIGKILL');
  }
  const { code, stderr } = await ended;
  const error = await fed;
  if (error && error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  if (code !== 0) throw new Error(stderr.trim() || `${file} ended with ${code}`);
}
