import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Bytes, PieceRef, Runner, TargetContext } from '../../src/core/contracts.ts';
import { readAll } from '../../src/flow/bytes.ts';
import { openPiece } from '../../src/flow/open.ts';
import { sealPiece } from '../../src/flow/seal.ts';
import { sealBytes } from '../../src/flow/stages.ts';
import { systemRunner } from '../../src/system/runner.ts';
import { agePair, bareRunner, chunks, frail, keySet, rig } from '../ops/rig.ts';

const LINE = ['zstd', 'age'];
const seal = (ctx: TargetContext, source: Bytes, more: object = {}) =>
  sealPiece('data', source, { ...ctx, keyPrefix: 'p', recipients: ctx.keys.recipients, ...more });
const open = (ctx: TargetContext, ref: PieceRef) => readAll(openPiece(ref, LINE, ctx.stores, ctx));
const sh = (script: string, ...args: string[]): Buffer => execFileSync('sh', ['-c', script, 'sh', ...args], { maxBuffer: 1 << 28 });
const flip = (path: string, at: number) => {
  const bytes = readFileSync(path);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(path, bytes);
};
const keyFiles = () => readdirSync(tmpdir()).filter(name => /^bkp-(key-|[0-9a-f]{24}$)/.test(name));
const before = new Set(keyFiles());
const secrets = () => keyFiles().filter(name => !before.has(name));

async function* breaksAfter(bytes: number): AsyncGenerator<Buffer> {
  yield randomBytes(bytes);
  throw new Error('the source broke');
}

describe.each<[string, Runner]>([
  ['with the tools', systemRunner],
  ['without the tools', bareRunner],
])('%s', (_, run) => {
  test('a stream of several blocks comes back, from either store', async () => {
    using r = rig();
    const plain = randomBytes(40 * 1024 * 1024);
    const { ref, failed } = await seal(r.context({ run }), chunks(plain));
    expect(failed).toEqual([]);
    expect(ref.objects[0]!.blocks).toHaveLength(3);
    for (const store of r.stores) expect((await open(r.context({ run, stores: [store] }), ref)).equals(plain)).toBe(true);
    expect(secrets()).toEqual([]);
  });

  test('a source that breaks leaves nothing and is named', async () => {
    using r = rig();
    await expect(seal(r.context({ run }), breaksAfter(1 << 20))).rejects.toThrow('the source broke');
    expect([r.files('one'), r.files('two')]).toEqual([[], []]);
  });

  test('an empty source is a failure', async () => {
    using r = rig();
    await expect(seal(r.context({ run }), chunks(Buffer.alloc(0)))).rejects.toMatchObject({ message: expect.stringContaining('empty') });
    expect(r.files('one')).toEqual([]);
  });

  test('a wrong key is told apart from damage', async () => {
    using r = rig();
    const { ref } = await seal(r.context({ run }), chunks(randomBytes(1 << 20)));
    const other = r.context({ run, keys: keySet().keys });
    await expect(open(other, ref)).rejects.toMatchObject({ exit: 'usage', message: expect.stringContaining('another key') });
    expect(secrets()).toEqual([]);
  });

  test('a piece that was sealed whole but opens to something else is refused at its end', async () => {
    using r = rig();
    const { ref } = await seal(r.context({ run }), chunks(randomBytes(5000)));
    await expect(open(r.context({ run }), { ...ref, sha256: '0'.repeat(64) })).rejects.toMatchObject({ exit: 'verifyFailed' });
  });

  test('an abort ends it and leaves nothing', async () => {
    using r = rig();
    const stop = new AbortController();
    async function* slow(): Bytes {
      for (;;) {
        yield randomBytes(1 << 20);
        await new Promise(done => setTimeout(done, 5));
      }
    }
    setTimeout(() => stop.abort(new Error('told to stop')), 300);
    await expect(seal(r.context({ run, signal: stop.signal }), slow())).rejects.toThrow('told to stop');
    expect([r.files('one'), r.files('two')]).toEqual([[], []]);
  });
});

