import { join } from 'node:path';
import { expect, it, test } from '@jest/globals';
import type { RestoreRequest } from '../../src/core/contracts.ts';
import { gathered } from '../../src/ops/gathered.ts';
import { restoreTarget } from '../../src/ops/restore.ts';
import { chunks, fakeTarget, keySet, rig } from './rig.ts';

test('what is wrong with many in the same way is told once for each store, with their number', () => {
  const of = (store: string, key: string, why: string) => ({ store, key, error: `${key} in store ${store} ${why}` });
  expect(
    gathered([of('one', 'k/1', 'is strange'), of('one', 'k/2', 'is strange'), of('two', 'k/1', 'is strange'), of('one', 'k/3', 'is cut')]),
  ).toEqual([
    { store: 'one', key: 'k/1', error: 'k/1 in store one is strange; so it is with 1 more there' },
    of('two', 'k/1', 'is strange'),
    of('one', 'k/3', 'is cut'),
  ]);
  expect(gathered([{ store: 'one', error: 'gone' }])).toEqual([{ store: 'one', error: 'gone' }]);
});

it('a backup after a new signing key alone warns once for each store', async () => {
  using r = rig();
  const target = fakeTarget(() => ({ data: chunks(Buffer.from('hello')) }));
  for (let n = 0; n < 3; n += 1) await r.backup(target);
  r.events.length = 0;
  await r.backup(target, { keys: keySet().keys });
  const told = r.events.flatMap(event => (event.type === 'warning' && event.text.includes('keys.trusted') ? [event.text] : []));
  expect(told).toEqual(['one', 'two'].map(store => expect.stringMatching(new RegExp(`^store ${store}, .*; so it is with 2 more there$`))));
});

it('so do the next steps of a restore that does not find its backup', async () => {
  using r = rig();
  const target = fakeTarget(() => ({ data: chunks(Buffer.from('hello')) }));
  for (let n = 0; n < 3; n += 1) await r.backup(target);
  const request = { want: { backup: '20200101T000000Z-abcdef' }, to: join(r.dir, 'to') };
  const error = await restoreTarget(target, { ...r.ctx, keys: keySet().keys }, request as RestoreRequest, new Uint8Array(8)).catch(e => e);
  expect(error.next).toHaveLength(3);
  expect(error.next[1]).toMatch(/^store one has a problem: .*; so it is with 2 more there$/);
});
