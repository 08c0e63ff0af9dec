import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import type { Store } from '../../../../src/core/contracts.ts';
import { segmentStart } from '../../../../src/core/postgres/lsn.ts';
import { openDirectory } from '../../../../src/providers/stores/directory.ts';
import { holdings } from '../../../../src/providers/targets/postgres/archive.ts';
import type { Context } from '../../../../src/providers/targets/postgres/chunks.ts';
import { Shipper } from '../../../../src/providers/targets/postgres/shipper.ts';
import { Spool } from '../../../../src/providers/targets/postgres/spool.ts';
import { systemClock } from '../../../../src/system/clock.ts';
import { keySet } from '../../../ops/rig.ts';

const SIZE = 1024 * 1024;
const NAMES = ['000000010000000000000002', '000000010000000000000003'];

it('a line names the stores in the order of the config, whichever had it first', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-shipper-'));
  const spool = new Spool(mkdtempSync(join(dir, 'spool-')), SIZE);
  for (const [n, name] of NAMES.entries()) {
    const plain = Buffer.alloc(SIZE, 1);
    plain.writeBigUInt64LE(segmentStart(n + 2, SIZE), 8);
    writeFileSync(join(spool.dir, name), plain);
  }
  const stores = ['slow', 'quick'].map(name => openDirectory(name, { type: 'directory', path: mkdtempSync(join(dir, name)) }));
  const [slow, quick] = stores as [Store, Store];
  let release = (): void => {};
  let other = new Promise<void>(resolve => {
    release = resolve;
  });
  const done = quick.open.bind(quick);
  quick.open = async (key, options) => {
    const upload = await done(key, options);
    const commit = upload.commit.bind(upload);
    return {
      ...upload,
      block: upload.block.bind(upload),
      abort: upload.abort.bind(upload),
      commit: () => commit().finally(() => release()),
    };
  };
  const begin = slow.open.bind(slow);
  slow.open = async (key, options) => {
    await other;
    other = new Promise(resolve => {
      release = resolve;
    });
    return begin(key, options);
  };
  const lines: string[] = [];
  const ctx = {
    base: 'bkp/production/postgres/app',
    keys: keySet().keys,
    clock: systemClock,
    need: 1,
    report: { emit: ({ text }: { text: string }) => lines.push(text) },
    signal: new AbortController().signal,
  } as unknown as Context;
  await new Shipper(ctx, stores, '7400000000000000000-1', spool, [], new Map()).tick();
  expect(lines).toEqual(NAMES.map(name => `WAL ${name} is in slow and quick`));
  rmSync(dir, { recursive: true });
});

it('gives a store that was replaced by an empty one what the spool still has, although it had it before', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-shipper-'));
  const spool = new Spool(mkdtempSync(join(dir, 'spool-')), SIZE);
  const lay = (n: number): void => {
    const plain = Buffer.alloc(SIZE, 1);
    plain.writeBigUInt64LE(segmentStart(n + 2, SIZE), 8);
    writeFileSync(join(spool.dir, NAMES[n]!), plain);
  };
  const stores = ['lost', 'down'].map(name => openDirectory(name, { type: 'directory', path: join(dir, name) }));
  const ctx = {
    base: 'bkp/production/postgres/app',
    keys: keySet().keys,
    clock: systemClock,
    need: 1,
    report: { emit: () => {} },
    signal: new AbortController().signal,
  } as unknown as Context;
  const held = async () => [...(await holdings(stores.slice(0, 1), ctx.base, '7400000000000000000-1')).copies.keys()].sort();
  mkdirSync(join(dir, 'lost'));
  const shipper = new Shipper(ctx, stores, '7400000000000000000-1', spool, [], new Map());
  lay(0);
  await shipper.tick();
  expect(await held()).toEqual([NAMES[0]]);
  renameSync(join(dir, 'lost'), join(dir, 'gone'));
  lay(1);
  await shipper.tick();
  mkdirSync(join(dir, 'lost'));
  await shipper.tick();
  await shipper.tick();
  expect(await held()).toEqual(NAMES);
  rmSync(dir, { recursive: true });
});
