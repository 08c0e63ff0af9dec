import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { LiveState, LogMark, Store, Target } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { putBytes } from '../../src/flow/bytes.ts';
import { statusTarget } from '../../src/ops/status/index.ts';
import { askSource } from '../../src/ops/status/source.ts';
import { aged, DAILY, daysAgo } from './aged.ts';
import { BASE, fakeTarget, frail, keySet, type Rig, rig } from './rig.ts';

const ENTRY = { schedule: DAILY, rpo: '30h' };
const LINEAGE = '7000000000000000001-1';

const plain = fakeTarget(() => ({}));

/** A kind whose source can be asked, with a log of numbered files: positions are their numbers. */
const asked = (live: () => Promise<LiveState>): Target => ({
  ...plain,
  live,
  log: {
    stores: ({ stores }) => stores,
    push: async () => {},
    fetch: async () => undefined,
    expired: () => [],
    state: (_, objects) =>
      objects
        .filter(({ key }) => key.startsWith(`${BASE}/log/`))
        .slice(-1)
        .map(({ key, modified }) => ({ lineage: LINEAGE, at: modified, end: key.split('/').at(-1)! })),
    distance: (from, to) => Math.max(0, Number(to) - Number(from)),
  },
});

const seen = (r: Rig, target = plain, stores: readonly Store[] = r.stores, options = { hidden: false }) =>
  statusTarget(target, r.context({ stores }), ENTRY, options);

test('fresh in both stores: ok, with what each of them takes', async () => {
  using r = rig();
  const first = await aged(r, 1.2);
  const { id } = await aged(r, 0);
  const { state, stores, ...rest } = await seen(r);
  expect({ state, rest }).toEqual({ state: 'ok', rest: { kind: 'fake', name: 'app', schedule: DAILY, rpoSeconds: 108_000 } });
  for (const store of stores) {
    expect(store).toMatchObject({ state: 'ok', up: true, why: [], newest: { id, trendPercent: 0 }, backups: 2, damaged: 0 });
    expect(store.bytes).toBeGreaterThan(store.newest!.bytes * 2);
  }
  expect(first.id).not.toBe(id);
});

test('PG15: no backup at all is failing in every store', async () => {
  using r = rig();
  expect(await seen(r)).toMatchObject({ state: 'failing', stores: [{ state: 'failing' }, { state: 'failing' }] });
});

test('EK06: a store is judged by what lies in it, however fresh another one is', async () => {
  using r = rig();
  await aged(r, 3);
  await aged(r, 0, { ctx: { stores: [r.stores[0]!] } });
  const { state, stores } = await seen(r);
  expect(stores).toMatchObject([
    { store: 'one', state: 'ok' },
    {
      store: 'two',
      state: 'late',
      why: [{ text: expect.stringContaining('left no good backup') }, { text: expect.stringContaining('RPO') }],
    },
  ]);
  expect(state).toBe('late');
});

test('a store that does not answer is failing with its reason, and the other one is shown', async () => {
  using r = rig();
  await aged(r, 0);
  renameSync(join(r.dir, 'two'), join(r.dir, 'away'));
  const { state, stores } = await seen(r);
  expect(state).toBe('failing');
  expect(stores).toMatchObject([
    { state: 'ok', up: true, backups: 1 },
    { state: 'failing', up: false, why: [{ text: expect.stringContaining('is not there (is the disk mounted?)') }] },
  ]);
});

test('no store that answers: every reason is told, and nothing is thrown', async () => {
  using r = rig();
  for (const store of ['one', 'two']) renameSync(join(r.dir, store), join(r.dir, `${store}.away`));
  const { stores } = await seen(r);
  expect(stores.map(({ up, why }) => [up, why.length])).toEqual([
    [false, 1],
    [false, 1],
  ]);
});

test.each(['list', 'get'])('a store that falls silent at %s, while it is looked at, is told too', async call => {
  using r = rig();
  await aged(r, 0);
  const { store, broken } = frail(r.stores[1]!);
  broken.add(call);
  const { stores } = await seen(r, plain, [r.stores[0]!, store]);
  expect(stores).toMatchObject([{ state: 'ok' }, { up: false, why: [{ text: expect.stringContaining(`fell over at ${call}`) }] }]);
});

test('damage in the newest copy is failing in that store alone; a manifest that nobody trusted signed is too', async () => {
  using r = rig();
  await aged(r, 0);
  rmSync(join(r.dir, 'two', r.files('two').find(file => !file.endsWith('manifest.json'))!));
  expect((await seen(r)).stores).toMatchObject([{ state: 'ok' }, { state: 'failing', backups: 0, damaged: 1 }]);
  const stranger = rig();
  await aged(stranger, 0);
  const { stores } = await statusTarget(plain, stranger.context({ keys: keySet().keys }), ENTRY, { hidden: false });
  stranger[Symbol.dispose]();
  expect(stores[0]).toMatchObject({ state: 'failing', damaged: 1 });
  expect(stores[0]!.why.map(({ text }) => text)).toContainEqual(expect.stringContaining('not signed by a key of keys.trusted'));
});

