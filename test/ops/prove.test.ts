import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Known, ProofRequest, Store, Target, TargetContext, Trial } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { readAll } from '../../src/flow/bytes.ts';
import { newestGood } from '../../src/ops/prove.ts';
import { proofsIn } from '../../src/ops/records/proof.ts';
import { verdict, verifyTarget } from '../../src/ops/verify.ts';
import { chunks, fakeTarget, type Rig, rig } from './rig.ts';

const CONTENTS = Buffer.alloc(3 << 20, 'x');

interface Seen {
  dir: string;
  manifest: ProofRequest['manifest'];
  stores: string[];
}

/** A kind whose proof is given; `seen` tells with what it was asked. */
function provable(trials: (request: ProofRequest, ctx: TargetContext) => AsyncIterable<Trial>): { target: Target; seen: Seen[] } {
  const seen: Seen[] = [];
  const target: Target = {
    ...fakeTarget(() => ({ data: chunks(CONTENTS) })),
    prove(ctx, request) {
      seen.push({ dir: request.dir, manifest: request.manifest, stores: ctx.stores.map(({ name }) => name) });
      return trials(request, ctx);
    },
  };
  return { target, seen };
}

const good: Trial = { name: 'all', state: 'ok', text: 'it works', seconds: 1 };

const gives = (...trials: Trial[]) =>
  provable(async function* () {
    yield* trials;
  });

const look = (r: Rig, target: Target, options: { prove?: boolean; deep?: boolean } = {}, change: Partial<TargetContext> = {}) =>
  verifyTarget(target, r.context(change), { deep: true, random: () => randomBytes(8), ...options });
const findings = (results: Awaited<ReturnType<typeof look>>) => results.flatMap(each => each.findings);
const proven = async (r: Rig) => Promise.all(r.stores.map(async store => (await proofsIn(r.ctx, store)).map(({ id }) => id)));
const pins = (r: Rig) => ['one', 'two'].flatMap(r.files).filter(path => path.includes('/pins/'));

test('each store gives the backup by itself, pinned meanwhile; what came out right is written down there', async () => {
  using r = rig();
  const held: string[][] = [];
  const { target, seen } = provable(async function* ({ manifest, dir, read }) {
    held.push(pins(r));
    writeFileSync(join(dir, 'copy'), await readAll(read(manifest.pieces[0] as Parameters<typeof read>[0])));
    expect(readFileSync(join(dir, 'copy')).equals(CONTENTS)).toBe(true);
    yield good;
    yield { name: 'more', state: 'note', text: 'by the way' };
  });
  const { manifest } = await r.backup(target);
  const results = await look(r, target);
  expect(findings(results)).toEqual([]);
  expect(results.map(({ proof }) => proof)).toMatchObject([1, 2].map(() => ({ backup: manifest.id, checks: [good, { state: 'note' }] })));
  expect(seen.map(({ stores }) => stores)).toEqual([['one'], ['two']]);
  expect(held.map(keys => keys.length)).toEqual([1, 1]);
  expect(pins(r)).toEqual([]);
  expect(seen.map(({ dir }) => existsSync(dir))).toEqual([false, false]);
  expect(await proven(r)).toEqual([[manifest.id], [manifest.id]]);
});

test('a byte that is damaged in one store is never taken from the other', async () => {
  using r = rig();
  const { target, seen } = provable(async function* ({ manifest, read }) {
    await readAll(read(manifest.pieces[0] as Parameters<typeof read>[0]));
    yield good;
  });
  await r.backup(target);
  const older = await r.backup(target);
  const path = join(r.dir, 'two', r.files('two').findLast(each => each.includes(older.manifest.id) && each.includes('data'))!);
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
  await look(r, target);
  expect(seen.map(({ manifest, stores }) => [stores[0], manifest.id === older.manifest.id])).toEqual([
    ['one', true],
    ['two', false],
  ]);
});

test('what fails is damage, named with the backup that it breaks, and no proof', async () => {
  using r = rig();
  const { target } = gives(good, { name: 'rows', state: 'fail', text: 'half of them are gone' });
  const { manifest } = await r.backup(target);
  const results = await look(r, target);
  expect(findings(results)[0]).toEqual({
    store: 'one',
    state: 'damaged',
    text: `backup ${manifest.id} does not come back right (rows): half of them are gone`,
    breaks: [`backup ${manifest.id}`],
  });
  expect(verdict(results)).toBe('verifyFailed');
  expect(await proven(r)).toEqual([[], []]);
});

