import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { derivedKey, identitiesOf } from '../../src/flow/derive.ts';
import { makeKeys } from '../../src/flow/keys.ts';
import { openSmall, sealSmall } from '../../src/flow/small.ts';
import { derivedKeys, keygen } from '../../src/ops/keygen.ts';
import { agePair } from './rig.ts';

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

test('a derived key is the same for ever, another for each target and identity, and 32 characters long', async () => {
  const one = 'AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSQ3Z3T5';
  const key = derivedKey(one, 'bkp/production/postgres/app');
  expect(key).toBe('odQWNB0lLtylVAV3_daBI2bWyfnNSzGX');
  expect(key).toMatch(/^[\w-]{32}$/);
  expect(derivedKey(one, 'bkp/production/postgres/app2')).not.toBe(key);
  expect(derivedKey(agePair().identity, 'bkp/production/postgres/app')).not.toBe(key);
  expect(() => derivedKey('secret', 'x')).toThrow(/only an age identity/);
  expect(identitiesOf(`# made today\n${one}\n\n`)).toEqual([one]);
  const [a, b] = [agePair(), agePair()];
  const derived = await derivedKeys(`${a.identity}\n${b.identity}\n`, 'x');
  expect(derived).toEqual([a, b].map(({ identity, recipient }) => ({ recipient, key: derivedKey(identity, 'x') })));
});
