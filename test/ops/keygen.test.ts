import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { makeKeys } from '../../src/flow/keys.ts';
import { openSmall, sealSmall } from '../../src/flow/small.ts';
import { keygen } from '../../src/ops/keygen.ts';

test('makes keys that seal, sign and open, readable by their owner alone, and never overwrites', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-keygen-'));
  try {
    const { files, block } = await keygen(dir);
    for (const file of files) expect(statSync(file).mode & 0o777).toBe(0o600);
    const { keys } = parse(block) as { keys: { recipients: string[]; identity: string; signing: string; trusted: string[] } };
    const value = (ref: string) => readFileSync(/^\$\{file:(.*)\}$/.exec(ref)![1]!, 'utf8').trim();
    const made = makeKeys({ ...keys, identity: () => value(keys.identity), signing: () => value(keys.signing) });
    expect((await openSmall(await sealSmall(Buffer.from('x'), made), made, 'it')).plain.toString()).toBe('x');
    await expect(keygen(dir)).rejects.toMatchObject({ exit: 'refused' });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a host without a key says which setting it lacks', () => {
  const none = makeKeys({ recipients: [], trusted: [] });
  expect(() => none.identity()).toThrow('keys.identity');
  expect(() => none.sign(new Uint8Array())).toThrow('keys.signing');
});
