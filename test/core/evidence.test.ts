import { describe, expect, it } from '@jest/globals';
import { decodeEvidence, type Evidence, encodeEvidence } from '../../src/core/evidence.ts';
import { makeKeys, publicText, signingKey, signingText } from '../../src/flow/keys.ts';

const keysOf = (seed: number) => {
  const signing = signingText(Buffer.alloc(32, seed));
  return makeKeys({ recipients: [], signing: () => signing, trusted: [publicText(signingKey(signing))] });
};
const ours = keysOf(1);

const evidence: Evidence = {
  version: 1,
  id: '20260115T020000Z-4f2a1c',
  env: 'production',
  drilledIn: 'staging',
  scope: 'full-dr',
  tool: 'bkp 0',
  startedAt: '2026-01-15T02:00:00.000Z',
  finishedAt: '2026-01-15T02:01:00.000Z',
  result: 'passed',
  targets: [
    { kind: 'redis', name: 'cache', engine: 'rdb', wave: 0, result: 'passed', checks: [{ name: 'keys', state: 'ok', text: '5 keys' }] },
  ],
};

describe("a drill's record", () => {
  it('comes back as it was signed', () => {
    expect(decodeEvidence(encodeEvidence(evidence, ours.sign), ours.verify, 'it')).toEqual(evidence);
  });

  it('of another key, or changed, is none', () => {
    const raw = encodeEvidence(evidence, ours.sign);
    expect(() => decodeEvidence(encodeEvidence(evidence, keysOf(2).sign), ours.verify, 'it')).toThrow(/not signed by a key/);
    const changed = Buffer.from(raw.toString().replace('"passed"', '"failed"'));
    expect(() => decodeEvidence(changed, ours.verify, 'it')).toThrow(/changed after signing/);
  });

  it('that says no more than its name is refused with the place', () => {
    const { targets: _, ...empty } = evidence;
    expect(() => decodeEvidence(encodeEvidence(empty as Evidence, ours.sign), ours.verify, 'it')).toThrow(
      /it is no record of a drill.*targets/,
    );
  });
});
