import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Clock, Store, TargetContext } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { putBytes, readAll } from '../../src/flow/bytes.ts';
import { openPiece } from '../../src/flow/open.ts';
import { catalog, manifestKey, missingObjects, streamed } from '../../src/ops/catalog.ts';
import { hold, holdsIn, release } from '../../src/ops/records/hold.ts';
import { BASE, chunks, fakeTarget, frail, keySet, rig } from './rig.ts';

const plain = randomBytes(3 * 1024 * 1024);
const good = (warnings: string[] = []) => fakeTarget(() => ({ data: chunks(plain) }), { warnings });
const ids = async (ctx: TargetContext, stores: readonly Store[] = ctx.stores) =>
  (await catalog(stores, BASE, ctx.keys)).known.map(({ manifest }) => manifest.id);
const still = (at: string): Clock => ({ now: () => new Date(at), sleep: async () => {} });

test('a backup is in both stores, whole, and reads back', async () => {
  using r = rig();
  const { manifest, stores, exit } = await r.backup(good(['lossy']));
  expect({ stores, exit }).toEqual({
    stores: [
      { name: 'one', ok: true },
      { name: 'two', ok: true },
    ],
    exit: 'done',
  });
  const { known, problems } = await catalog(r.stores, BASE, r.ctx.keys);
  expect(problems).toEqual([]);
  expect(known).toEqual([{ manifest, stores: ['one', 'two'] }]);
  expect(manifest.warnings).toEqual(['lossy']);
  const [piece] = streamed(known[0]!.manifest);
  expect((await readAll(openPiece(piece!, manifest.line, r.stores, r.ctx))).equals(plain)).toBe(true);
});

test('RT15: two runs of one second with one random never overwrite each other', async () => {
  using r = rig();
  const ctx = r.context({ clock: still('2026-01-15T02:00:00Z') });
  const run = (random = 'aabbcc') => r.backup(good(), ctx, { random: Buffer.from(random, 'hex') });
  const first = await run();
  const before = readFileSync(join(r.dir, 'one', BASE, 'backups', first.manifest.id, 'manifest.json'));
  await expect(run()).rejects.toMatchObject({ name: 'BkpError', message: expect.stringContaining('never overwritten') });
  expect(readFileSync(join(r.dir, 'one', BASE, 'backups', first.manifest.id, 'manifest.json')).equals(before)).toBe(true);
  expect(await missingObjects(first.manifest, r.stores[0]!)).toEqual([]);
  const other = await run('aabbcd');
  expect(await ids(ctx)).toEqual([first.manifest.id, other.manifest.id]);
});

test('an empty piece, no piece at all, and a broken second piece are no backup', async () => {
  using r = rig();
  async function* broken() {
    yield plain;
    throw new BkpError('failed', 'the dump ended with exit code 1');
  }
  await expect(r.backup(fakeTarget(() => ({ data: chunks(Buffer.alloc(0)) })))).rejects.toThrow('empty');
  await expect(r.backup(fakeTarget(() => ({})))).rejects.toThrow('nothing to back up');
  await expect(r.backup(fakeTarget(() => ({ first: chunks(plain), second: broken() })))).rejects.toThrow('exit code 1');
  expect([r.files('one'), r.files('two')]).toEqual([[], []]);
});

test('a store that fails midway: the other is whole, exit partial, and the next run heals it', async () => {
  using r = rig();
  const weak = frail(r.stores[1]!);
  const stores = [r.stores[0]!, weak.store];
  weak.broken.add('block 0');
  const first = await r.backup(good(), { stores });
  expect(first.exit).toBe('partial');
  expect(first.stores[1]).toMatchObject({ name: 'two', ok: false, error: expect.stringContaining('fell over') });
  expect(await ids(r.ctx, [r.stores[1]!])).toEqual([]);
  weak.broken.clear();
  const second = await r.backup(good(), { stores });
  expect(second).toMatchObject({ exit: 'done', healed: [{ id: first.manifest.id, store: 'two' }] });
  expect(await ids(r.ctx, [r.stores[1]!])).toEqual([first.manifest.id, second.manifest.id]);
  expect(await missingObjects(first.manifest, r.stores[1]!)).toEqual([]);
  expect(r.files('two')).toEqual(r.files('one'));
});

