import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Manifest } from '../../src/core/contracts.ts';
import { isId } from '../../src/core/id.ts';
import { decodeJournal, encodeJournal } from '../../src/core/journal.ts';
import { decodeManifest } from '../../src/core/manifest.ts';
import { decodeSet } from '../../src/core/set.ts';
import { encodeSigned } from '../../src/core/signed.ts';
import { makeKeys, publicText, signingKey, signingText } from '../../src/flow/keys.ts';
import { allChanged, bent, bytesChange, change } from './mutate.ts';
import { RUNS, told } from './told.ts';

const signing = signingText(Buffer.alloc(32, 3));
const keys = makeKeys({ recipients: [], signing: () => signing, trusted: [publicText(signingKey(signing))] });
const hash = 'a'.repeat(64);
const ID = '20260115T020000Z-4f2a1c';

const manifest = {
  version: 1,
  id: ID,
  env: 'prod',
  kind: 'postgres',
  name: 'app',
  engine: 'native',
  identity: { systemIdentifier: '7' },
  lineage: '7-1',
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
      stored: { bytes: 20, sha256: hash },
      blockBytes: 16,
      objects: [{ key: 'p/o', bytes: 20, blocks: [hash, hash] }],
    },
    { name: 'files', held: { by: 'restic', id: 'abc123', under: 'p/restic', objects: [{ key: 'p/restic/x', bytes: 3 }] } },
  ],
  needs: [{ backup: ID }, { log: '7-1', from: '0/2000000', to: 'A/1' }, { held: { by: 'wal-g', id: 'base_1' } }, { key: 'age1x' }],
  wal: { timeline: 1, from: '0/2000000', to: 'A/1', segmentBytes: 16777216 },
  tablespaces: [{ oid: '16400', name: 'fast', location: '/mnt/fast' }],
  baseline: { tables: 3 },
  versions: { tool: 'bkp' },
  notCovered: [],
  warnings: ['one'],
};
const set = {
  version: 1,
  id: ID,
  env: 'prod',
  startedAt: '2026-01-15T02:00:00.000Z',
  finishedAt: '2026-01-15T02:00:06.000Z',
  tool: 'bkp',
  members: [{ kind: 'redis', name: 'cache', backup: ID, recoveryPointAt: '2026-01-15T02:00:00.000Z' }],
};
const journal = {
  version: 1 as const,
  id: ID,
  env: 'prod',
  asked: 'x',
  startedAt: '2026-01-15T02:00:00.000Z',
  steps: [{ kind: 'redis', name: 'cache', wave: 0, want: { latest: true }, to: '/x', places: ['/x'], state: 'waiting' as const }],
};

const text = (value: unknown): boolean => typeof value === 'string';

/** What everything behind a manifest takes for granted. */
function isSound(read: Manifest): void {
  expect(isId(read.id)).toBe(true);
  for (const at of [read.startedAt, read.recoveryPointAt, read.finishedAt]) expect(Number.isNaN(Date.parse(at))).toBe(false);
  for (const piece of read.pieces) {
    expect(piece.name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
    if ('held' in piece) expect(piece.held.id).toMatch(/^[A-Za-z0-9]/);
    else {
      const { stored, objects, blockBytes } = piece;
      expect(objects.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(stored.bytes);
      for (const { bytes, blocks } of objects) expect(blocks).toHaveLength(Math.ceil(bytes / blockBytes));
    }
  }
  for (const need of read.needs)
    if ('backup' in need) expect(isId(need.backup)).toBe(true);
    else if ('log' in need) expect([need.log, need.from, need.to].every(text)).toBe(true);
    else if ('held' in need) expect(text(need.held.id)).toBe(true);
    else expect(text(need.key)).toBe(true);
}

const tried = (raw: Buffer): void => {
  const outcome = told(() => decodeManifest(raw, keys.verify, 'manifest m'));
  if ('value' in outcome) isSound(outcome.value);
  else expect(outcome.error).toMatchObject({ exit: 'verifyFailed', message: expect.stringContaining('manifest m') });
};

describe('a manifest', () => {
  it('is good before it is changed', () => {
    isSound(decodeManifest(encodeSigned(manifest, keys.sign), keys.verify, 'm'));
  });

  it('that was signed with anything in it is sound, or refused by its place', () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), changes =>
        tried(encodeSigned(allChanged(manifest, changes) ?? null, keys.sign)),
      ),
      { numRuns: RUNS * 5 },
    );
  });

  it('whose bytes were changed is refused, unless what was signed is the same', () => {
    const raw = encodeSigned(manifest, keys.sign);
    fc.assert(
      fc.property(fc.array(bytesChange, { minLength: 1, maxLength: 3 }), changes => {
        const now = bent(raw, changes);
        const outcome = told(() => decodeManifest(now, keys.verify, 'm'));
        if ('value' in outcome) expect(outcome.value).toEqual(manifest);
      }),
      { numRuns: RUNS },
    );
  });

  it('that is anything at all is refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.json().map(json => Buffer.from(`${json}\n${json}\n`)),
        ),
        bytes => tried(Buffer.from(bytes)),
      ),
      { numRuns: RUNS },
    );
  });
});

describe('a set and a journal', () => {
  it('with anything in them are read or refused', () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), changes => {
        const place = { id: ID, env: 'prod' };
        told(() => decodeSet(encodeSigned(allChanged(set, changes) ?? null, keys.sign), keys.verify, 'set s', place));
        told(() => decodeJournal(JSON.stringify(allChanged(journal, changes)) ?? '', 'journal.json'));
      }),
      { numRuns: RUNS },
    );
  });

  it('a journal that was cut anywhere is refused', () => {
    const whole = encodeJournal(journal);
    for (let at = 0; at < whole.length - 2; at += 1)
      expect(told(() => decodeJournal(whole.slice(0, at), 'journal.json'))).toMatchObject({ error: { exit: 'refused' } });
  });
});
