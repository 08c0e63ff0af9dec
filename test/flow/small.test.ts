import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { makeKeys } from '../../src/flow/keys.ts';
import { openSmall, sealSmall } from '../../src/flow/small.ts';
import { agePair, keySet } from '../ops/rig.ts';

const { keys, identity } = keySet();

test.each([0, 1, 65535, 65536, 65537, 16 * 1024 * 1024])('%i bytes come back with their header, here and by hand', async size => {
  const plain = randomBytes(size);
  const sealed = await sealSmall(plain, keys, { name: 'seg' });
  const opened = await openSmall(sealed, keys, 'it');
  expect(opened.plain.equals(plain)).toBe(true);
  expect(opened.header).toMatchObject({ name: 'seg' });
  const dir = mkdtempSync(join(tmpdir(), 'bkp-small-'));
  try {
    writeFileSync(join(dir, 'id'), identity);
    writeFileSync(join(dir, 'o'), sealed);
    const by = execFileSync('sh', ['-c', 'age -d -i "$1/id" "$1/o" | zstd -dqc', 'sh', dir], { maxBuffer: 1 << 26 });
    expect(by.equals(plain)).toBe(true);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a flipped byte, a cut tail and an added tail are damage', async () => {
  const sealed = await sealSmall(randomBytes(200_000), keys);
  // Inside the wrapped file key (byte 150) age itself cannot tell damage from another key; everywhere else it is told.
  const wrapped = Buffer.from(sealed);
  wrapped[150] = wrapped[150]! ^ 1;
  await expect(openSmall(wrapped, keys, 'it')).rejects.toMatchObject({ name: 'BkpError' });
  for (const at of [0, 400, 70_000, sealed.length - 1]) {
    const bent = Buffer.from(sealed);
    bent[at] = bent[at]! ^ 1;
    await expect(openSmall(bent, keys, 'it')).rejects.toMatchObject({ exit: 'verifyFailed' });
  }
  for (const cut of [0, 20, 200, 65_800, sealed.length - 1])
    await expect(openSmall(sealed.subarray(0, cut), keys, 'it')).rejects.toMatchObject({ exit: 'verifyFailed' });
  await expect(openSmall(Buffer.concat([sealed, Buffer.from('x')]), keys, 'it')).rejects.toMatchObject({ exit: 'verifyFailed' });
});

test('a wrong key is told from damage, and a stranger who knows the recipient is refused', async () => {
  const pair = agePair();
  const [mine, stranger, other] = [keySet(pair).keys, keySet(pair).keys, keySet().keys];
  const sealed = await sealSmall(Buffer.from('x'), mine);
  await expect(openSmall(sealed, other, 'it')).rejects.toMatchObject({ exit: 'usage', message: expect.stringContaining('another key') });
  await expect(openSmall(sealed, stranger, 'it')).rejects.toMatchObject({
    exit: 'verifyFailed',
    message: expect.stringContaining('keys.trusted'),
  });
});

test('the signed header and the hash bind the content without encryption too', async () => {
  const plainKeys = makeKeys({ recipients: [], signing: () => `bkp-signing-${Buffer.alloc(32, 3).toString('base64url')}`, trusted: [] });
  const trusted = makeKeys({
    recipients: [],
    signing: () => `bkp-signing-${Buffer.alloc(32, 3).toString('base64url')}`,
    trusted: [plainKeys.sign(new Uint8Array()).key],
  });
  const [a, b] = [await sealSmall(Buffer.from('aaaa'), trusted, { n: 1 }), await sealSmall(Buffer.from('bbbb'), trusted, { n: 2 })];
  const frame = 8 + a.readUInt32LE(4);
  const swapped = Buffer.concat([a.subarray(0, frame), b.subarray(8 + b.readUInt32LE(4))]);
  await expect(openSmall(swapped, trusted, 'it')).rejects.toMatchObject({
    exit: 'verifyFailed',
    message: expect.stringContaining('SHA-256'),
  });
});
