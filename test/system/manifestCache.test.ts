import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { ManifestCache } from '../../src/core/contracts.ts';
import { catalog } from '../../src/ops/catalog.ts';
import { cacheDir, manifestCache } from '../../src/system/manifestCache.ts';
import { BASE, chunks, fakeTarget, frail, keySet, type Rig, rig } from '../ops/rig.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-cache-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const aBackup = (r: Rig) => r.backup(fakeTarget(() => ({ data: chunks(Buffer.from('some bytes')) })));

test('what was read once is not asked of the store again, and its signature still counts', async () => {
  using r = rig();
  const { manifest } = await aBackup(r);
  const cache = manifestCache(dir);
  await catalog(r.stores, BASE, r.ctx.keys, cache);
  const fallen = r.stores.map(frail);
  for (const { broken } of fallen) broken.add('get');
  const stores = fallen.map(({ store }) => store);
  expect((await catalog(stores, BASE, r.ctx.keys, cache)).known.map(each => each.manifest.id)).toEqual([manifest.id]);
  const strangers = keySet().keys;
  expect((await catalog(stores, BASE, strangers, cache)).known).toEqual([]);
  await expect(catalog(stores, BASE, r.ctx.keys)).rejects.toMatchObject({ exit: 'storeUnreachable' });
});

test('a manifest that changed in the store is read anew, and one that is gone is gone', async () => {
  using r = rig();
  const { manifest } = await aBackup(r);
  const cache = manifestCache(dir);
  await catalog(r.stores, BASE, r.ctx.keys, cache);
  const path = join(r.dir, 'one', BASE, 'backups', manifest.id, 'manifest.json');
  writeFileSync(path, 'no manifest');
  const { known, problems } = await catalog(r.stores, BASE, r.ctx.keys, cache);
  expect(known[0]?.stores).toEqual(['two']);
  expect(problems).toMatchObject([{ store: 'one', error: expect.stringContaining('carries no signature') }]);
  rmSync(path);
  rmSync(join(r.dir, 'two', BASE, 'backups', manifest.id, 'manifest.json'));
  expect((await catalog(r.stores, BASE, r.ctx.keys, cache)).known).toEqual([]);
});

test('it is written when something in it changed, and only then', async () => {
  using r = rig();
  await aBackup(r);
  const kept = manifestCache(dir);
  const saved: number[] = [];
  const cache: ManifestCache = {
    ...kept,
    save: async (base, store, manifests) => {
      saved.push(manifests.size);
      await kept.save(base, store, manifests);
    },
  };
  const look = () => catalog(r.stores.slice(0, 1), BASE, r.ctx.keys, cache);
  for (const _ of [1, 2]) await look();
  expect(saved).toEqual([1]);
  const { manifest } = await aBackup(r);
  for (const _ of [1, 2]) await look();
  rmSync(join(r.dir, 'one', BASE, 'backups', manifest.id), { recursive: true });
  for (const _ of [1, 2]) await look();
  expect(saved).toEqual([1, 2, 1]);
});

test('a directory that cannot be used, or a damaged file in it, costs time and nothing else', async () => {
  using r = rig();
  await aBackup(r);
  writeFileSync(join(dir, 'file'), 'x');
  for (const place of [join(dir, 'file'), '/proc/nowhere/at/all']) {
    const nowhere = manifestCache(place);
    await nowhere.save('a', 'b', new Map([['k', { bytes: 1, modified: 'm', raw: 'r' }]]));
    expect((await nowhere.load('a', 'b')).size).toBe(0);
    expect((await catalog(r.stores, BASE, r.ctx.keys, nowhere)).known).toHaveLength(1);
  }
});

test('the directory is the one that XDG names', () => {
  expect(cacheDir({ XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/x/bkp');
  expect(cacheDir({ HOME: '/h' })).toBe('/h/.cache/bkp');
  expect(cacheDir({ XDG_CACHE_HOME: 'x', HOME: '/h' })).toBe('/h/.cache/bkp');
  expect(cacheDir({ XDG_CACHE_HOME: 'x' })).toBeUndefined();
  expect(cacheDir({})).toBeUndefined();
});
