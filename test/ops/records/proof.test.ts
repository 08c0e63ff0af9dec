import { expect, it } from '@jest/globals';
import { BkpError } from '../../../src/core/errors.ts';
import { putBytes } from '../../../src/flow/bytes.ts';
import { proofsIn, prove } from '../../../src/ops/records/proof.ts';
import { world } from './world.ts';

const [A, B, C] = ['20260113T020000Z-4f2a1c', '20260114T020000Z-4f2a1c', '20260115T020000Z-4f2a1c'] as const;
const at = (day: number): Date => new Date(Date.UTC(2026, 1, day));

it('proofs of one store, by the time of the proof; a second one of a backup takes the place of the first', async () => {
  const w = world();
  await prove(w.ctx, w.store, C, at(1), 'drill');
  await prove(w.ctx, w.store, A, at(2), 'drill');
  await prove(w.ctx, w.other, B, at(3), 'drill');
  expect(await proofsIn(w.ctx, w.store)).toEqual([
    { id: C, at: at(1) },
    { id: A, at: at(2) },
  ]);
  await prove(w.ctx, w.store, C, at(4), 'drill');
  expect((await proofsIn(w.ctx, w.store)).map(({ id }) => id)).toEqual([A, C]);
  expect(await proofsIn({ ...w.ctx, base: 'prod/fake/ap' }, w.store)).toEqual([]);
});

it('one that cannot be read counts, as of when it was written', async () => {
  const w = world();
  await prove(w.ctx, w.store, A, at(1), 'drill');
  await putBytes(w.store, `prod/proofs/fake/app/${B}.json`, Buffer.from('nonsense'));
  await putBytes(w.store, 'prod/proofs/fake/app/no-id.json', Buffer.from('nonsense'));
  expect(await proofsIn(w.ctx, w.store)).toEqual([
    { id: A, at: at(1) },
    { id: B, at: w.storeNow() },
  ]);
});

it('what is no id, and a store that takes none, are errors of the caller', async () => {
  const w = world();
  await expect(prove(w.ctx, w.store, '../x', at(1), 'drill')).rejects.toMatchObject({ exit: 'usage' });
  w.store.options.fail = () => {
    throw new BkpError('storeUnreachable', 'store one is read-only');
  };
  await expect(prove(w.ctx, w.store, A, at(1), 'drill')).rejects.toMatchObject({ exit: 'storeUnreachable' });
  await expect(proofsIn(w.ctx, w.store)).rejects.toMatchObject({ exit: 'storeUnreachable' });
});
