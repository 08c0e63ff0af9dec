import { randomBytes } from 'node:crypto';
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Target, TargetContext, Trial } from '../../../src/core/contracts.ts';
import { tryTarget } from '../../../src/ops/kit/tryout.ts';
import { childrenOf, waitFor } from '../../real/rig/index.ts';
import { agePair, chunks, fakeTarget, keySet, type Rig, rig } from '../rig.ts';

const LARGE = randomBytes(40 << 20);

const look = (r: Rig, target: Target, change: Partial<TargetContext> = {}, deep = false) =>
  tryTarget({ target, ctx: r.context(change) }, { deep, random: () => randomBytes(8) });
const states = (rows: Awaited<ReturnType<typeof look>>) => rows.map(({ store, state }) => `${store} ${state}`);

const small = fakeTarget(() => ({ large: chunks(LARGE), small: chunks(Buffer.from('hello')) }));

test('the smallest piece of the newest backup is opened out of each store', async () => {
  using r = rig();
  await r.backup(small);
  const { manifest } = await r.backup(small);
  expect(await look(r, small)).toEqual(
    ['one', 'two'].map(store => ({
      target: 'fake/app',
      store,
      state: 'ok',
      backups: 2,
      backup: manifest.id,
      text: 'small was opened whole, 5 bytes',
    })),
  );
});

test('of a large one the beginning is enough, and no child stays', async () => {
  using r = rig();
  const target = fakeTarget(() => ({ large: chunks(LARGE) }));
  await r.backup(target);
  const before = childrenOf(process.pid);
  const rows = await look(r, target);
  expect(states(rows)).toEqual(['one ok', 'two ok']);
  expect(Number(/^the first (\d+) bytes of large were opened$/.exec(rows[0]!.text)?.[1])).toBeLessThan(LARGE.length / 2);
  await waitFor(async () => childrenOf(process.pid).every(pid => before.includes(pid)), 'zstd and age to end');
});

test('another identity, another verify key, damage, and a store that is gone are told one from another', async () => {
  using r = rig();
  const { manifest } = await r.backup(small);
  const path = (store: string, name: string) =>
    join(r.dir, store, r.files(store).find(each => each.includes(manifest.id) && each.includes(name))!);
  const strange = agePair();
  const wrong = { ...r.ctx.keys, identity: () => strange.identity };
  const [first] = await look(r, small, { keys: wrong });
  expect(first).toMatchObject({ state: 'bad', backup: manifest.id, text: expect.stringMatching(/another key.*it was sealed for/) });
  const [untrusted] = await look(r, small, { keys: keySet().keys });
  expect(untrusted).toMatchObject({ state: 'bad', backups: 0, text: expect.stringContaining('not signed by a key of keys.trusted') });
  writeFileSync(path('one', 'small'), 'x'.repeat(200));
  truncateSync(path('two', 'large'), 1000);
  const damaged = await look(r, small);
  expect(damaged).toMatchObject([
    { state: 'bad', text: expect.stringContaining('1 of its backups are not whole') },
    { state: 'bad', text: expect.stringContaining('1 of its backups are not whole') },
  ]);
  rmSync(join(r.dir, 'two'), { recursive: true });
  expect(states(await look(r, small))).toEqual(['one bad', 'two silent']);
});

test('newer backups that are signed by a key which the kit does not trust are missed, though older ones open', async () => {
  using r = rig();
  await r.backup(small);
  await r.backup(small, { keys: { ...r.ctx.keys, sign: keySet().keys.sign, verify: () => true } });
  const rows = await look(r, small);
  expect(states(rows)).toEqual(['one bad', 'two bad']);
  expect(rows[0]!.text).toMatch(/^small was opened whole, 5 bytes; but 1 of its backups count for nothing: .*keys\.trusted/);
});

test('with deep it is proven out of each store, and nothing is written down there', async () => {
  using r = rig();
  const seen: string[] = [];
  const trial = (state: Trial['state']) => ({ name: 'all', state, text: 'tried' });
  const provable = (state: Trial['state']): Target => ({
    ...small,
    async *prove(ctx) {
      seen.push(ctx.stores.map(({ name }) => name).join());
      yield trial(state);
    },
  });
  await r.backup(small);
  const before = [...r.files('one'), ...r.files('two')];
  expect(await look(r, provable('ok'), {}, true)).toMatchObject([
    { state: 'ok', text: expect.stringMatching(/^restored and tried in/) },
    { state: 'ok' },
  ]);
  expect(seen).toEqual(['one', 'two']);
  expect(await look(r, provable('unproven'), {}, true)).toMatchObject([
    { state: 'bad', text: expect.stringContaining('is not proven') },
    {},
  ]);
  expect(states(await look(r, provable('fail'), {}, true))).toEqual(['one bad', 'two bad']);
  expect([...r.files('one'), ...r.files('two')]).toEqual(before);
});

test('older backups that no identity of the kit opens are told, though the newest comes back', async () => {
  using r = rig();
  const next = agePair();
  const { manifest: old } = await r.backup(small);
  await r.backup(small, { keys: { ...r.ctx.keys, recipients: [next.recipient] } });
  const having = (...identities: string[]) => look(r, small, { keys: { ...r.ctx.keys, identity: () => `${identities.join('\n')}\n` } });
  const rows = await having(next.identity);
  expect(states(rows)).toEqual(['one partly', 'two partly']);
  expect(rows[0]!.text).toMatch(
    new RegExp(`^small was opened whole, 5 bytes; but 1 of 2 backup\\(s\\) are sealed for another key .*\\(${old.id}; sealed for age1`),
  );
  expect(states(await having(next.identity, r.ctx.keys.identity()))).toEqual(['one ok', 'two ok']);
});
