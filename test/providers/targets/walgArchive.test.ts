import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import type { Manifest, ObjectInfo } from '../../../src/core/contracts.ts';
import { sorted } from '../../../src/providers/targets/postgres/walg/backups.ts';
import { depthOf } from '../../../src/providers/targets/postgres/walg/delta.ts';
import { exactJson, whole } from '../../../src/providers/targets/postgres/walg/json.ts';
import { orphans, unneededByOthers } from '../../../src/providers/targets/postgres/walg/keep.ts';
import { checkSegment } from '../../../src/providers/targets/postgres/walg/segment.ts';

const BASE = 'bkp/production/postgres/app';
const PREFIX = `${BASE}/walg/77-1`;
const at = new Date('2026-01-15T02:00:00Z');

const object = (path: string, bytes = 1, modified = at): ObjectInfo => ({ key: `${PREFIX}/basebackups_005/${path}`, bytes, modified });

const backup = (name: string): ObjectInfo[] => [
  object(`${name}_backup_stop_sentinel.json`),
  object(`${name}/metadata.json`),
  object(`${name}/tar_partitions/part_001.tar.lz4`),
];

const A = 'base_000000010000000000000004';
const B = 'base_000000020000000000000008';
const DELTA = `${B}_D_${A.slice(5)}`;

describe("a listing of WAL-G's backups", () => {
  it('PG05: is the same in whatever order the store lists it', () => {
    const all = [...backup(A), ...backup(B), ...backup(DELTA)];
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), shuffled => {
        const { backups, strays } = sorted(PREFIX, shuffled);
        expect([...backups.keys()].sort()).toEqual([A, B, DELTA].sort());
        for (const { name, sentinel, objects } of backups.values()) {
          expect(sentinel?.key).toBe(`${PREFIX}/basebackups_005/${name}_backup_stop_sentinel.json`);
          expect(objects).toHaveLength(2);
        }
        expect(strays).toEqual([]);
      }),
    );
  });

  it('PG18, PG21: marks of folders are strays, and parts without a sentinel no backup', () => {
    const { backups, strays } = sorted(PREFIX, [
      object(`${A}/tar_partitions/`, 0),
      object(`${A}/tar_partitions/part_001.tar.lz4`),
      object('notes.txt'),
    ]);
    expect(backups.get(A)).toMatchObject({ objects: [expect.anything()] });
    expect(backups.get(A)?.sentinel).toBeUndefined();
    expect(strays.map(({ key }) => key.slice(PREFIX.length))).toEqual([
      `/basebackups_005/${A}/tar_partitions/`,
      '/basebackups_005/notes.txt',
    ]);
  });
});

test('the depth of a delta is counted through sentinels, and a broken or circular chain has none', () => {
  const links = new Map([
    ['a', { name: 'a' }],
    ['b', { name: 'b', deltaFrom: 'a' }],
    ['c', { name: 'c', deltaFrom: 'b' }],
    ['lost', { name: 'lost', deltaFrom: 'gone' }],
    ['x', { name: 'x', deltaFrom: 'y' }],
    ['y', { name: 'y', deltaFrom: 'x' }],
  ]);
  expect(['a', 'b', 'c', 'lost', 'x'].map(name => depthOf(name, links))).toEqual([0, 1, 2, undefined, undefined]);
});

test('numbers beyond 2^53 keep every digit', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), number => {
      expect(whole(exactJson(`{"SystemIdentifier": ${number}}`, 'x').SystemIdentifier)).toBe(number);
    }),
  );
  expect(whole(exactJson('{"a": "x"}', 'x').a)).toBeUndefined();
  expect(() => exactJson('{', 'the sentinel')).toThrow(/the sentinel is no JSON/);
});

describe('what an unsigned backup needs', () => {
  const manifest = (id: string): Manifest => ({ pieces: [{ name: 'base', held: { by: 'wal-g', id } }] }) as unknown as Manifest;
  const objects = [...backup(A), ...backup(B)];

  it('stays: all WAL from its start on, on every timeline, and histories', () => {
    const isFree = unneededByOthers(PREFIX, objects, [manifest(B)]);
    expect(['000000010000000000000003', '000000010000000000000004', '000000090000000000000005', '00000002.history'].map(isFree)).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('is nothing where all are signed', () => {
    expect(unneededByOthers(PREFIX, objects, [manifest(A), manifest(B)])('000000010000000000000004')).toBe(true);
  });

  it('only what is old and has no sentinel is left of a dead run', () => {
    const old = new Date(at.getTime() - 1);
    const dead = object('base_000000010000000000000009/tar_partitions/part_001.tar.lz4', 5, old);
    const young = object('base_00000001000000000000000A/tar_partitions/part_001.tar.lz4', 5);
    expect(orphans({ base: BASE }, [...backup(A), dead, young], at)).toEqual([{ key: dead.key, bytes: 5, reason: expect.any(String) }]);
  });
});

describe('a segment that WAL-G brought', () => {
  const SIZE = 16 * 1024 * 1024;
  const segment = (identifier: bigint, position: bigint, size = SIZE): Buffer => {
    const bytes = Buffer.alloc(SIZE);
    bytes.writeBigUInt64LE(position, 8);
    bytes.writeBigUInt64LE(identifier, 24);
    bytes.writeUInt32LE(size, 32);
    return bytes;
  };
  const name = '000000010000000000000004';
  const position = 4n * BigInt(SIZE);

  it('passes when it is of the cluster, whole, and begins where its name says', () => {
    expect(() => checkSegment(segment(77n, position), name, '77-1', 'it')).not.toThrow();
    expect(() => checkSegment(Buffer.from('1\t0/3000000\tx\n'), '00000002.history', '77-1', 'it')).not.toThrow();
  });

  it.each([
    ['another cluster', segment(78n, position), /is of cluster 78, and the lineage is of 77/],
    ['another position', segment(77n, position + BigInt(SIZE)), /another position/],
    ['another size', segment(77n, position, SIZE * 2), /says that it has 33554432 bytes/],
    ['a cut one', segment(77n, position).subarray(0, 1000), /it has 1000 bytes/],
  ])('PG04: is refused when it is of %s', (_, bytes, why) => {
    expect(() => checkSegment(bytes, name, '77-1', 'it')).toThrow(why);
  });
});
