import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Store } from '../../src/core/contracts.ts';
import { listTarget } from '../../src/ops/list.ts';
import { BASE, chunks, fakeTarget, frail, keySet, rig } from './rig.ts';

const good = (warnings: string[] = []) => fakeTarget(() => ({ data: chunks(Buffer.alloc(100_000, 'x')) }), { warnings });

test('a backup in both stores: its facts, and two whole copies', async () => {
  using r = rig();
  const { manifest, bytes } = await r.backup(good(['careful']));
  const { rows, problems } = await listTarget(r.ctx);
  expect(problems).toEqual([]);
  expect(rows).toEqual([
    {
      id: manifest.id,
      kind: 'fake',
      name: 'app',
      startedAt: manifest.startedAt,
      recoveryPointAt: manifest.recoveryPointAt,
      bytes,
      copies: { one: 'whole', two: 'whole' },
      warnings: ['careful'],
      base: 'full',
    },
  ]);
});

test('no backup at all is an empty list, and no problem', async () => {
  using r = rig();
  expect(await listTarget(r.ctx)).toEqual({ rows: [], problems: [] });
});

test.each([
  ['gone', (path: string) => rmSync(path)],
  ['cut short', (path: string) => truncateSync(path, 10)],
  ['longer', (path: string) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(1)]))],
])('an object that is %s makes that one copy damaged', async (_, harm) => {
  using r = rig();
  await r.backup(good());
  harm(join(r.dir, 'two', r.files('two').find(file => !file.endsWith('manifest.json'))!));
  const { rows } = await listTarget(r.ctx);
  expect(rows[0]!.copies).toEqual({ one: 'whole', two: 'damaged' });
});

test('PG21: a store without the manifest has no copy, whatever else lies there', async () => {
  using r = rig();
  await r.backup(good());
  rmSync(join(r.dir, 'one', r.files('one').find(file => file.endsWith('manifest.json'))!));
  expect((await listTarget(r.ctx)).rows[0]!.copies).toEqual({ one: 'absent', two: 'whole' });
  rmSync(join(r.dir, 'two', r.files('two').find(file => file.endsWith('manifest.json'))!));
  expect((await listTarget(r.ctx)).rows).toEqual([]);
});

test('a store that does not answer is unknown, not absent, and is told', async () => {
  using r = rig();
  await r.backup(good());
  renameSync(join(r.dir, 'two'), join(r.dir, 'away'));
  const { rows, problems } = await listTarget(r.ctx);
  expect(rows[0]!.copies).toEqual({ one: 'whole', two: 'unknown' });
  expect(problems).toEqual([{ store: 'two', error: expect.stringContaining('is not there') }]);
});

test('a listing that breaks off midway is no listing', async () => {
  using r = rig();
  await r.backup(good());
  const broken: Store = {
    ...frail(r.stores[1]!).store,
    async *list(prefix) {
      for await (const each of r.stores[1]!.list(prefix)) {
        yield each;
        throw new Error('page 2 did not come');
      }
    },
  };
  const { rows, problems } = await listTarget(r.context({ stores: [r.stores[0]!, broken] }));
  expect(rows[0]!.copies).toEqual({ one: 'whole', two: 'unknown' });
  expect(problems).toEqual([{ store: 'two', error: 'page 2 did not come' }]);
});

test('no store that answers is an error, never an empty list', async () => {
  using r = rig();
  for (const store of ['one', 'two']) renameSync(join(r.dir, store), join(r.dir, `${store}.away`));
  await expect(listTarget(r.ctx)).rejects.toMatchObject({ exit: 'storeUnreachable' });
});

test('a manifest of a stranger is a problem and no row; a changed copy is a problem beside the good one', async () => {
  using r = rig();
  const mine = await r.backup(good());
  await r.backup(good(), { keys: keySet().keys });
  const changed = join(r.dir, 'two', BASE, 'backups', mine.manifest.id, 'manifest.json');
  writeFileSync(changed, readFileSync(changed, 'utf8').replace('"engine":"native"', '"engine":"forged"'));
  const { rows, problems } = await listTarget(r.ctx);
  expect(rows.map(row => [row.id, row.copies])).toEqual([[mine.manifest.id, { one: 'whole', two: 'absent' }]]);
  expect(problems.map(({ store }) => store).sort()).toEqual(['one', 'two', 'two']);
});

test('a backup that is whole in no store, and in both together, says so; one that lacks an object in both does not', async () => {
  using r = rig();
  await r.backup(fakeTarget(() => ({ first: chunks(Buffer.alloc(1000, 'a')), second: chunks(Buffer.alloc(1000, 'b')) })));
  const lose = (store: string, piece: string): void =>
    rmSync(join(r.dir, store, r.files(store).find(file => file.includes(`/${piece}.`))!));
  lose('one', 'first');
  lose('two', 'second');
  const { rows } = await listTarget(r.ctx);
  expect(rows).toMatchObject([{ copies: { one: 'damaged', two: 'damaged' }, spread: ['one', 'two'] }]);
  lose('two', 'first');
  expect((await listTarget(r.ctx)).rows[0]).not.toHaveProperty('spread');
});
