import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Crc64 } from '../../../../src/providers/targets/redis/rdb/crc64.ts';
import { RdbReader } from '../../../../src/providers/targets/redis/rdb/reader.ts';
import { dump, type Entry, length, list, text } from './dump.ts';

const NOW = 1_768_435_200_000;

function read(bytes: Buffer, cuts: readonly number[] = [], horizon = 0) {
  const reader = new RdbReader(NOW, horizon);
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (let n = 0; n + 1 < at.length; n += 1) {
    // The reader keeps nothing of a chunk: its memory is used again.
    const chunk = Buffer.from(bytes.subarray(at[n], at[n + 1]));
    reader.push(chunk);
    chunk.fill(0xaa);
  }
  return reader.end();
}

const packed = Buffer.concat([Buffer.from([0xc3]), length(4), length(4000), Buffer.from([1, 2, 3, 4])]);
const score = Buffer.concat([Buffer.from([3]), Buffer.from('1.5')]);
const eight = Buffer.alloc(8, 7);
const pel = (...parts: Buffer[]): Buffer => list(parts, 1);

/** One of each type, by its layout in rdb.c. */
const TYPES: readonly Entry[] = [
  { key: 'string', type: 0, value: text('v') },
  { key: 'packed', type: 0, value: packed },
  { key: 'int8', type: 0, value: Buffer.from([0xc0, 5]) },
  { key: 'int16', type: 0, value: Buffer.from([0xc1, 5, 5]) },
  { key: 'int32', type: 0, value: Buffer.from([0xc2, 5, 5, 5, 5]) },
  { key: 'list', type: 1, value: list([text('a'), text('b')]) },
  { key: 'set', type: 2, value: list([text('a')]) },
  { key: 'none', type: 2, value: list([]) },
  { key: 'scores', type: 3, value: list([text('a'), score, text('b'), Buffer.from([254])], 2) },
  { key: 'hash', type: 4, value: list([text('f'), text('v'), text('g'), text('w')], 2) },
  { key: 'zset', type: 5, value: list([text('a'), eight, text('b'), eight], 2) },
  {
    key: 'module',
    type: 7,
    value: Buffer.concat([
      Buffer.from([0x81]),
      eight,
      length(2),
      length(9),
      length(5),
      text('part'),
      length(4),
      eight,
      length(3),
      Buffer.alloc(4),
      length(0),
    ]),
  },
  { key: 'ziplist', type: 10, value: text('zl') },
  { key: 'quick', type: 14, value: list([text('zl'), text('zl')]) },
  { key: 'quick2', type: 18, value: list([length(2), text('lp'), length(1), text('raw')], 2) },
  { key: 'listpack', type: 16, value: text('lp') },
  {
    key: 'stream',
    type: 21,
    value: Buffer.concat([
      list([text('0123456789abcdef'), text('lp')], 2),
      ...[1, 2, 3, 4, 5, 6, 7, 8].map(length),
      length(1),
      Buffer.concat([text('group'), length(1), length(2), length(3)]),
      Buffer.concat([length(1), Buffer.alloc(16), eight, length(4)]),
      Buffer.concat([length(1), text('reader'), eight, eight, pel(Buffer.alloc(16))]),
    ]),
  },
];

describe('Crc64', () => {
  it('has the check value of the Jones polynomial', () => {
    const crc = new Crc64();
    crc.update(Buffer.from('123456789'));
    expect(Buffer.from(crc.digest()).reverse().toString('hex')).toBe('e9c6d914c4b8d9ca');
  });

  it('is the same however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
        const [whole, parts] = [new Crc64(), new Crc64()];
        whole.update(bytes);
        parts.update(bytes.subarray(0, cut));
        parts.update(bytes.subarray(cut));
        return whole.digest().equals(parts.digest());
      }),
    );
  });
});