describe('a backup that is held', () => {
  /** One backup that only store one has, held there, or where `where` says. */
  const alone = async (r: ReturnType<typeof rig>, until?: Date) => {
    const [one] = r.stores;
    const { manifest } = await r.backup(good(), { stores: [one!] });
    await hold({ ...r.ctx, stores: [one!] }, manifest.id, { reason: 'lawsuit', ...(until ? { until } : {}) });
    return manifest.id;
  };
  const heldIn = async (r: ReturnType<typeof rig>, n: number) => [...(await holdsIn(r.ctx, r.stores[n]!, new Date()))];

  test('is held in a store that it is copied to as well', async () => {
    using r = rig();
    const id = await alone(r);
    expect((await r.backup(good())).healed).toEqual([{ id, store: 'two' }]);
    expect(await heldIn(r, 1)).toEqual([[id, 'held until it is released (lawsuit)']]);
    expect(await release(r.ctx, id)).toMatchObject({ exit: 'done', stores: [{ store: 'one' }, { store: 'two' }] });
  });

  test.each([
    ['the copy', '2998', '2999'],
    ['the other store', '2999', '2998'],
  ])('is held by the hold that ends last, which %s had', async (_, there, here) => {
    using r = rig();
    const id = await alone(r, new Date(`${there}-01-01T00:00:00Z`));
    const two = r.stores[1]!;
    await putBytes(two, manifestKey(BASE, id), Buffer.from('x'));
    await hold({ ...r.ctx, stores: [two] }, id, { reason: 'lawsuit', until: new Date(`${here}-01-01T00:00:00Z`) });
    await two.remove([manifestKey(BASE, id)]);
    expect((await r.backup(good())).healed).toEqual([{ id, store: 'two' }]);
    expect(await heldIn(r, 1)).toEqual([[id, 'held until 2999-01-01T00:00:00.000Z (lawsuit)']]);
  });

  test('is not copied where its hold cannot be written: unheld, a prune could remove it', async () => {
    using r = rig();
    const id = await alone(r);
    const two = r.stores[1]!;
    const open = (key: string, options?: Parameters<Store['open']>[1]) =>
      key.includes('/holds/') ? Promise.reject(new BkpError('storeUnreachable', 'no holds here')) : two.open(key, options);
    const { healed } = await r.backup(good(), {
      stores: [
        r.stores[0]!,
        {
          ...two,
          stat: k => two.stat(k),
          get: (k, o) => two.get(k, o),
          list: p => two.list(p),
          remove: k => two.remove(k),
          powers: () => two.powers(),
          open,
        },
      ],
    });
    expect(healed).toEqual([]);
    expect(await two.stat(manifestKey(BASE, id))).toBeUndefined();
    expect(r.events).toContainEqual({ type: 'warning', text: `backup ${id} is still missing in store two: no holds here` });
  });
});

test('a copy is not called healed when no store that holds it can be read', async () => {
  using r = rig();
  const [one, two] = r.stores.map(frail);
  const stores = [one!.store, two!.store];
  two!.broken.add('open');
  await r.backup(good(), { stores });
  two!.broken.clear();
  one!.broken.add('open');
  const second = await r.backup(good(), { stores });
  expect(second).toMatchObject({ exit: 'partial', healed: [] });
});

test('fewer stores than needed at the manifest: no store keeps a manifest, or a piece', async () => {
  using r = rig();
  const weak = frail(r.stores[1]!);
  weak.broken.add('manifest');
  await expect(r.backup(good(), { stores: [r.stores[0]!, weak.store], need: 2 })).rejects.toMatchObject({ exit: 'storeUnreachable' });
  expect([r.files('one'), r.files('two')]).toEqual([[], []]);
});

