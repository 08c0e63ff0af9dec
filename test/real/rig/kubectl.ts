import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { node24 } from './places.ts';
import { tempDir } from './temp.ts';

/** What the stand-in does and answers; its calls are appended to `calls`, one JSON array of arguments a line. */
interface KubectlStub {
  /** Directory for `PATH`: its `kubectl` is the stand-in. */
  dir: string;
  calls: string;
  /** Of every `cat` whose output is longer, only so many bytes come, and the exit code stays 0. */
  cut(bytes: number | undefined): void;
}

/** Pods that `get pods` shows: names, and whether they are ready. */
export type Pods = readonly { name: string; ready: boolean; going?: boolean }[];

/**
 * kubectl as far as `exec` and `get pods` go, over processes of this machine in place of containers: they see none of its environment, are
 * not ended when it is ended, lose their stdin then, and their exit code comes back with the words that kubectl puts on stderr. As the real
 * one it can cut the end of what a tool says and still end with 0.
 */
export function kubectlStub(pods: Pods): KubectlStub {
  const dir = tempDir();
  const [calls, fault] = [join(dir, 'calls'), join(dir, 'cut')];
  mkdirSync(join(dir, 'bin'));
  const items = pods.map(({ name, ready, going }) => ({
    metadata: { name, ...(going ? { deletionTimestamp: '2026-01-15T02:00:00Z' } : {}) },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }));
  const program = `#!${node24()}
const { spawn } = require('node:child_process');
const { appendFileSync, existsSync, readFileSync } = require('node:fs');
const args = process.argv.slice(2);
appendFileSync(${JSON.stringify(calls)}, JSON.stringify(args) + '\\n');
const names = ${JSON.stringify(pods.map(({ name }) => name))};
if (args.includes('get')) {
  process.stdout.write(JSON.stringify({ kind: 'List', items: ${JSON.stringify(items)} }));
} else {
  const pod = args[args.indexOf('exec') + 2];
  const words = args.slice(args.indexOf('--') + 1);
  if (!names.includes(pod)) {
    process.stderr.write('Error from server (NotFound): pods "' + pod + '" not found\\n');
    process.exit(1);
  }
  const child = spawn(words[0], words.slice(1), { env: { PATH: process.env.PATH }, cwd: '/', detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const limit = words[0] === 'cat' && existsSync(${JSON.stringify(fault)}) ? Number(readFileSync(${JSON.stringify(fault)}, 'utf8')) : Infinity;
  let sent = 0;
  process.stdin.pipe(child.stdin);
  child.stdin.on('error', () => {});
  child.stdout.on('data', data => {
    const part = data.subarray(0, Math.max(0, limit - sent));
    sent += part.length;
    process.stdout.write(part);
  });
  child.stderr.pipe(process.stderr);
  child.on('close', (code, signal) => {
    if (code) process.stderr.write('command terminated with exit code ' + code + '\\n');
    process.exitCode = code ?? 137;
    process.stdin.destroy();
  });
}
`;
  const file = join(dir, 'bin', 'kubectl');
  writeFileSync(file, program);
  chmodSync(file, 0o755);
  writeFileSync(calls, '');
  return { dir: join(dir, 'bin'), calls, cut: bytes => writeFileSync(fault, bytes === undefined ? 'Infinity' : String(bytes)) };
}