describe('RdbReader', () => {
  const whole = dump({ 0: TYPES, 7: [{ key: 'a', type: 0, value: text('b') }] }, 'REDIS0010', [
    Buffer.concat([Buffer.from([245]), text('lib')]),
  ]);

  it('counts keys of every type, libraries and fields, cut anywhere', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length), { maxLength: 40 }), cuts => {
        const rdb = read(whole, cuts);
        expect(rdb.databases?.get(0)?.keys).toBe(TYPES.length);
        expect(rdb.databases?.get(7)?.keys).toBe(1);
        expect(rdb).toMatchObject({ magic: 'REDIS', version: 10, functions: 1, bytes: whole.length, checksum: 'right' });
        expect(Object.fromEntries(rdb.aux)).toEqual({ 'redis-ver': '7.0.15', ctime: '1768435200' });
      }),
    );
  });

  it('counts byte by byte', () => {
    expect(read(whole, [...whole.keys()]).databases?.get(0)?.keys).toBe(TYPES.length);
  });

  it('RD06: refuses every cut, every bit that is another, and every zeroed tail', () => {
    fc.assert(
      fc.property(fc.nat(whole.length - 1), cut => void expect(() => read(whole.subarray(0, cut))).toThrow(/no whole RDB|damaged/)),
    );
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(7), (at, bit) => {
        const flipped = Buffer.from(whole);
        flipped[at]! ^= 1 << bit;
        expect(() => read(flipped)).toThrow(/no whole RDB|damaged/);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 9, max: whole.length }), tail => {
        const zeroed = Buffer.from(whole);
        zeroed.fill(0, zeroed.length - tail);
        expect(() => read(zeroed)).toThrow(/no whole RDB|damaged/);
      }),
    );
  });

  it('RD06: a checksum of zeros alone is told: it may be a server that computes none', () => {
    const zeroed = Buffer.from(whole);
    zeroed.fill(0, zeroed.length - 8);
    expect(read(zeroed).checksum).toBe('none');
  });

  it('RD09: refuses what is empty and what is no dump', () => {
    expect(() => read(Buffer.alloc(0))).toThrow('it is empty');
    expect(() => read(Buffer.from('<html>not a dump at all</html>'))).toThrow('it begins with "<html>not"');
    expect(() => read(Buffer.concat([whole, Buffer.from('x')]))).toThrow(/no whole RDB/);
  });

  it('tells keys that are past their time from those that soon are', () => {
    const key = (expires: number): Entry => ({ key: String(expires), type: 0, value: text('v'), expires });
    const bytes = dump({ 0: [key(NOW - 1), key(NOW), key(NOW + 1), key(NOW + 5000), { key: 'kept', type: 0, value: text('v') }] });
    expect(read(bytes, [], 1000).databases?.get(0)).toEqual({ keys: 5, expires: 4, expired: 2, fading: 1 });
  });

  it('a database without a key has no content, whatever else is in the dump', () => {
    expect(read(dump({}, 'REDIS0010', [Buffer.concat([Buffer.from([245]), text('lib')])])).contentBytes).toBe(0);
    expect(read(whole).contentBytes).toBeGreaterThan(200);
  });

  it("Valkey's own format: hashes with fields that expire, one key each", () => {
    const hash: Entry = { key: 'h', type: 22, value: list([text('f'), text('v'), eight], 3) };
    const rdb = read(dump({ 0: [hash] }, 'VALKEY080'));
    expect(rdb).toMatchObject({ magic: 'VALKEY', version: 80 });
    expect(rdb.databases?.get(0)).toEqual({ keys: 1, expires: 0, expired: 0, fading: 1 });
  });

  it('a type of a later format ends the counting, and damage is still seen', () => {
    const bytes = dump({ 0: [{ key: 'a', type: 99, value: text('b') }] }, 'REDIS0099');
    expect(read(bytes)).toMatchObject({ version: 99, checksum: 'right' });
    expect(read(bytes).databases).toBeUndefined();
    expect(() => read(bytes.subarray(0, -3))).toThrow(/no whole RDB/);
  });
});
