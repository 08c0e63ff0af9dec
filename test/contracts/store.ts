import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { ObjectInfo, Store } from '../../src/core/contracts.ts';
import { putBytes, readAll } from '../../src/flow/bytes.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function keysOf(store: Store, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

/**
 * What every store has to do, whatever it is made of.
 * @param makeStore a fresh and empty store per call
 * @param options `atomic: false` = the service knows no conditional writes, so of two at once both may win; never does none.
 *   `sweeps: false` = a killed upload leaves nothing anywhere, so there is nothing to sweep
 */
export function storeContract(
  name: string,
  makeStore: () => Promise<Store>,
  { atomic = true, sweeps = true }: { atomic?: boolean; sweeps?: boolean } = {},
): void {
  describe(`contract of a store: ${name}`, () => {
    test('gives back what was put, whole and by range', async () => {
      const store = await makeStore();
      const bytes = Buffer.from('0123456789');
      const info: ObjectInfo = await putBytes(store, 'a/b/one', bytes);
      expect(info).toMatchObject({ key: 'a/b/one', bytes: 10 });
      expect(await readAll(store.get('a/b/one'))).toEqual(bytes);
      expect((await readAll(store.get('a/b/one', { from: 3, to: 5 }))).toString()).toBe('34');
      expect((await readAll(store.get('a/b/one', { from: 7 }))).toString()).toBe('789');
      expect(await store.stat('a/b/one')).toMatchObject({ key: 'a/b/one', bytes: 10 });
    });

    test('keeps an object under a key with every sign that keys may have', async () => {
      const store = await makeStore();
      const key = 'Az/09._+=@-/a+b=c@d';
      await putBytes(store, key, Buffer.from(key));
      expect(await keysOf(store, 'Az/09._+=@')).toEqual([key]);
      expect((await readAll(store.get(key))).toString()).toBe(key);
      expect((await readAll(store.get(key, { from: 3, to: 5 }))).toString()).toBe('09');
      expect(await store.stat(key)).toMatchObject({ bytes: key.length });
    });

    test('joins blocks that come in any order', async () => {
      const store = await makeStore();
      const blocks = [Buffer.alloc(store.blockBytes, 1), Buffer.alloc(store.blockBytes, 2), Buffer.from('end')];
      const upload = await store.open('big');
      for (const n of [2, 0, 1]) await upload.block(n, blocks[n]!, sha256(blocks[n]!));
      expect((await upload.commit()).bytes).toBe(2 * store.blockBytes + 3);
      expect(sha256(await readAll(store.get('big')))).toBe(sha256(Buffer.concat(blocks)));
    });

    test('shows nothing before commit and nothing after abort', async () => {
      const store = await makeStore();
      const upload = await store.open('x/half');
      await upload.block(0, Buffer.from('half'), sha256(Buffer.from('half')));
      expect(await store.stat('x/half')).toBeUndefined();
      expect(await keysOf(store, '')).toEqual([]);
      await upload.abort();
      await upload.abort();
      expect(await store.stat('x/half')).toBeUndefined();
    });

    test('refuses a block that is not what its hash says', async () => {
      const store = await makeStore();
      const upload = await store.open('x/wrong');
      await expect(upload.block(0, Buffer.from('sent'), sha256(Buffer.from('meant')))).rejects.toMatchObject({ name: 'BkpError' });
      await upload.abort();
      expect(await keysOf(store, '')).toEqual([]);
    });

    test('ifAbsent never overwrites, of two at once one wins', async () => {
      const store = await makeStore();
      const results = await Promise.allSettled(['one', 'two'].map(text => putBytes(store, 'only', Buffer.from(text), { ifAbsent: true })));
      const won = ['one', 'two'].filter((_, n) => results[n]!.status === 'fulfilled');
      for (const result of results)
        if (result.status === 'rejected') expect(result).toMatchObject({ reason: { exit: 'conflict', name: 'BkpError' } });
      expect(won.length).toBeGreaterThanOrEqual(1);
      if (atomic) expect(won).toHaveLength(1);
      await expect(putBytes(store, 'only', Buffer.from('three'), { ifAbsent: true })).rejects.toMatchObject({ exit: 'conflict' });
      expect(won).toContain((await readAll(store.get('only'))).toString());
    });

    test('an absent object is notFound to get and undefined to stat', async () => {
      const store = await makeStore();
      await expect(readAll(store.get('no/such'))).rejects.toMatchObject({ exit: 'notFound' });
      expect(await store.stat('no/such')).toBeUndefined();
    });

    test('lists in key order, by prefix and not by name of a folder', async () => {
      const store = await makeStore();
      const keys = ['pg/app-staging/1', 'pg/app/2', 'pg/app/1', 'pg/app.old', 'other/1'];
      for (const key of keys) await putBytes(store, key, Buffer.from(key));
      expect(await keysOf(store, '')).toEqual([...keys].sort());
      expect(await keysOf(store, 'pg/app/')).toEqual(['pg/app/1', 'pg/app/2']);
      expect(await keysOf(store, 'pg/app')).toEqual(['pg/app-staging/1', 'pg/app.old', 'pg/app/1', 'pg/app/2']);
      expect(await keysOf(store, 'nothing/')).toEqual([]);
    });

    test('removes what is named and nothing else; what is gone already is fine', async () => {
      const store = await makeStore();
      for (const key of ['d/one', 'd/two']) await putBytes(store, key, Buffer.from(key));
      expect(await store.remove(['d/one', 'd/never'])).toEqual([
        { key: 'd/one', ok: true },
        { key: 'd/never', ok: true },
      ]);
      expect(await keysOf(store, '')).toEqual(['d/two']);
    });

    test('sweeps what a killed upload left: only under the prefix, and only what is old enough', async () => {
      const store = await makeStore();
      if (!sweeps) return expect(store.sweep).toBeUndefined();
      const [block, tomorrow] = [Buffer.alloc(store.blockBytes, 5), new Date(Date.now() + 86_400_000)];
      await (await store.open('pg/app/half')).block(0, block, sha256(block));
      await putBytes(store, 'pg/app/whole', Buffer.from('whole'));
      expect(await store.sweep!('pg/app/', new Date(Date.now() - 86_400_000))).toEqual([]);
      expect(await store.sweep!('pg/other/', tomorrow)).toEqual([]);
      expect(await store.sweep!('pg/app/', tomorrow)).toEqual([{ key: expect.stringContaining('pg/app/'), ok: true }]);
      expect(await store.sweep!('pg/app/', tomorrow)).toEqual([]);
      expect(await keysOf(store, '')).toEqual(['pg/app/whole']);
    });

    test.each(['../out', 'a/../../out', '/etc/x', 'a//b', '', 'a/', 'a b', 'a\\b', 'a/\u0000'])('refuses the key %j', async key => {
      const store = await makeStore();
      await expect(store.open(key)).rejects.toMatchObject({ exit: 'usage' });
      await expect(readAll(store.get(key))).rejects.toMatchObject({ exit: 'usage' });
      await expect(store.stat(key)).rejects.toMatchObject({ exit: 'usage' });
    });
  });
}
