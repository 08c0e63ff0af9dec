import { describe, expect, it } from '@jest/globals';
import { decodeKit, encodeKit, type KitRecord } from '../../../src/core/kit/record.ts';
import { encodeSigned } from '../../../src/core/signed.ts';
import { keySet } from '../../ops/rig.ts';

const { keys } = keySet();
const record: KitRecord = {
  version: 1,
  id: '20260115T020000Z-4f2a1c',
  env: 'prod',
  did: 'exported',
  at: '2026-01-15T02:00:00.000Z',
  tool: 'bkp 1',
  kit: '20260115T015959Z-000000',
  madeAt: '2026-01-15T01:59:59.000Z',
  seal: { by: 'passphrase', count: 1 },
  covers: { config: 'h', targets: ['redis/cache'], stores: ['b2'], recipients: ['age1x'] },
};
const read = (raw: Buffer, place: Partial<KitRecord> = {}) =>
  decodeKit(raw, keys.verify, 'it', { id: record.id, env: 'prod', did: 'exported', ...place });

describe('the record of a kit', () => {
  it('comes back as it was signed', () => {
    expect(read(encodeKit(record, keys.sign))).toEqual(record);
  });

  it.each([[{ id: '20260115T020000Z-aaaaaa' }], [{ env: 'staging' }], [{ did: 'proven' as const }]])(
    'is refused at another place: %j',
    place => {
      expect(() => read(encodeKit(record, keys.sign), place)).toThrow(/moved or copied/);
    },
  );

  it('is refused when nobody whom the config trusts signed it, and when it is something else', () => {
    expect(() => read(encodeKit(record, keySet().keys.sign))).toThrow(/not signed by a key of keys.trusted/);
    expect(() => read(encodeSigned({ ...record, did: 'stolen' }, keys.sign))).toThrow(/no record of a kit that this version reads: did/);
  });
});
