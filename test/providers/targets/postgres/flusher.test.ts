import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { Store } from '../../../../src/core/contracts.ts';
import { segmentStart } from '../../../../src/core/postgres/lsn.ts';
import { openDirectory } from '../../../../src/providers/stores/directory.ts';
import { holdings, putWal, sealWal } from '../../../../src/providers/targets/postgres/archive.ts';
import { type Context, readOpen } from '../../../../src/providers/targets/postgres/chunks.ts';
import { Flusher } from '../../../../src/providers/targets/postgres/flusher.ts';
import { Spool } from '../../../../src/providers/targets/postgres/spool.ts';
import { keySet } from '../../../ops/rig.ts';

const SIZE = 1024 * 1024;
const LINEAGE = '7400000000000000000-1';
const NAME = '000000010000000000000002';

let dir: string;
let spool: Spool;
let store: Store;
let now: number;
let warned: string[];
let ctx: Context;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-flusher-'));
  spool = new Spool(mkdtempSync(join(dir, 'spool-')), SIZE);
  store = openDirectory('local', { type: 'directory', path: mkdtempSync(join(dir, 'store-')) });
  now = 0;
  warned = [];
  ctx = {
    base: 'bkp/production/postgres/app',
    keys: keySet().keys,
    clock: { now: () => new Date(now) },
    report: { emit: ({ text }: { text: string }) => warned.push(text) },
    signal: new AbortController().signal,
  } as unknown as Context;
});
afterEach(() => rmSync(dir, { recursive: true }));

/** The first bytes of the segment as a server writes them: its page header names the segment; no byte of them is zero at the end. */
function segment(bytes: number, fill = 1): Buffer {
  const plain = Buffer.alloc(bytes, fill);
  plain.writeUInt16LE(0xd116, 0);
  plain.writeBigUInt64LE(segmentStart(2, SIZE), 8);
  return plain;
}
const received = (plain: Buffer, file = `${NAME}.partial`): void => {
  writeFileSync(join(spool.dir, file), plain);
  truncateSync(join(spool.dir, file), SIZE);
};
const held = async () => (await holdings([store], ctx.base, LINEAGE)).chunks;
const flusher = async (): Promise<Flusher> => new Flusher(ctx, store, LINEAGE, spool, await held());
const ranges = async (): Promise<string[]> => ((await held()).get(NAME) ?? []).map(({ from, to }) => `${from}-${to}`).sort();

it('stores what was added, once, and nothing while nothing is added', async () => {
  const own = await flusher();
  for (const bytes of [100, 300, 300, 300]) {
    received(segment(bytes));
    await own.tick([]);
  }
  expect(await ranges()).toEqual(['0-100', '100-300']);
});

it('joins what there is of a segment that rests for a minute, so that one which never fills does not gather chunks', async () => {
  const own = await flusher();
  for (const bytes of [100, 200, 300]) {
    received(segment(bytes));
    await own.tick([]);
  }
  now += 59_000;
  await own.tick([]);
  expect(await ranges()).toHaveLength(3);
  now += 2000;
  await own.tick([]);
  expect(await ranges()).toEqual(['0-300']);
  received(segment(400));
  await own.tick([]);
  expect(await ranges()).toEqual(['0-300', '300-400']);
});

it('goes on at the end of what the listing shows, also where a run that was killed left overlapping chunks', async () => {
  const first = await flusher();
  for (const bytes of [100, 200, 300]) {
    received(segment(bytes));
    await first.tick([]);
  }
  now += 61_000;
  const remove = store.remove;
  store.remove = async () => [];
  await first.tick([]);
  store.remove = remove;
  expect(await ranges()).toEqual(['0-100', '0-300', '100-200', '200-300']);
  received(segment(350));
  await (await flusher()).tick([]);
  expect(await ranges()).toContain('300-350');
  const chunks = (await held()).get(NAME)!;
  expect((await readOpen(ctx, LINEAGE, chunks, 350, SIZE)).subarray(0, 350).equals(segment(350))).toBe(true);
});