test('a signal cleans up', async () => {
  using r = rig();
  const stop = new AbortController();
  async function* stopped() {
    yield plain;
    stop.abort(new BkpError('interrupted', 'interrupted'));
    yield plain;
  }
  await expect(
    r.backup(
      fakeTarget(() => ({ first: chunks(plain), second: stopped() })),
      { signal: stop.signal },
    ),
  ).rejects.toMatchObject({
    exit: 'interrupted',
  });
  expect([r.files('one'), r.files('two')]).toEqual([[], []]);
});

test('a manifest signed by a stranger is a problem, not a backup', async () => {
  using r = rig();
  const mine = await r.backup(good());
  const theirs = await r.backup(good(), { keys: keySet().keys });
  const { known, problems } = await catalog(r.stores, BASE, r.ctx.keys);
  expect(known.map(({ manifest }) => manifest.id)).toEqual([mine.manifest.id]);
  expect(problems.map(({ store }) => store)).toEqual(['one', 'two']);
  expect(problems[0]).toMatchObject({ key: expect.stringContaining(theirs.manifest.id), error: expect.stringContaining('not signed') });
});

test('a manifest that was moved to another id, or another target, is a problem', async () => {
  using r = rig();
  const { manifest } = await r.backup(good());
  const at = (base: string, id: string) => join(r.dir, 'one', base, 'backups', id, 'manifest.json');
  for (const to of [at(BASE, '20990101T000000Z-aaaaaa'), at('prod/fake/app-staging', manifest.id), at('prod/other/app', manifest.id)]) {
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(at(BASE, manifest.id), to);
  }
  const here = await catalog([r.stores[0]!], BASE, r.ctx.keys);
  expect(here.known).toHaveLength(1);
  expect(here.problems).toEqual([expect.objectContaining({ error: expect.stringContaining('names id') })]);
  for (const base of ['prod/fake/app-staging', 'prod/other/app']) {
    const moved = await catalog([r.stores[0]!], base, r.ctx.keys);
    expect(moved).toMatchObject({ known: [], problems: [{ error: expect.stringMatching(/names (name|kind)/) }] });
  }
});

test('two manifests of one id that differ are told', async () => {
  using r = rig();
  const { manifest } = await r.backup(good());
  const path = join(r.dir, 'two', BASE, 'backups', manifest.id, 'manifest.json');
  const { encodeManifest } = await import('../../src/core/manifest.ts');
  writeFileSync(path, encodeManifest({ ...manifest, warnings: ['other'] }, r.ctx.keys.sign));
  const { known, problems } = await catalog(r.stores, BASE, r.ctx.keys);
  expect(known[0]!.stores).toEqual(['one']);
  expect(problems).toEqual([expect.objectContaining({ store: 'two', error: expect.stringContaining('another manifest') })]);
});

test('one silent store is a problem, all silent is storeUnreachable', async () => {
  using r = rig();
  await r.backup(good());
  renameSync(join(r.dir, 'two'), join(r.dir, 'away'));
  const { known, problems } = await catalog(r.stores, BASE, r.ctx.keys);
  expect(known).toHaveLength(1);
  expect(problems).toEqual([expect.objectContaining({ store: 'two' })]);
  renameSync(join(r.dir, 'one'), join(r.dir, 'away1'));
  await expect(catalog(r.stores, BASE, r.ctx.keys)).rejects.toMatchObject({ exit: 'storeUnreachable' });
});

test('order is by the start inside the manifest; pieces without a manifest are no backup', async () => {
  using r = rig();
  const take = (at: string, random: string) => r.backup(good(), { clock: still(at) }, { random: Buffer.from(random, 'hex') });
  const late = await take('2026-03-01T00:00:00Z', '000001');
  const early = await take('2026-02-01T00:00:00Z', 'ffffff');
  await putBytes(r.stores[0]!, `${BASE}/backups/20260401T000000Z-000000/data.zst.age.000`, Buffer.from('orphan'));
  const shuffled: Store = {
    ...frail(r.stores[0]!).store,
    async *list(prefix) {
      const all = [];
      for await (const each of r.stores[0]!.list(prefix)) all.push(each);
      yield* all.reverse();
    },
  };
  expect(await ids(r.ctx, [shuffled])).toEqual([early.manifest.id, late.manifest.id]);
});
