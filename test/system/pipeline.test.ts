import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import type { Bytes } from '../../src/core/contracts.ts';
import { spent } from '../../src/core/spent.ts';
import { systemRunner } from '../../src/system/runner.ts';

const sh = (script: string) => ({ file: 'sh', args: ['-c', script] });
const MIB = 1 << 20;

async function* counted(asked: { n: number }, chunks = Number.POSITIVE_INFINITY): Bytes {
  for (; asked.n < chunks; asked.n += 1) yield Buffer.allocUnsafeSlow(MIB).fill(asked.n);
}

async function sum(bytes: Bytes): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of bytes) {
    hash.update(chunk);
    spent(chunk);
  }
  return hash.digest('hex');
}

test('what goes in comes out, the same bytes in the same order, though each chunk is freed once it was read', async () => {
  const { out, done } = systemRunner.pipeline([sh('cat'), sh('cat')], { input: counted({ n: 0 }, 40) });
  expect(await sum(out)).toBe(await sum(counted({ n: 0 }, 40)));
  await done;
});

test('a source may hand out the same memory again and again', async () => {
  async function* same(): Bytes {
    const one = Buffer.allocUnsafeSlow(MIB).fill(1);
    for (let n = 0; n < 20; n += 1) yield one;
  }
  const { out } = systemRunner.pipeline([sh('wc -c')], { input: same() });
  expect(String(Buffer.concat(await out.toArray())).trim()).toBe(String(20 * MIB));
});

test('a child that does not read is not fed', async () => {
  const asked = { n: 0 };
  const { out, done } = systemRunner.pipeline([sh('exec sleep 60')], { input: counted(asked) });
  await sleep(300);
  out.destroy();
  await expect(done).rejects.toThrow(/sh was ended by signal SIGTERM/);
  expect(asked.n).toBeLessThan(3);
});

test('a child whose output nobody reads is not read ahead of', async () => {
  const asked = { n: 0 };
  const { out, done } = systemRunner.pipeline([sh('cat')], { input: counted(asked) });
  for await (const _ of out) break;
  await expect(done).rejects.toThrow();
  expect(asked.n).toBeLessThan(5);
});

test('a child that ended before the source gave anything is named, not the broken pipe', async () => {
  async function* late(): Bytes {
    await sleep(400);
    yield Buffer.alloc(10);
  }
  const { out, done } = systemRunner.pipeline([sh('exit 3'), sh('sleep 1; cat')], { input: late() });
  await expect(out.toArray()).rejects.toThrow(/sh ended with exit code 3/);
  await expect(done).rejects.toThrow(/sh ended with exit code 3/);
});

test('the end is told only after the child ended, and how', async () => {
  const { out } = systemRunner.pipeline([sh('head -c 300000 /dev/zero; exec >&-; sleep 0.3; exit 5')]);
  let bytes = 0;
  const reading = (async () => {
    for await (const chunk of out) bytes += chunk.length;
  })();
  await expect(reading).rejects.toThrow(/exit code 5/);
  expect(bytes).toBe(300_000);
});
