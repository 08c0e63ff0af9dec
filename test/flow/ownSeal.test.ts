import { createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { makeKeys, signingText } from '../../src/flow/keys.ts';
import { openOwn, sealOwn } from '../../src/flow/ownSeal.ts';

const keysOf = (seed: Buffer) => makeKeys({ recipients: [], trusted: [], signing: () => signingText(seed) });

it('comes back for the same key and purpose, whatever it is', async () => {
  const keys = keysOf(randomBytes(32));
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), fc.string(), async (plain, purpose) => {
      expect(new Uint8Array(await openOwn(await sealOwn(plain, keys, purpose), keys, purpose))).toEqual(plain);
    }),
    { numRuns: 50 },
  );
});

it('opens by hand as docs/FORMAT.md says', async () => {
  const seed = randomBytes(32);
  const sealed = await sealOwn(Buffer.from('files'), keysOf(seed), 'a/b');
  const key = Buffer.from(hkdfSync('sha256', seed, 'bkp own key v1', 'a/b', 32));
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
  decipher.setAuthTag(sealed.subarray(-16));
  const packed = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
  expect(zstdDecompressSync(packed).toString()).toBe('files');
});

it('does not open when any byte is changed, when it is cut, for another purpose, or with another key', async () => {
  const keys = keysOf(randomBytes(32));
  const sealed = await sealOwn(randomBytes(200), keys, 'one');
  for (const at of [0, 11, 12, 100, sealed.length - 17, sealed.length - 1]) {
    const bent = Buffer.from(sealed);
    bent[at] = bent[at]! ^ 1;
    await expect(openOwn(bent, keys, 'one')).rejects.toMatchObject({ exit: 'verifyFailed' });
  }
  for (const length of [0, 5, 12, 28, sealed.length - 1])
    await expect(openOwn(sealed.subarray(0, length), keys, 'one')).rejects.toMatchObject({ exit: 'verifyFailed' });
  await expect(openOwn(sealed, keys, 'two')).rejects.toThrow(/another signing key, or is damaged/);
  await expect(openOwn(sealed, keysOf(randomBytes(32)), 'one')).rejects.toMatchObject({ exit: 'verifyFailed' });
});

it('a host without a signing key can neither seal nor open, and names the setting', async () => {
  const none = makeKeys({ recipients: [], trusted: [] });
  await expect(sealOwn(Buffer.alloc(1), none, 'x')).rejects.toMatchObject({
    exit: 'usage',
    message: expect.stringContaining('keys.signing'),
  });
  await expect(openOwn(Buffer.alloc(40), none, 'x')).rejects.toMatchObject({ exit: 'usage' });
});
