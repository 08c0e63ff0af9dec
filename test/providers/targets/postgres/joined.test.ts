import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { putBytes } from '../../../../src/flow/bytes.ts';
import { openDirectory } from '../../../../src/providers/stores/directory.ts';
import { chunkAt } from '../../../../src/providers/targets/postgres/chunks.ts';
import { isJoined } from '../../../../src/providers/targets/postgres/verify.ts';

const root = mkdtempSync(join(tmpdir(), 'bkp-joined-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const HASH = '0123456789abcdef0123456789abcdef';
const SEGMENT = 'bkp/production/postgres/app/wal/7713236067228598339-2/00000002/000000020000000000000008';
const keyOf = (range: string) => `${SEGMENT}/${range}-${HASH}.zst.age`;

test('a chunk that is gone is no damage once the stream has joined it: by a chunk that covers it, or by its whole segment', async () => {
  const store = openDirectory('local', { type: 'directory', path: root });
  const lost = chunkAt(store, { key: keyOf('00000100-00000200'), bytes: 500, modified: new Date(0) })!;
  await putBytes(store, keyOf('00000200-00000300'), Buffer.from('x'));
  await putBytes(store, `${SEGMENT.slice(0, -1)}9-${HASH}.zst.age`, Buffer.from('x'));
  expect(await isJoined(store, lost)).toBe(false);
  await putBytes(store, keyOf('00000000-00000200'), Buffer.from('x'));
  expect(await isJoined(store, lost)).toBe(true);
  await store.remove([keyOf('00000000-00000200')]);
  expect(await isJoined(store, lost)).toBe(false);
  await putBytes(store, `${SEGMENT}-${HASH}.zst.age`, Buffer.from('x'));
  expect(await isJoined(store, lost)).toBe(true);
});