test('what this host cannot try is unproven, with what to do; so is a proof that broke down', async () => {
  using r = rig();
  const { target } = gives({ name: 'room', state: 'unproven', text: 'the disk is full', mend: 'buy one' });
  const { manifest } = await r.backup(target);
  const results = await look(r, target);
  expect(findings(results)[0]).toMatchObject({
    state: 'unproven',
    text: `backup ${manifest.id} is not proven (room): the disk is full → buy one`,
  });
  expect(verdict(results)).toBe('partial');
  const broken = provable(async function* () {
    yield good;
    throw new Error('EMFILE');
  });
  const second = await look(r, broken.target);
  expect(findings(second)[0]).toMatchObject({ state: 'unproven', text: expect.stringContaining('EMFILE') });
  expect(broken.seen.map(({ dir }) => existsSync(dir))).toEqual([false, false]);
  expect(await proven(r)).toEqual([[], []]);
});

test('a store that falls silent meanwhile is told as that, and the other one is still proven', async () => {
  using r = rig();
  const { target, seen } = provable(async function* (_, ctx) {
    yield good;
    if (ctx.stores[0]!.name === 'one') throw new BkpError('storeUnreachable', 'it does not answer');
  });
  const { manifest } = await r.backup(target);
  const results = await look(r, target);
  expect(findings(results)).toEqual([{ store: 'one', state: 'unreachable', text: 'it does not answer' }]);
  expect(seen.map(({ dir }) => existsSync(dir))).toEqual([false, false]);
  expect(await proven(r)).toEqual([[], [manifest.id]]);
});

test('a signal ends it, and nothing is left', async () => {
  using r = rig();
  const ending = new AbortController();
  const { target, seen } = provable(async function* ({ dir }) {
    writeFileSync(join(dir, 'copy'), '');
    yield good;
    ending.abort(new BkpError('terminated', 'ended'));
    throw new Error('killed');
  });
  await r.backup(target);
  await expect(look(r, target, {}, { signal: ending.signal })).rejects.toThrow('ended');
  expect(seen.map(({ dir }) => existsSync(dir))).toEqual([false]);
  expect(pins(r)).toEqual([]);
});

test('a store that takes nothing is a warning: reading needs no right to write', async () => {
  using r = rig();
  const { target } = gives(good);
  await r.backup(target);
  const stores = r.stores.map(
    (store): Store => ({
      name: store.name,
      blockBytes: store.blockBytes,
      powers: () => store.powers(),
      get: (key, range) => store.get(key, range),
      stat: key => store.stat(key),
      list: prefix => store.list(prefix),
      remove: keys => store.remove(keys),
      open: async () => {
        throw new BkpError('refused', 'read only');
      },
    }),
  );
  const results = await look(r, target, {}, { stores });
  expect(findings(results)).toEqual([]);
  expect(results.map(({ proof }) => proof?.checks)).toEqual([[good], [good]]);
  expect(r.events).toContainEqual({ type: 'warning', text: expect.stringMatching(/store one did not take the record that .* is proven/) });
});

test('nothing is restored without --deep, with --no-proof, of a kind that cannot be proven, and where nothing is', async () => {
  using r = rig();
  const { target, seen } = gives(good);
  await look(r, target);
  await r.backup(target);
  await look(r, target, { deep: false });
  await look(r, target, { prove: false });
  const results = await look(
    r,
    fakeTarget(() => ({})),
  );
  expect(results.map(({ proof }) => proof)).toEqual([undefined, undefined]);
  expect(seen).toEqual([]);
  expect(readdirSync(r.dir).filter(name => name.startsWith('scratch'))).toEqual([]);
});

test('the newest is proven that is no anomaly; where all are, the newest', () => {
  const known = (id: string, anomaly?: string) => ({ manifest: { id, anomaly }, stores: ['one'] }) as unknown as Known;
  expect(newestGood([])).toBeUndefined();
  expect(newestGood([known('a'), known('b'), known('c', 'small')])?.id).toBe('b');
  expect(newestGood([known('a', 'small'), known('b', 'small')])?.id).toBe('b');
});