test('the objects of a cut stream open by hand', async () => {
  using r = rig();
  const pair = agePair();
  const ctx = r.context({ keys: keySet(pair).keys });
  const plain = randomBytes(20 * 1024 * 1024);
  const { ref } = await seal(ctx, chunks(plain), { maxObjectBytes: 16 * 1024 * 1024 });
  expect(ref.objects.map(({ key }) => key)).toEqual(['p/data.zst.age.000', 'p/data.zst.age.001']);
  writeFileSync(join(r.dir, 'id'), pair.identity);
  expect(sh('cat "$1"/data.zst.age.* | age -d -i "$2" | zstd -dqc', join(r.dir, 'one', 'p'), join(r.dir, 'id')).equals(plain)).toBe(true);
  expect((await open(ctx, ref)).equals(plain)).toBe(true);
});

test('a flipped byte anywhere is refused with object and store, and taken from the other store when that holds it', async () => {
  using r = rig();
  const plain = randomBytes(17 * 1024 * 1024);
  const { ref } = await seal(r.ctx, chunks(plain));
  const [object] = ref.objects;
  for (const at of [0, 100, 16 * 1024 * 1024 - 1, object!.bytes - 1]) {
    const path = join(r.dir, 'one', object!.key);
    flip(path, at);
    await expect(open(r.context({ stores: [r.stores[0]!] }), ref)).rejects.toMatchObject({
      exit: 'verifyFailed',
      message: expect.stringMatching(new RegExp(`${object!.key}.*store one.*damaged`)),
    });
    expect((await open(r.ctx, ref)).equals(plain)).toBe(true);
    flip(path, at);
  }
  expect(r.events).toContainEqual({ type: 'warning', text: expect.stringContaining('another store') });
});

test('both stores damaged in different blocks still give the whole', async () => {
  using r = rig();
  const plain = randomBytes(17 * 1024 * 1024);
  const { ref } = await seal(r.ctx, chunks(plain));
  flip(join(r.dir, 'one', ref.objects[0]!.key), 5);
  flip(join(r.dir, 'two', ref.objects[0]!.key), ref.objects[0]!.bytes - 5);
  expect((await open(r.ctx, ref)).equals(plain)).toBe(true);
});

test.each(['open', 'block 1', 'commit'])('a store that fails at %s falls away and keeps nothing; the other is whole', async call => {
  using r = rig();
  const weak = frail(r.stores[1]!);
  weak.broken.add(call);
  const plain = randomBytes(40 * 1024 * 1024);
  const { ref, failed } = await seal(r.context({ stores: [r.stores[0]!, weak.store] }), chunks(plain));
  expect(failed.map(({ store }) => store.name)).toEqual(['two']);
  expect(r.files('two')).toEqual([]);
  expect((await open(r.context({ stores: [r.stores[0]!] }), ref)).equals(plain)).toBe(true);
});

test('fewer stores than needed: nothing anywhere, each reason told', async () => {
  using r = rig();
  const weak = frail(r.stores[1]!);
  weak.broken.add('block 1');
  const ctx = r.context({ stores: [r.stores[0]!, weak.store], need: 2 });
  await expect(seal(ctx, chunks(randomBytes(40 * 1024 * 1024)))).rejects.toMatchObject({
    exit: 'storeUnreachable',
    message: expect.stringContaining('two: store two fell over at block 1'),
  });
  expect([r.files('one'), r.files('two')]).toEqual([[], []]);
});

test('stores of unlike block sizes are refused before the first byte', async () => {
  using r = rig();
  const odd = { ...frail(r.stores[1]!).store, blockBytes: 32 * 1024 * 1024 };
  await expect(seal(r.context({ stores: [r.stores[0]!, odd] }), chunks(randomBytes(10)))).rejects.toMatchObject({ exit: 'usage' });
});

