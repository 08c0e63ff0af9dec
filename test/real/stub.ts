import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guarded } from './rig/guard.ts';
import { childrenOf, type Ended, isAlive, node24, type Running, start, tempDir } from './rig/index.ts';
import { PATIENCE_MS } from './rig/wait.ts';

/** A directory with one program of that name, a script for Node, to stand first on PATH. */
export function stub(name: string, script: string): string {
  const dir = tempDir();
  writeFileSync(join(dir, name), `#!${node24()}\n${script}\n`);
  chmodSync(join(dir, name), 0o755);
  return dir;
}

/** PATH with a stub's directory in front. */
export const pathWith = (dir: string): string => `${dir}:${process.env['PATH']}`;

/** Node takes a program without an extension for either kind of module; this works in both. */
const FLOOD = `const { randomBytes } = process.getBuiltinModule('node:crypto');
process.stdout.on('error', () => {});
for (let n = 0; n < 40; n += 1) process.stdout.write(randomBytes(1 << 20));`;

/** A zstd that gives 40 MiB at once, more than two blocks of a store, and then stands still. */
export const stuckPacker = (): string => stub('zstd', `${FLOOD}\nsetInterval(() => {}, 1000);`);

/** A zstd that gives 40 MiB at once and then takes its input slowly: 64 KiB each 5 ms at most. */
export const slowPacker = (): string =>
  stub(
    'zstd',
    `${FLOOD}
for await (const _ of process.stdin) await new Promise(resolve => setTimeout(resolve, 5));`,
  );

/** A zstd that gives 40 MiB at once, waits until `go` is called, and then ends well. */
export function heldPacker(): { dir: string; go(): void } {
  const dir = stub(
    'zstd',
    `${FLOOD}
const { existsSync } = process.getBuiltinModule('node:fs');
while (!existsSync(process.argv[1] + '.go')) await new Promise(resolve => setTimeout(resolve, 20));
for await (const _ of process.stdin);`,
  );
  return { dir, go: () => writeFileSync(join(dir, 'zstd.go'), '') };
}

/** The real zstd, which takes 1 MiB and then nothing more until `go` is called. */
export function lingeringPacker(): { dir: string; go(): void } {
  const real = execFileSync('sh', ['-c', 'command -v zstd'], { encoding: 'utf8' }).trim();
  const dir = stub(
    'zstd',
    `const { existsSync } = process.getBuiltinModule('node:fs');
const { spawn } = process.getBuiltinModule('node:child_process');
const child = spawn(${JSON.stringify(real)}, process.argv.slice(2), { stdio: ['pipe', 'inherit', 'inherit'] });
child.on('close', code => process.exit(code ?? 1));
let taken = 0;
for await (const chunk of process.stdin) {
  taken += chunk.length;
  while (taken > 1 << 20 && !existsSync(process.argv[1] + '.go')) await new Promise(resolve => setTimeout(resolve, 20));
  if (!child.stdin.write(chunk)) await new Promise(resolve => child.stdin.once('drain', resolve));
}
child.stdin.end();`,
  );
  return { dir, go: () => writeFileSync(join(dir, 'zstd.go'), '') };
}

/** A zstd that gives nothing and never ends; it makes the file `started` in its directory. */
export const deadPacker = (): string =>
  stub('zstd', `process.getBuiltinModule('node:fs').writeFileSync(process.argv[1] + '.started', '');\nsetInterval(() => {}, 1000);`);

/** A zstd that fails at once. */
export const brokenPacker = (): string => stub('zstd', `console.error('boom');\nprocess.exit(3);`);

/** Relative paths of every file below a directory, temporary ones too. */
export const filesIn = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => !entry.isDirectory())
    .map(entry => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .sort();

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

export interface OnTerminal extends Running {
  /** Process id of the command itself; 0 until it has begun. */
  commandPid(): number;
}

/**
 * Runs a command line on a terminal of its own, 100 columns wide unless told; its standard input is what is typed, its stdout what
 * is shown.
 */
export function onTerminal(command: readonly [string, readonly string[]], env: Record<string, string>, columns = 100): OnTerminal {
  const line = [command[0], ...command[1]].map(quoted).join(' ');
  const mark = join(tempDir(), 'pid');
  const size = `stty cols ${columns} rows ${columns === 0 ? 0 : 30}`;
  const child = start('script', ['-qefc', `${size}; echo $$ >${mark}; exec ${line}`, '/dev/null'], {
    env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm', SHELL: '/bin/sh', ...env },
    keepInput: true,
  });
  guarded.addPid(child.pid);
  child.process.once('exit', () => guarded.dropPid(child.pid));
  return { ...child, commandPid: () => (existsSync(mark) ? Number(readFileSync(mark, 'utf8')) : 0) };
}

/** The end of a command on a terminal; one that has not ended after two minutes is killed, and that is an error with what it showed last. */
export async function endOf(child: OnTerminal): Promise<Ended> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    const pid = child.commandPid();
    if (pid > 0 && isAlive(pid)) process.kill(pid, 'SIGKILL');
    child.kill('SIGKILL');
  }, PATIENCE_MS);
  const end = await child.ended;
  clearTimeout(timer);
  if (late) throw new Error(`still running after ${PATIENCE_MS} ms; it showed: ${end.stdout.slice(-300)}`);
  return end;
}

/** Command lines of a process and of all below it: other suites use the same secrets beside it. */
export function commandLinesBelow(top: number): string[] {
  const lines: string[] = [];
  for (let pids = [top]; pids.length > 0; pids = pids.flatMap(childrenOf))
    for (const pid of pids)
      try {
        lines.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // It has ended meanwhile.
      }
  return lines;
}

/** Command lines of every process that runs now, arguments joined by blanks. */
export function commandLines(read: (path: string) => string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => {
      try {
        return [read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')];
      } catch {
        return [];
      }
    });
}
