import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import type { Store } from '../../../../src/core/contracts.ts';
import { BkpError } from '../../../../src/core/errors.ts';
import { knownLineages, lineageFor } from '../../../../src/providers/targets/postgres/lineage.ts';
import { type Rig, rig } from '../../../ops/rig.ts';

const LIVE = { systemIdentifier: '7000000000000000001', restored: null };
const LINEAGE = `${LIVE.systemIdentifier}-1`;

const fileOf = (r: Rig, store: string, lineage = LINEAGE): string => join(r.dir, store, r.ctx.base, 'lineages', `${lineage}.json`);
const warnings = (r: Rig): string[] => r.events.flatMap(event => (event.type === 'warning' ? [event.text] : []));

/** It lists, and says of each object that is read that there is none. */
const gone = (store: Store): Store => {
  const get = (key: string): never => {
    throw new BkpError('notFound', `store ${store.name} has no ${key}`);
  };
  return new Proxy(store, { get: (of, name) => (name === 'get' ? get : (Reflect.get(of, name).bind?.(of) ?? Reflect.get(of, name))) });
};

/** What one of two stores may do to a record. */
const LACKS: [string, (r: Rig) => readonly Store[]][] = [
  ['listed and not there', ({ stores: [one, two] }) => [one!, gone(two!)]],
  ['listed and not there, in the first', ({ stores: [one, two] }) => [gone(one!), two!]],
  [
    'cut short',
    r => {
      writeFileSync(fileOf(r, 'two'), readFileSync(fileOf(r, 'two')).subarray(0, 40));
      return r.stores;
    },
  ],
  [
    'changed',
    r => {
      writeFileSync(fileOf(r, 'two'), readFileSync(fileOf(r, 'two'), 'utf8').replace('"version":1', '"version":2'));
      return r.stores;
    },
  ],
];

it.each(LACKS)('a record that one store has %s is taken from the other, and that is told', async (_, harm) => {
  using r = rig();
  expect(await lineageFor(r.ctx, LIVE, false)).toBe(LINEAGE);
  const ctx = r.context({ stores: harm(r) });
  expect([...(await knownLineages(ctx)).keys()]).toEqual([LINEAGE]);
  expect(warnings(r)).toEqual([expect.stringContaining(`lineages/${LINEAGE}.json`)]);
  expect(await lineageFor(ctx, LIVE, false)).toBe(LINEAGE);
});

it('a record that no store gives is no lineage that never was: nothing begins anew', async () => {
  using r = rig();
  await lineageFor(r.ctx, LIVE, false);
  const ctx = r.context({ stores: r.stores.map(gone) });
  await expect(lineageFor(ctx, LIVE, false)).rejects.toMatchObject({ exit: 'storeUnreachable' });
  for (const store of ['one', 'two']) writeFileSync(fileOf(r, store), '{}\n');
  await expect(lineageFor(r.ctx, LIVE, false)).rejects.toMatchObject({ exit: 'verifyFailed' });
});

it('a record in the place of another is not believed', async () => {
  using r = rig();
  await lineageFor(r.ctx, LIVE, false);
  await lineageFor(r.ctx, LIVE, true);
  const [first, second] = [1, 2].map(n => fileOf(r, 'two', `${LIVE.systemIdentifier}-${n}`)) as [string, string];
  copyFileSync(first, second);
  await expect(knownLineages(r.ctx, r.stores.slice(1))).rejects.toThrow(/is the record of lineage \d+-1: it was moved or copied there/);
  expect(await lineageFor(r.ctx, LIVE, false)).toBe(`${LIVE.systemIdentifier}-2`);
  rmSync(first);
  renameSync(second, first);
  expect([...(await knownLineages(r.ctx, r.stores.slice(1))).keys()]).toEqual([LINEAGE]);
});