test('300 MiB flow with flat memory', async () => {
  using r = rig();
  const one = randomBytes(1 << 20);
  let peak = 0;
  async function* many(): Bytes {
    for (let n = 0; n < 300; n += 1) {
      one.writeUInt32LE(n);
      peak = Math.max(peak, process.memoryUsage.rss());
      yield Buffer.from(one);
    }
  }
  const before = process.memoryUsage.rss();
  const started = performance.now();
  const { ref } = await seal(r.ctx, many());
  const rate = 300 / ((performance.now() - started) / 1000);
  expect(ref.bytes).toBe(300 * 1024 * 1024);
  expect(peak - before).toBeLessThan(250 * 1024 * 1024);
  if (process.env['BKP_FIGURES']) process.stderr.write(`${rate.toFixed(0)} MiB/s, ${((peak - before) / 2 ** 20).toFixed(0)} MiB more\n`);
});

/** A runner that writes down what its pipelines gave, and the memory of what they were fed with. */
function noting(given: Uint8Array[], fed: Set<ArrayBufferLike>): Runner {
  async function* noted(input: Bytes): Bytes {
    for await (const chunk of input) {
      fed.add(chunk.buffer);
      yield chunk;
    }
  }
  return {
    ...systemRunner,
    pipeline(commands, options = {}) {
      const made = systemRunner.pipeline(commands, { ...options, ...(options.input ? { input: noted(options.input) } : {}) });
      const push = made.out.push.bind(made.out);
      made.out.push = chunk => {
        if (chunk) given.push(chunk);
        return push(chunk);
      };
      return made;
    },
  };
}

test('what has passed leaves no memory behind: every chunk is freed, and few blocks are read into again and again', async () => {
  using r = rig();
  const [given, fed] = [[] as Uint8Array[], new Set<ArrayBufferLike>()];
  const run = noting(given, fed);
  const source = run.pipeline([{ file: 'head', args: ['-c', '100M', '/dev/urandom'] }]).out;
  const { ref } = await seal(r.context({ run }), source);
  expect(given.length).toBeGreaterThan(2000);
  fed.clear();
  const opened = openPiece(ref, LINE, r.stores, r.context({ run }));
  const { out } = run.pipeline([{ file: 'wc', args: ['-c'] }], { input: { [Symbol.asyncIterator]: () => opened } });
  expect(String(Buffer.concat(await out.toArray())).trim()).toBe(String(100 << 20));
  const blocks = [...fed].filter(({ byteLength }) => byteLength >= 4 << 20);
  expect(given.filter(chunk => chunk.length > 0).length).toBeLessThan(5);
  expect(ref.objects[0]!.blocks).toHaveLength(7);
  expect(blocks.length).toBeLessThan(5);
});

test('a stage that stands still is given up and ended, and a slow reader is not taken for one', async () => {
  using r = rig();
  const never = join(r.dir, 'never');
  writeFileSync(never, '#!/bin/sh\nexec sleep 3600\n', { mode: 0o755 });
  const run: Runner = {
    ...systemRunner,
    pipeline: (commands, options) =>
      systemRunner.pipeline(
        commands.map(command => (command.file === 'zstd' ? { file: never, args: [] } : command)),
        options,
      ),
  };
  const sealing = sealBytes(chunks(randomBytes(1000)), [], { run, signal: r.ctx.signal, stalledMs: 200 });
  await expect(readAll(sealing)).rejects.toThrow(/no byte came out of zstd for 0\.2 s/);
  const slowly = async (): Promise<number> => {
    let bytes = 0;
    for await (const chunk of sealBytes(chunks(randomBytes(8 << 20)), [], { run: systemRunner, signal: r.ctx.signal, stalledMs: 2000 })) {
      if (bytes === 0) await new Promise(resolve => setTimeout(resolve, 3000));
      bytes += chunk.length;
    }
    return bytes;
  };
  expect(await slowly()).toBeGreaterThan(8 << 20);
});