it('what the server sends otherwise than it is stored is a conflict, in the open segment and in a finished one', async () => {
  received(segment(300));
  await (await flusher()).tick([]);
  received(segment(400, 2));
  await expect((await flusher()).tick([])).rejects.toMatchObject({ exit: 'conflict' });
  rmSync(join(spool.dir, `${NAME}.partial`));
  received(segment(SIZE, 2), NAME);
  await expect((await flusher()).tick([NAME])).rejects.toMatchObject({ exit: 'conflict' });
  expect(await ranges()).toEqual(['0-300']);
});

it('a store that takes nothing for a while gets all of it in one piece afterwards; the outage is told once', async () => {
  const own = await flusher();
  received(segment(100));
  await own.tick([]);
  const path = readdirSync(dir).find(name => name.startsWith('store-'))!;
  renameSync(join(dir, path), join(dir, 'gone'));
  for (const bytes of [200, 300, 400]) {
    received(segment(bytes));
    await own.tick([]);
  }
  renameSync(join(dir, 'gone'), join(dir, path));
  await own.tick([]);
  expect(await ranges()).toEqual(['0-100', '100-400']);
  expect(warned).toEqual([expect.stringMatching(/local does not take the open segment/)]);
});

it('stores nothing behind a finished segment that the store lacks: that would be a hole', async () => {
  received(segment(SIZE), NAME);
  received(segment(100), '000000010000000000000003.partial');
  await (await flusher()).tick([NAME]);
  expect(await held()).toEqual(new Map());
  rmSync(join(spool.dir, NAME));
  received(segment(100));
  rmSync(join(spool.dir, '000000010000000000000003.partial'));
  const own = await flusher();
  await own.tick([]);
  rmSync(join(spool.dir, `${NAME}.partial`));
  received(segment(SIZE), NAME);
  received(segment(50), '000000010000000000000003.partial');
  await own.tick([NAME]);
  expect(await ranges()).toEqual(['0-100', `100-${SIZE}`]);
  expect([...(await held()).keys()].sort()).toEqual([NAME, '000000010000000000000003']);
});

it('begins anew in an empty store that stands in for a lost one: what follows on chunks that are gone would be a hole', async () => {
  let lost = 0;
  const own = new Flusher(ctx, store, LINEAGE, spool, await held(), async () => {
    lost += 1;
  });
  received(segment(100));
  await own.tick([]);
  renameSync(store.place!, `${store.place}.gone`);
  mkdirSync(store.place!);
  now += 5000;
  received(segment(300));
  await own.tick([]);
  expect({ ranges: await ranges(), lost, warned: warned.length }).toEqual({ ranges: ['0-300'], lost: 1, warned: 1 });
  expect(warned[0]).toMatch(/^store local no longer has what it was given of WAL 000000010000000000000002: it was emptied or replaced/);
});

it('looks as soon as the store takes something again after a failure', async () => {
  const own = await flusher();
  received(segment(100));
  await own.tick([]);
  renameSync(store.place!, `${store.place}.gone`);
  received(segment(200));
  await own.tick([]);
  mkdirSync(store.place!);
  await own.tick([]);
  expect(await ranges()).toEqual(['0-200']);
});

it('takes chunks for no loss whose whole segment is there', async () => {
  const own = await flusher();
  received(segment(100));
  await own.tick([]);
  await putWal(store, ctx.base, LINEAGE, await sealWal(ctx, LINEAGE, NAME, segment(SIZE)));
  await store.remove((await held()).get(NAME)!.map(({ key }) => key));
  now += 5000;
  await own.tick([]);
  expect(warned).toEqual([]);
});

it('blames no store for what the disk of the spool does not do', async () => {
  const own = await flusher();
  received(segment(100));
  await own.tick([]);
  rmSync(spool.dir, { recursive: true });
  await own.tick([]);
  await own.tick([]);
  expect(warned).toEqual([
    expect.stringMatching(new RegExp(`^the spool ${spool.dir} on this host fails: ENOENT: .*make room there, or let \`spool:\` name`)),
  ]);
});

it('takes a finished segment that went out of the spool meanwhile for stored', async () => {
  const own = await flusher();
  received(segment(100));
  await own.tick([]);
  rmSync(join(spool.dir, `${NAME}.partial`));
  await own.tick([NAME]);
  expect(warned).toEqual([]);
});
