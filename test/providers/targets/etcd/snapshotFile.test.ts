import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { checkSnapshot } from '../../../../src/providers/targets/etcd/snapshotFile.ts';

let dir: string;
let file: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-test-'));
  file = join(dir, 'snapshot.db');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const PAGE = 512;
const pages = fc.integer({ min: 1, max: 12 }).chain(n => fc.uint8Array({ minLength: n * PAGE, maxLength: n * PAGE }));
const sealed = (data: Uint8Array): Buffer => Buffer.concat([data, createHash('sha256').update(data).digest()]);

it('takes pages with their hash, and says how many bytes there are', async () => {
  await fc.assert(
    fc.asyncProperty(pages, async data => {
      writeFileSync(file, sealed(data));
      expect(await checkSnapshot(file, 'it')).toBe(data.length + 32);
    }),
    { numRuns: 20 },
  );
});

it('EK03: refuses every cut and every changed byte', async () => {
  await fc.assert(
    fc.asyncProperty(pages, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (data, where, by, cut) => {
      const whole = sealed(data);
      const at = where % whole.length;
      if (cut) writeFileSync(file, whole.subarray(0, at));
      else writeFileSync(file, whole.with(at, whole[at]! ^ by));
      await expect(checkSnapshot(file, 'it')).rejects.toMatchObject({ exit: 'verifyFailed' });
    }),
    { numRuns: 60 },
  );
});
