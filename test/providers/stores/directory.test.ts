import { existsSync, renameSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';
import { putBytes, readAll } from '../../../src/flow/bytes.ts';
import { openDirectory } from '../../../src/providers/stores/directory.ts';
import { storeContract } from '../../contracts/store.ts';

const made: string[] = [];
const root = async (): Promise<string> => {
  made.push(await mkdtemp(join(tmpdir(), 'bkp-dir-')));
  return made.at(-1)!;
};
const at = (path: string) => openDirectory('disk', { type: 'directory', path });

afterAll(() => Promise.all(made.map(dir => rm(dir, { recursive: true, force: true }))));

storeContract('directory', async () => at(await root()));

test('a disk that is not mounted is unreachable, never an empty store', async () => {
  const store = at(join(await root(), 'gone'));
  const unreachable = { exit: 'storeUnreachable', message: expect.stringContaining('disk') };
  await expect(store.open('a')).rejects.toMatchObject(unreachable);
  await expect(store.stat('a')).rejects.toMatchObject(unreachable);
  await expect(readAll(store.get('a'))).rejects.toMatchObject(unreachable);
  await expect(store.remove(['a'])).rejects.toMatchObject(unreachable);
  await expect(store.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject(unreachable);
});

test('a link inside the root leads nowhere: not read, written, listed or removed through', async () => {
  const [path, outside] = [await root(), await root()];
  await writeFile(join(outside, 'secret'), 'theirs');
  await symlink(outside, join(path, 'door'));
  await symlink(join(outside, 'secret'), join(path, 'file'));
  const store = at(path);
  await expect(readAll(store.get('door/secret'))).rejects.toMatchObject({ exit: 'refused' });
  await expect(store.stat('door/secret')).rejects.toMatchObject({ exit: 'refused' });
  await expect(putBytes(store, 'door/new', Buffer.from('x'))).rejects.toMatchObject({ exit: 'refused' });
  expect(await store.remove(['door/secret'])).toEqual([expect.objectContaining({ ok: false })]);
  await expect(readAll(store.get('file'))).rejects.toMatchObject({ name: 'BkpError' });
  expect(await readdir(outside)).toEqual(['secret']);
  for await (const { key } of store.list('')) throw new Error(`listed ${key}`);
});

test('removing the last object leaves no empty folders, and the root stays', async () => {
  const path = await root();
  await putBytes(at(path), 'a/b/c', Buffer.from('x'));
  await at(path).remove(['a/b/c']);
  expect(await readdir(path)).toEqual([]);
});

test('what a killed upload left is not listed', async () => {
  const path = await root();
  await mkdir(join(path, 'a'));
  await writeFile(join(path, 'a', '.tmp-0011'), 'half');
  for await (const { key } of at(path).list('')) throw new Error(`listed ${key}`);
});

test('many folders, some of them deep, are listed in key order and by prefix', async () => {
  const path = await root();
  const keys = Array.from({ length: 50 }, (_, n) => [`a/${n}/x`, `a/${n}/y/z`, `a/${n}.x`, `b${n}`]).flat();
  for (const key of keys) {
    await mkdir(join(path, key, '..'), { recursive: true });
    await writeFile(join(path, key), key);
  }
  const listed = async (prefix: string) => {
    const seen: string[] = [];
    for await (const { key, bytes } of at(path).list(prefix)) {
      expect(bytes).toBe(key.length);
      seen.push(key);
    }
    return seen;
  };
  expect(await listed('')).toEqual([...keys].sort());
  expect(await listed('a/4')).toEqual(keys.filter(key => key.startsWith('a/4')).sort());
  expect(await listed('a/4/')).toEqual(['a/4/x', 'a/4/y/z']);
});

test('a disk that goes away while objects are written is never written beside', async () => {
  for (let turns = 0; turns < 40; turns += 1) {
    const path = await root();
    const store = at(path);
    const puts = Array.from({ length: 20 }, (_, n) => putBytes(store, `a/${n}/c`, Buffer.from('x')).catch(error => error));
    for (let n = 0; n < turns; n += 1) await turn();
    renameSync(path, `${path}.gone`);
    made.push(`${path}.gone`);
    const failed = (await Promise.all(puts)).filter(error => error instanceof Error);
    for (const error of failed) expect(error).toMatchObject({ exit: 'storeUnreachable' });
    expect(existsSync(path)).toBe(false);
  }
});

test('an object is written while others take the last ones of its folders away', async () => {
  const store = at(await root());
  const each = async (n: number) => {
    for (let turns = 0; turns < 50; turns += 1) {
      await putBytes(store, `a/b/${n}`, Buffer.from('x'));
      expect(await store.remove([`a/b/${n}`])).toEqual([{ key: `a/b/${n}`, ok: true }]);
    }
  };
  await Promise.all([1, 2, 3, 4].map(each));
});
