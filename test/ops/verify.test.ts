import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Target } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { encodeManifest } from '../../src/core/manifest.ts';
import { lastRuns } from '../../src/ops/records/run.ts';
import { verdict, verifyTarget } from '../../src/ops/verify.ts';
import { agePair, BASE, chunks, fakeTarget, frail, keySet, type Rig, rig } from './rig.ts';

const target = fakeTarget(() => ({ data: chunks(Buffer.alloc(3 << 20, 'x')) }));
const look = (r: Rig, options: { deep: boolean; sample?: number } = { deep: false }, change = {}) =>
  verifyTarget(target, r.context(change), { random: () => randomBytes(3), ...options });
const findings = (results: Awaited<ReturnType<typeof look>>) => results.flatMap(each => each.findings);
const objectIn = (r: Rig, store: string): string => join(r.dir, store, r.files(store).find(path => path.includes('data.zst'))!);

test('a whole backup in both stores is good, and --deep says how much was read', async () => {
  using r = rig();
  const { bytes } = await r.backup(target);
  const results = await look(r, { deep: true });
  expect(findings(results)).toEqual([]);
  expect(results).toMatchObject([
    { store: 'one', backups: 1, whole: 1, bytesRead: bytes },
    { store: 'two', backups: 1, whole: 1, bytesRead: bytes },
  ]);
  expect(verdict(results)).toBe('done');
});

test('a backup that no identity of this host opens is not called good; one of two is enough, and a host without any restores nothing', async () => {
  using r = rig();
  const { manifest } = await r.backup(target);
  const having = (identity: () => string) => look(r, { deep: false }, { keys: { ...r.ctx.keys, identity } });
  const other = agePair().identity;
  const shut = await having(() => other);
  expect(findings(shut)).toMatchObject(
    ['one', 'two'].map(store => ({ store, state: 'unproven', text: expect.stringContaining(manifest.id) })),
  );
  expect(verdict(shut)).toBe('partial');
  expect(findings(await having(() => `# new\n${other}\n${r.ctx.keys.identity()}\n`))).toEqual([]);
  const none = () => {
    throw new BkpError('usage', 'keys.identity is not set');
  };
  expect(findings(await having(none))).toEqual([]);
});

test('what could not be looked at counts as no verification: the last good one stays what it was, and damage that was found stays found', async () => {
  using r = rig();
  await r.backup(target);
  const shut: Target = {
    ...target,
    async *verify(_, { store }) {
      yield { store: store.name, state: 'unproven', text: 'the password does not open the repository' };
    },
  };
  const looked = async (how: Target) => verdict(await verifyTarget(how, r.context(), { random: () => randomBytes(3), deep: false }));
  const recorded = async () => (await lastRuns(r.ctx, r.stores[0]!)).verify;
  expect(await looked(shut)).toBe('partial');
  expect(await recorded()).toBeUndefined();
  expect(await looked(target)).toBe('done');
  const { success } = (await recorded())!;
  const object = objectIn(r, 'one');
  const bytes = readFileSync(object);
  rmSync(object);
  expect(await looked(target)).toBe('verifyFailed');
  const damage = await recorded();
  expect(damage).toMatchObject({ success, failure: { exit: 'verifyFailed' } });
  writeFileSync(object, bytes);
  expect(await looked(shut)).toBe('partial');
  expect(await recorded()).toEqual(damage);
});

test('a backup that a newer bkp wrote is neither damaged nor a stray: it is told whose it is, and cannot be proven here', async () => {
  using r = rig();
  const { manifest } = await r.backup(target);
  const path = join(r.dir, 'one', r.files('one').find(name => name.endsWith('manifest.json'))!);
  writeFileSync(path, encodeManifest({ ...manifest, version: 2 as never, pieces: 'otherwise' as never }, r.ctx.keys.sign));
  const alone = await look(r, { deep: false }, { stores: [r.stores[0]!] });
  expect(findings(alone)).toEqual([
    {
      store: 'one',
      state: 'unproven',
      key: expect.stringContaining(manifest.id),
      text: expect.stringMatching(/was written by a newer bkp, in format 2; this one reads format 1$/),
    },
  ]);
  expect(verdict(alone)).toBe('partial');
});

test('no backup at all is a failure', async () => {
  using r = rig();
  expect(verdict(await look(r))).toBe('verifyFailed');
});

test('a missing object and a cut one are named with the backup that they break', async () => {
  using r = rig();
  const { manifest } = await r.backup(target);
  rmSync(objectIn(r, 'one'));
  writeFileSync(objectIn(r, 'two'), 'short');
  const results = await look(r);
  const breaks = [`backup ${manifest.id}`];
  expect(findings(results)).toMatchObject([
    { store: 'one', state: 'missing', breaks },
    { store: 'two', state: 'damaged', breaks },
  ]);
  expect(results.map(({ whole }) => whole)).toEqual([0, 0]);
  expect(verdict(results)).toBe('verifyFailed');
});

test('a flipped byte shows only when bytes are read: by --deep, and by the sample of one day', async () => {
  using r = rig();
  await r.backup(target);
  const path = objectIn(r, 'two');
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
  expect(findings(await look(r))).toEqual([]);
  expect(findings(await look(r, { deep: true }))).toMatchObject([{ store: 'two', state: 'damaged' }]);
  const found = [];
  for (let day = 0; day < 4; day += 1) {
    const clock = { ...r.ctx.clock, now: () => new Date(Date.UTC(2027, 0, 1 + day)) };
    found.push(findings(await look(r, { deep: false, sample: 25 }, { clock })).length);
  }
  expect(found.sort()).toEqual([0, 0, 0, 1]);
});

test('a manifest that nobody trusted signed is damage; a store that does not answer is told beside what the other shows', async () => {
  using r = rig();
  await r.backup(target);
  const stranger = await look(r, { deep: false }, { keys: keySet().keys });
  expect(findings(stranger)).toContainEqual(
    expect.objectContaining({ state: 'damaged', text: expect.stringContaining('not signed by a key') }),
  );
  const [one, two] = r.stores;
  const fallen = frail(two!);
  fallen.broken.add('list');
  const half = await look(r, { deep: false }, { stores: [one!, fallen.store] });
  expect(findings(half)).toMatchObject([{ store: 'two', state: 'unreachable' }]);
  expect(verdict(half)).toBe('storeUnreachable');
});

test('PG18 PG21: what belongs to nothing is a stray, and a piece without a manifest is no backup', async () => {
  using r = rig();
  const { manifest } = await r.backup(target);
  writeFileSync(join(r.dir, 'one', BASE, 'note.txt'), '');
  rmSync(join(r.dir, 'two', BASE, 'backups', manifest.id, 'manifest.json'));
  const results = await look(r);
  expect(findings(results)).toContainEqual(expect.objectContaining({ store: 'one', state: 'stray', key: `${BASE}/note.txt` }));
  expect(findings(results)).toContainEqual(expect.objectContaining({ store: 'two', state: 'missing' }));
  expect(findings(results)).toContainEqual(
    expect.objectContaining({ store: 'two', state: 'stray', key: expect.stringContaining(manifest.id) }),
  );
  expect(results[1]?.backups).toBe(0);
});
