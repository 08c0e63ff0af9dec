import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import type { Bytes, Runner } from '../../src/core/contracts.ts';
import { readAll } from '../../src/flow/bytes.ts';
import { openPiece } from '../../src/flow/open.ts';
import { catalog, missingObjects, streamed } from '../../src/ops/catalog.ts';
import { systemRunner } from '../../src/system/runner.ts';
import { agePair, BASE, fakeTarget, keySet, type Rig, rig } from '../ops/rig.ts';

/** An executable of this name in the rig's own directory of tools. */
function tool(r: Rig, name: string, script: string): string {
  const bin = join(r.dir, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
  return join(bin, name);
}

const dump = (file: string, warn?: (line: string) => void): Bytes =>
  systemRunner.pipeline([{ file, args: [] }], warn ? { onStderr: (_, line) => warn(line) } : {}).out;

/** A runner whose `zstd` or `age` is another program. */
const instead = (name: string, file: string): Runner => ({
  ...systemRunner,
  pipeline: (commands, options) =>
    systemRunner.pipeline(
      commands.map(command => (command.file === name ? { file, args: [] } : command)),
      options,
    ),
});

test('CF05: a dump that exits 1 after 1 MiB publishes nothing', async () => {
  using r = rig();
  const bad = tool(r, 'dump', 'head -c 1048576 /dev/urandom; echo no space >&2; exit 1');
  await expect(r.backup(fakeTarget(() => ({ data: dump(bad) })))).rejects.toThrow(/dump ended with exit code 1: no space/);
  expect([r.files('one'), r.files('two')]).toEqual([[], []]);
});

test('CF07: a dump killed by a signal is a failure, and the signal is named', async () => {
  using r = rig();
  const bad = tool(r, 'dump', 'head -c 1048576 /dev/urandom; kill -9 $$');
  await expect(r.backup(fakeTarget(() => ({ data: dump(bad) })))).rejects.toThrow(/dump was ended by signal SIGKILL/);
  expect([r.files('one'), r.files('two')]).toEqual([[], []]);
});

/** A stage that dies by SIGKILL in the middle of 30 MiB. */
async function backupWithKilled(r: Rig, name: string): Promise<unknown> {
  const run = instead(name, tool(r, `bad-${name}`, 'head -c 100000 >/dev/null; echo half; kill -9 $$'));
  const source = async function* (): Bytes {
    for (let n = 0; n < 30; n += 1) yield randomBytes(1 << 20);
  };
  return r.backup(
    fakeTarget(() => ({ data: source() })),
    { run },
  );
}

test.each(['zstd', 'age'])('CF07: %s killed in the middle of the line is a failure that names it and leaves nothing', async name => {
  using r = rig();
  await expect(backupWithKilled(r, name)).rejects.toThrow(new RegExp(`bad-${name} was ended by signal SIGKILL`));
  expect([r.files('one'), r.files('two')]).toEqual([[], []]);
});

test('CF16: a dump that warns on stderr and exits 0 is a success whose warning is kept', async () => {
  using r = rig();
  const loud = tool(r, 'dump', 'echo careful >&2; head -c 1000 /dev/urandom');
  const warnings: string[] = [];
  const { manifest, exit } = await r.backup(fakeTarget(() => ({ data: dump(loud, line => warnings.push(line)) }), { warnings }));
  expect(exit).toBe('done');
  expect(manifest.warnings).toEqual(['careful']);
  expect(r.events).toContainEqual({ type: 'warning', text: 'careful' });
});

test('CF14: 50 MiB go through without a file beside the stores', async () => {
  using r = rig();
  const big = tool(r, 'dump', 'head -c 52428800 /dev/urandom');
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, readdirSync(r.dir).filter(name => name.startsWith('scratch')).length);
  }, 10);
  const { manifest } = await r.backup(fakeTarget(() => ({ data: dump(big) })));
  clearInterval(watch);
  expect(streamed(manifest)[0]!.bytes).toBe(52428800);
  expect(most).toBe(0);
  expect(r.files('one').filter(file => file.includes('.tmp-'))).toEqual([]);
});

test('CF06: kill -9 at any moment leaves nothing that counts, and the rerun is whole', async () => {
  const pair = agePair();
  const { keys } = keySet(pair, Buffer.alloc(32, 9));
  using r = rig(keys);
  const script = fileURLToPath(new URL('./run.ts', import.meta.url));
  const args = ['--experimental-strip-types', '--no-warnings', script, r.dir, pair.recipient];
  let finished = 0;
  for (const after of [0, 50, 150, 300, 450, 600]) {
    const child = spawn(process.execPath, args, { stdio: 'ignore' });
    const ended = once(child, 'exit');
    const seen = r.files('one').length;
    // From its first file on, so that a slow start does not decide what is hit.
    while (child.exitCode === null && r.files('one').length === seen) await new Promise(resolve => setTimeout(resolve, 5));
    const timer = setTimeout(() => child.kill('SIGKILL'), after + Math.floor(Math.random() * 50));
    const [code] = await ended;
    clearTimeout(timer);
    if (code === 0) finished += 1;
    const { known, problems } = await catalog(r.stores, BASE, keys);
    expect(problems).toEqual([]);
    for (const { manifest, stores } of known)
      for (const store of r.stores.filter(({ name }) => stores.includes(name))) expect(await missingObjects(manifest, store)).toEqual([]);
  }
  const before = (await catalog(r.stores, BASE, keys)).known.length;
  expect(before).toBeGreaterThanOrEqual(finished);
  expect(finished).toBeLessThan(6);
  // Some run really was cut while it wrote.
  expect(r.files('one').some(file => file.includes('.tmp-'))).toBe(true);
  execFileSync(process.execPath, args);
  const { known } = await catalog(r.stores, BASE, keys);
  expect(known).toHaveLength(before + 1);
  const { manifest } = known.at(-1)!;
  for (const piece of streamed(manifest)) expect(await readAll(openPiece(piece, manifest.line, r.stores, r.ctx))).toHaveLength(40 << 20);
});