test('MO04: a run that failed is read from the stores, until a good one comes after it', async () => {
  using r = rig();
  // Minutes, so that no hour at which this runs puts a due slot between them and now.
  await aged(r, 0.02);
  const broken: Target = {
    ...plain,
    // biome-ignore lint/correctness/useYield: it fails before its first piece
    async *capture() {
      throw new BkpError('failed', 'the host is not reachable');
    },
  };
  await expect(r.backup(broken, { clock: daysAgo(0.01) })).rejects.toThrow('not reachable');
  const failing = await seen(r);
  for (const { state, why, runs } of failing.stores) {
    expect({ state, runs }).toMatchObject({ state: 'failing', runs: { backup: { failureAt: expect.any(String) } } });
    expect(why).toMatchObject([{ state: 'failing', text: expect.stringContaining('the host is not reachable') }]);
  }
  await aged(r, 0.005);
  expect((await seen(r)).state).toBe('ok');
});

test('old versions are counted only when they are asked for', async () => {
  using r = rig();
  await aged(r, 0);
  const prefixes: string[] = [];
  const store = Object.assign(frail(r.stores[0]!).store, {
    hidden: async (prefix: string) => {
      prefixes.push(prefix);
      return { objects: 3, bytes: 4096 };
    },
  });
  expect((await seen(r, plain, [store])).stores[0]).not.toHaveProperty('hidden');
  expect(prefixes).toEqual([]);
  expect((await seen(r, plain, [store], { hidden: true })).stores[0]!.hidden).toEqual({ objects: 3, bytes: 4096 });
  expect(prefixes).toEqual([`${BASE}/`]);
});

test('what the source writes while the stores are listed does not count as lacking', async () => {
  using r = rig();
  await aged(r, 0, { facts: { lineage: LINEAGE } });
  const put = async (name: string) => {
    const upload = await r.stores[0]!.open(`${BASE}/log/${name}`);
    await upload.commit();
  };
  await put('100');
  const target = asked(async () => {
    const position = '100';
    await put('200');
    return { lineage: LINEAGE, position, checks: [] };
  });
  const { state, source, stores } = await seen(r, target);
  expect({ state, source: source?.state }).toEqual({ state: 'ok', source: 'ok' });
  expect(stores[0]!.log).toMatchObject({ lagSeconds: 0, lagBytes: 0, end: '200' });
  expect(stores[1]!.log).toBeUndefined();
});

test('a source that does not answer, or hangs, is unknown and not red', async () => {
  using r = rig();
  await aged(r, 0);
  const dead = await seen(
    r,
    asked(() => Promise.reject(new BkpError('failed', 'connection refused'))),
  );
  expect(dead).toMatchObject({ state: 'unknown', source: { state: 'unknown' } });
  const hanging: Target = {
    ...plain,
    live: ctx => new Promise((_, no) => ctx.signal.addEventListener('abort', () => no(ctx.signal.reason))),
  };
  expect(await askSource(hanging, r.ctx, 50)).toEqual({ error: 'it gave no answer in 0.05 s', checks: [] });
});

test('ended by a signal, it ends, and does not call a store silent', async () => {
  using r = rig();
  await aged(r, 0);
  const stop = new AbortController();
  const store: Store = {
    ...frail(r.stores[0]!).store,
    // biome-ignore lint/correctness/useYield: it breaks off before its first object
    async *list() {
      stop.abort(new BkpError('terminated', 'ended by SIGTERM'));
      throw new Error('socket closed');
    },
  };
  const ctx = r.context({ stores: [store], signal: stop.signal });
  await expect(statusTarget(plain, ctx, ENTRY, { hidden: false })).rejects.toMatchObject({ exit: 'terminated' });
});

test('what was committed and is not in the log is told; what was recorded while the stores were listed may still come', async () => {
  using r = rig();
  await aged(r, 0, { facts: { lineage: LINEAGE } });
  await putBytes(r.stores[0]!, `${BASE}/log/100`, Buffer.from('log'));
  const live = async (): Promise<LiveState> => {
    throw new BkpError('failed', 'away');
  };
  const recorded = (...marks: LogMark[]): Target => {
    const target = asked(live);
    return { ...target, log: { ...target.log!, marks: async (_, lineage) => (lineage === LINEAGE ? marks : []) } };
  };
  const old = new Date(Date.now() - 60_000);
  const [missing] = (await seen(r, recorded({ at: old, position: '99' }, { at: new Date(), position: '101' }))).stores;
  expect(missing!.log).not.toHaveProperty('missedAt');
  expect((await seen(r, recorded({ at: old, position: '101' }))).stores[0]!.log).toMatchObject({ missedAt: old.toISOString() });
  const forged = asked(live);
  const marks = async (): Promise<LogMark[]> => {
    throw new BkpError('verifyFailed', 'nobody trusted signed it');
  };
  const [doubted] = (await seen(r, { ...forged, log: { ...forged.log!, marks } })).stores;
  expect(doubted!.why).toContainEqual({ state: 'unknown', text: 'nobody trusted signed it' });
});
