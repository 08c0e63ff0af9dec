import { describe, expect, test } from '@jest/globals';
import type { Manifest } from '../../src/core/contracts.ts';
import { decodeManifest, decodeManifestAside, encodeManifest } from '../../src/core/manifest.ts';
import { makeKeys, publicText, signingKey, signingText } from '../../src/flow/keys.ts';

const keysOf = (seed: number) => {
  const signing = signingText(Buffer.alloc(32, seed));
  const trusted = [publicText(signingKey(signing))];
  return makeKeys({ recipients: [], signing: () => signing, trusted });
};
const ours = keysOf(1);
const hash = 'a'.repeat(64);

const manifest: Manifest = {
  version: 1,
  id: '20260115T020000Z-4f2a1c',
  env: 'prod',
  kind: 'postgres',
  name: 'app',
  engine: 'native',
  identity: { systemIdentifier: '7' },
  startedAt: '2026-01-15T02:00:00.000Z',
  recoveryPointAt: '2026-01-15T02:00:05.000Z',
  finishedAt: '2026-01-15T02:00:06.000Z',
  line: ['zstd', 'age'],
  recipients: ['age1x'],
  pieces: [
    {
      name: 'base',
      bytes: 5,
      sha256: hash,
      stored: { bytes: 9, sha256: hash },
      blockBytes: 16,
      objects: [{ key: 'p/o', bytes: 9, blocks: [hash] }],
    },
  ],
  needs: [],
  wal: { timeline: 1, from: '0/2000000', to: 'A/1', segmentBytes: 16777216 },
  baseline: { tables: 3 },
  versions: { tool: 'bkp' },
  notCovered: [],
  warnings: ['one'],
};

const refused = (raw: Buffer, says: RegExp) => {
  try {
    decodeManifest(raw, ours.verify, 'm');
  } catch (error) {
    expect(error).toMatchObject({ exit: 'verifyFailed', message: expect.stringMatching(says) });
    return;
  }
  throw new Error('it was accepted');
};

test('comes back as it was written', () => {
  expect(decodeManifest(encodeManifest(manifest, ours.sign), ours.verify, 'm')).toEqual(manifest);
});

test('a signature that is checked in another thread counts as much', async () => {
  const raw = encodeManifest(manifest, ours.sign);
  expect(await decodeManifestAside(raw, ours.verifyAside, 'm')).toEqual(manifest);
  const bent = Buffer.from(raw);
  bent[raw.indexOf('4f2a1c')]! ^= 1;
  for (const bad of [bent, encodeManifest(manifest, keysOf(2).sign)])
    await expect(decodeManifestAside(bad, ours.verifyAside, 'm')).rejects.toMatchObject({
      exit: 'verifyFailed',
      message: expect.stringMatching(/not signed by a key of keys.trusted/),
    });
  await expect(decodeManifestAside(Buffer.from('hello'), ours.verifyAside, 'm')).rejects.toMatchObject({ exit: 'verifyFailed' });
  const { id: _, ...nameless } = manifest;
  await expect(decodeManifestAside(encodeManifest(nameless as Manifest, ours.sign), ours.verifyAside, 'm')).rejects.toMatchObject({
    message: expect.stringMatching(/no manifest that this version reads: id/),
  });
});

test('any flipped byte of the signed line is refused', () => {
  const raw = encodeManifest(manifest, ours.sign);
  for (let at = 0; at < raw.indexOf('\n'); at += 7) {
    const bent = Buffer.from(raw);
    bent[at] = bent[at]! ^ 1;
    expect(() => decodeManifest(bent, ours.verify, 'm')).toThrow();
  }
});

test('another key, no signature, and no manifest at all are refused', () => {
  refused(encodeManifest(manifest, keysOf(2).sign), /not signed by a key of keys.trusted/);
  refused(Buffer.from(JSON.stringify(manifest)), /carries no signature/);
  refused(Buffer.from('hello'), /carries no signature/);
  refused(Buffer.alloc(0), /carries no signature/);
});

test('one of a later format is told as such, where it is signed by a key of ours', () => {
  const later = { ...manifest, version: 2 as never, pieces: 'otherwise' as never };
  refused(encodeManifest(later, ours.sign), /^m was written by a newer bkp, in format 2; this one reads format 1$/);
  refused(encodeManifest(later, keysOf(2).sign), /not signed by a key of keys.trusted/);
});

describe('a signed manifest is still checked word by word', () => {
  const [piece] = manifest.pieces;
  test.each<[string, object]>([
    ['id', { id: '../../etc' }],
    ['name', { name: 'a/b' }],
    ['pieces', { pieces: [] }],
    ['pieces', { pieces: [{ ...piece, objects: [{ key: '../x', bytes: 1, blocks: [hash] }] }] }],
    ['pieces', { pieces: [{ ...piece, sha256: 'short' }] }],
    ['line', { line: ['sh'] }],
    ['version', { version: 0 }],
    ['startedAt', { startedAt: 'yesterday' }],
    ['wal', { wal: { ...manifest.wal, from: '$(id)' } }],
  ])('%s', (field, change) => {
    refused(encodeManifest({ ...manifest, ...change } as Manifest, ours.sign), new RegExp(`no manifest.*${field}`));
  });
});
