import { expect, it } from '@jest/globals';
import type { Store } from '../../src/core/contracts.ts';
import { diskChecks } from '../../src/ops/doctorDisks.ts';

const store = (name: string, place?: string): Store => ({ name, ...(place === undefined ? {} : { place }) }) as Store;

/** File systems by what lies on them; what is on none is not there. */
const DEVICES = new Map([
  ['/srv/bkp', 1],
  ['/home/bkp', 1],
  ['/mnt/offsite', 2],
]);
const device = async (path: string): Promise<number> => {
  const found = DEVICES.get(path);
  if (found === undefined) throw new Error('ENOENT');
  return found;
};

it('warns of two directories on one file system, by the names of their stores', async () => {
  const stores = [store('local', '/srv/bkp'), store('cloud'), store('second', '/home/bkp'), store('offsite', '/mnt/offsite')];
  expect(await diskChecks(stores, device)).toEqual([
    { name: 'stores local, second', state: 'warn', text: expect.stringContaining('one file system'), mend: expect.any(String) },
  ]);
});

it('says nothing of directories on two of them, of stores elsewhere, and of what is not there', async () => {
  expect(await diskChecks([store('local', '/srv/bkp'), store('offsite', '/mnt/offsite')], device)).toEqual([]);
  expect(await diskChecks([store('local', '/gone'), store('other', '/gone'), store('cloud'), store('bucket')], device)).toEqual([]);
});
