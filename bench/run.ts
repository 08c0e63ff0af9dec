// Runs the benchmarks named, or all, shows what each prints and writes docs/BENCHMARKS.md. The last line that a benchmark prints is one
// JSON object. Nothing asserts a time.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benches } from './names.ts';
import { type Kept, pageOf } from './page.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const file = join(root, 'bench/results.json');
const words = process.argv.slice(2);
const options = words.filter(word => word.startsWith('-'));
const named = words.filter(word => !word.startsWith('-'));
const unknown = named.filter(name => !(name in benches));

function end(code: number, sentence: string): never {
  console.error(sentence);
  process.exit(code);
}

if (unknown.length > 0)
  end(2, `there is no benchmark ${unknown.join(', ')}: npm run bench -- [NAME ...], of ${Object.keys(benches).join(', ')}`);

const gib = Math.round(totalmem() / 2 ** 30);
const machine = `${cpus().length} × ${cpus()[0]!.model}, ${gib} GiB, Linux ${release()}, Node ${process.versions.node}`;

/** Runs one and shows what it prints. @returns all of that, or undefined when it failed */
function run(name: string): Promise<string | undefined> {
  const child = spawn(process.execPath, ['--no-warnings', join(root, 'bench', `${name}.ts`), ...options], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    process.stdout.write(part);
  });
  return new Promise(resolve => child.on('close', code => resolve(code === 0 ? text.trimEnd() : undefined)));
}

/** Puts a result on the page at once, so that a run that is broken off keeps what it had. */
function keep(name: string, text: string): void {
  const at = `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const cut = text.lastIndexOf('\n');
  const results: Record<string, Kept> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  results[name] = { at, machine, shown: text.slice(0, Math.max(cut, 0)), result: JSON.parse(text.slice(cut + 1)) };
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(join(root, 'docs/BENCHMARKS.md'), pageOf(results));
}

const failed: string[] = [];
for (const name of named.length > 0 ? named : Object.keys(benches)) {
  const text = await run(name);
  if (text === undefined) failed.push(name);
  // A run with options of its own is no figure for the page.
  else if (options.length === 0) keep(name, text);
}
if (failed.length > 0) end(1, `no result of ${failed.join(', ')}`);
