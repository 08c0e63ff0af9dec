import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readAll } from '../../../../../src/flow/bytes.ts';
import { unzipped } from '../../../../../src/providers/targets/etcd/k3s/unzip.ts';

let dir: string;
const data = Buffer.from('pages of a database, '.repeat(5000));
const WRITE = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', int(sys.argv[2])) as archive:
    for name in sys.argv[3:]:
        archive.write('data', name)
`;
const zip = (name: string, method: number, ...members: string[]): string => {
  execFileSync('python3', ['-c', WRITE, name, String(method), ...members], { cwd: dir });
  return join(dir, name);
};

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-test-'));
  writeFileSync(join(dir, 'data'), data);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it.each([0, 8])('gives back the one file (method %i)', async method => {
  expect(await readAll(unzipped(zip(`m${method}.zip`, method, 'snapshot')))).toEqual(data);
});

it('refuses two files, a cut and a damaged one', async () => {
  await expect(readAll(unzipped(zip('two.zip', 8, 'a', 'b')))).rejects.toMatchObject({ exit: 'verifyFailed' });
  const whole = readFileSync(zip('whole.zip', 8, 'snapshot'));
  const cut = join(dir, 'cut.zip');
  writeFileSync(cut, whole.subarray(0, 100));
  await expect(readAll(unzipped(cut))).rejects.toMatchObject({ exit: 'verifyFailed' });
  const bent = join(dir, 'bent.zip');
  writeFileSync(bent, whole.fill(0xff, 60, 120));
  await expect(readAll(unzipped(bent))).rejects.toMatchObject({ exit: 'verifyFailed' });
});
