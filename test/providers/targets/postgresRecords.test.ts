import { afterAll, expect, it } from '@jest/globals';
import type { Manifest, TargetContext } from '../../../src/core/contracts.ts';
import { putBytes } from '../../../src/flow/bytes.ts';
import { openDirectory } from '../../../src/providers/stores/directory.ts';
import { recordsOf } from '../../../src/providers/targets/postgres/archive.ts';
import { removeTemp, tempDir } from '../../real/rig/index.ts';

const dir = tempDir();
afterAll(() => removeTemp(dir));

it('the records of a log are its lineage and the histories of its timelines, as far as the store has them', async () => {
  const store = openDirectory('one', { type: 'directory', path: dir });
  const ctx = { base: 'b/prod/postgres/app' } as TargetContext;
  const hash = 'a'.repeat(32);
  const lineage = '7000-1';
  const history = (timeline: string) => `${ctx.base}/wal/${lineage}/${timeline}/${timeline}.history-${hash}.zst.age`;
  const own = [`${ctx.base}/lineages/${lineage}.json`, history('00000002'), history('00000003')];
  const others = [
    `${ctx.base}/lineages/7000-2.json`,
    history('00000004'),
    `${ctx.base}/wal/${lineage}/00000002/000000020000000000000001-${hash}.zst`,
  ];
  for (const key of [...own, ...others]) await putBytes(store, key, Buffer.from('x'));
  const manifest = { lineage, wal: { timeline: 3 } } as Manifest;
  expect(await recordsOf(ctx, store, manifest)).toEqual(own);
  expect(await recordsOf(ctx, store, { ...manifest, lineage: '7000-3' })).toEqual([]);
  expect(await recordsOf(ctx, store, {} as Manifest)).toEqual([]);
});
