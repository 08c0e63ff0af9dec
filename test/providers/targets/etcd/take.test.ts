import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { provenBytes } from '../../../../src/providers/targets/etcd/take.ts';

const dir = mkdtempSync(join(tmpdir(), 'bkp-take-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const file = join(dir, 'snapshot.db');
writeFileSync(file, 'all of it');

it('the bytes of a snapshot end only after its proof', async () => {
  let prove = () => {};
  const proof = new Promise<void>(resolve => {
    prove = resolve;
  });
  const bytes = provenBytes(file, proof);
  expect(Buffer.from((await bytes.next()).value!).toString()).toBe('all of it');
  let ended = false;
  const end = bytes.next().then(({ done }) => {
    ended = done === true;
  });
  await new Promise(resolve => setImmediate(resolve));
  expect(ended).toBe(false);
  prove();
  await end;
  expect(ended).toBe(true);
});

it('one that is not proven has no end, but an error', async () => {
  const proof = Promise.reject(new Error('it does not restore'));
  proof.catch(() => {});
  const bytes = provenBytes(file, proof);
  await bytes.next();
  await expect(bytes.next()).rejects.toThrow('it does not restore');
});
