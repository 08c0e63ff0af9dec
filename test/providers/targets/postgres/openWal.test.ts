import { describe, expect, it } from '@jest/globals';
import type { Known, Manifest, ObjectInfo } from '../../../../src/core/contracts.ts';
import { expired } from '../../../../src/providers/targets/postgres/logKeep.ts';
import { state } from '../../../../src/providers/targets/postgres/logState.ts';
import { owns } from '../../../../src/providers/targets/postgres/verify.ts';

const BASE = 'bkp/production/postgres/app';
const LINEAGE = '7400000000000000000-1';
const HASH = '0123456789abcdef0123456789abcdef';
const ctx = { base: BASE };
const day = (n: number): Date => new Date(Date.UTC(2026, 0, n));
const name = (n: number): string => `0000000100000000${n.toString(16).toUpperCase().padStart(8, '0')}`;
const whole = (n: number, at: Date): ObjectInfo => ({
  key: `${BASE}/wal/${LINEAGE}/00000001/${name(n)}-${HASH}.zst.age`,
  bytes: 1000,
  modified: at,
});
const chunk = (n: number, range: string, at: Date): ObjectInfo => ({
  key: `${BASE}/wal/${LINEAGE}/00000001/${name(n)}/${range}-${HASH}.zst.age`,
  bytes: 200,
  modified: at,
});
const manifest = {
  id: '20260110T020000Z-4f2a1c',
  lineage: LINEAGE,
  pieces: [],
  recoveryPointAt: day(10).toISOString(),
  wal: { timeline: 1, from: '0/5000028', to: '0/5000100', segmentBytes: 16 * 1024 * 1024 },
} as unknown as Manifest;
const known: Known[] = [{ manifest, stores: ['one'] }];

describe('chunks in a listing', () => {
  it('tell how far a store has got, and when; a hole between them ends it', () => {
    const objects = [whole(6, day(11)), chunk(7, '00000000-00001000', day(12)), chunk(7, '00001000-00002004', day(13))];
    expect(state(ctx, objects, known)).toEqual([{ lineage: LINEAGE, at: day(13), begins: '0/6000000', end: '0/7002008' }]);
    expect(state(ctx, [...objects.slice(0, 2), chunk(7, '00001001-00002000', day(13))], known)[0]!.end).toBe('0/7001000');
    expect(state(ctx, [objects[0]!, chunk(7, '00000008-00002000', day(13))], known)[0]).toEqual({
      lineage: LINEAGE,
      at: day(11),
      begins: '0/6000000',
      end: '0/7000000',
    });
  });

  it('say nothing of a segment that is there whole', () => {
    expect(state(ctx, [whole(7, day(11)), chunk(7, '00000000-00001000', day(12))], known)).toEqual([
      { lineage: LINEAGE, at: day(11), begins: '0/7000000', end: '0/8000000' },
    ]);
  });

  it('go at once when their segment is whole, and else when the segment would', () => {
    const left = chunk(7, '00000000-00001000', day(20));
    const old = chunk(3, '00000000-00001000', day(2));
    const open = chunk(8, '00000000-00001000', day(2));
    const objects = [whole(7, day(20)), left, old, open];
    const gone = expired(ctx, objects, [{ manifest, guarded: false }] as never, day(15), [manifest]);
    expect(gone.map(({ key }) => key).sort()).toEqual([left.key, old.key].sort());
    expect(gone.find(({ key }) => key === left.key)!.reason).toMatch(/stored whole/);
  });

  it('are known as ours, and so is the heartbeat', () => {
    for (const { key } of [whole(1, day(1)), chunk(1, '00000000-00001000', day(1))]) expect(owns(key.slice(BASE.length + 1))).toBe(true);
    expect(owns(`wal/${LINEAGE}/heartbeat.json`)).toBe(true);
    expect(owns(`wal/${LINEAGE}/00000001/folder/stray`)).toBe(false);
  });
});
