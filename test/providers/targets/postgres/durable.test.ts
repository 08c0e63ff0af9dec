import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Store } from '../../../../src/core/contracts.ts';
import { coveredTo } from '../../../../src/core/postgres/chunks.ts';
import { openDirectory } from '../../../../src/providers/stores/directory.ts';
import { holdings } from '../../../../src/providers/targets/postgres/archive.ts';
import type { Context } from '../../../../src/providers/targets/postgres/chunks.ts';
import { Flusher } from '../../../../src/providers/targets/postgres/flusher.ts';
import { Spool } from '../../../../src/providers/targets/postgres/spool.ts';
import { keySet } from '../../../ops/rig.ts';

const SIZE = 1024 * 1024;
const LINEAGE = '7400000000000000000-1';
const NAME = '000000010000000000000002';
const { keys } = keySet();

/** A disk as it is seen by the loss of its machine: of the open segment it keeps what was there when a sync that succeeded began. */
interface Disk {
  file: string;
  durable: number;
  /** Bytes that the receiver writes while a sync is under way; undefined = the disk fails. */
  meanwhile: number | undefined;
}

let dir: string;
let spool: Spool;
let store: Store;
let disk: Disk;
let warned: string[];
let undo: () => void;

const write = (bytes: number): void => appendFileSync(disk.file, Buffer.alloc(bytes, 7));

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-durable-'));
  spool = new Spool(mkdtempSync(join(dir, 'spool-')), SIZE);
  store = openDirectory('local', { type: 'directory', path: mkdtempSync(join(dir, 'store-')) });
  disk = { file: join(spool.dir, `${NAME}.partial`), durable: 0, meanwhile: 0 };
  warned = [];
  write(1);
  const probe = await open(disk.file);
  const kind: FileHandle = Object.getPrototypeOf(probe);
  await probe.close();
  const before = kind.datasync;
  kind.datasync = async function (this: FileHandle) {
    // The store syncs files of its own.
    if ((await this.stat()).ino !== (await ino())) return before.call(this);
    const there = (await this.stat()).size;
    if (disk.meanwhile === undefined) throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
    write(disk.meanwhile);
    disk.durable = there;
  };
  undo = () => {
    kind.datasync = before;
  };
});
afterEach(() => {
  undo();
  rmSync(dir, { recursive: true });
});

const ino = async (): Promise<number> => (await stat(disk.file)).ino;

const flusher = (): Flusher => {
  const ctx = {
    base: 'bkp/production/postgres/app',
    keys,
    clock: { now: () => new Date(0) },
    report: { emit: ({ text }: { text: string }) => warned.push(text) },
    signal: new AbortController().signal,
  } as unknown as Context;
  return new Flusher(ctx, store, LINEAGE, spool, new Map());
};
const stored = async (): Promise<number> =>
  coveredTo((await holdings([store], 'bkp/production/postgres/app', LINEAGE)).chunks.get(NAME) ?? []);

it("rule 7: no byte is stored that the receiver's disk would not keep, however much comes while it is synced", async () => {
  const rounds = fc.array(fc.record({ before: fc.nat(3000), meanwhile: fc.nat(3000) }), { minLength: 1, maxLength: 6 });
  const own = flusher();
  await fc.assert(
    fc.asyncProperty(rounds, async all => {
      for (const { before, meanwhile } of all) {
        write(before);
        disk.meanwhile = meanwhile;
        await own.tick([]);
        expect(await stored()).toBeLessThanOrEqual(disk.durable);
      }
    }),
    { numRuns: 10 },
  );
  disk.meanwhile = 0;
  await own.tick([]);
  expect(await stored()).toBe(readFileSync(disk.file).length);
});

it('rule 7: what a disk that fails has not kept is in no store, which is told; it comes once it does', async () => {
  const own = flusher();
  await own.tick([]);
  const before = await stored();
  write(500);
  disk.meanwhile = undefined;
  await own.tick([]);
  expect([before, await stored()]).toEqual([1, 1]);
  expect(warned).toEqual([expect.stringMatching(/EIO/)]);
  disk.meanwhile = 0;
  await own.tick([]);
  expect(await stored()).toBe(501);
});
