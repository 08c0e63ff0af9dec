import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { suspectSpaces } from '../../../src/core/postgres/spaceRecord.ts';

const SEGMENT = 1024 * 1024;
const TABLESPACE = 5;

interface World {
  pageBytes: number;
  /** Of the segment's own position. */
  number: number;
}

/** A segment of empty pages, as PostgreSQL heads them. */
function pages({ pageBytes, number }: World): Buffer {
  const segment = Buffer.alloc(SEGMENT);
  for (let at = 0; at < SEGMENT; at += pageBytes) {
    segment.writeUInt16LE(0xd110, at);
    segment.writeUInt16LE(at === 0 ? 2 : 0, at + 2);
    segment.writeUInt32LE(1, at + 4);
    segment.writeBigUInt64LE(BigInt(number) * BigInt(SEGMENT) + BigInt(at), at + 8);
  }
  segment.writeBigUInt64LE(0x1122334455667788n, 24);
  segment.writeUInt32LE(SEGMENT, 32);
  segment.writeUInt32LE(pageBytes, 36);
  return segment;
}

/** What replication may put before the data of a record: an origin, and the transaction above that of the record. */
const BEFORE_DATA = [[], [253, 7, 0], [252, 1, 2, 3, 4], [253, 7, 0, 252, 1, 2, 3, 4]];

const creation = (previous: bigint, path: string, low: number, first: readonly number[] = []): Buffer => {
  const data = Buffer.concat([Buffer.alloc(4, 7), Buffer.from(`${path}\0`)]);
  const length = data.length < 256 ? [255, data.length] : [254, data.length & 255, data.length >> 8, 0, 0];
  const own = Buffer.from([...first, ...length]);
  const header = Buffer.alloc(24, 9);
  header.writeUInt32LE(24 + own.length + data.length, 0);
  header.writeBigUInt64LE(previous, 8);
  header.set([low, TABLESPACE, 0, 0], 16);
  return Buffer.concat([header, own, data]);
};

/** Writes a record as PostgreSQL does, going on behind the header of the next page. @returns what did not fit into the segment */
function write(segment: Buffer, { pageBytes }: World, from: number, record: Buffer): Buffer {
  let left = record;
  for (let at = from; left.length > 0 && at < SEGMENT; ) {
    if (at % pageBytes === 0) at += at === 0 ? 40 : 24;
    const part = left.subarray(0, pageBytes - (at % pageBytes));
    segment.set(part, at);
    left = left.subarray(part.length);
    at += part.length;
  }
  return left;
}

const world = fc.record({ pageBytes: fc.constantFrom(1024, 8192, 65536), number: fc.integer({ min: 1, max: 2 ** 40 }) });
const text = fc.string({ maxLength: 1000, unit: 'grapheme-ascii' });

/** Where records begin: at multiples of 8, behind a page's header. Half of them lie close to a page's end, where headers are cut. */
const place = (pageBytes: number): fc.Arbitrary<number> =>
  fc
    .oneof(
      fc.integer({ min: 5, max: SEGMENT / 8 - 1 }).map(n => n * 8),
      fc
        .tuple(fc.integer({ min: 1, max: SEGMENT / pageBytes }), fc.integer({ min: 1, max: 5 }))
        .map(([n, back]) => n * pageBytes - back * 8),
    )
    .map(at => (at % pageBytes >= 24 ? at : at - (at % pageBytes) + (at < pageBytes ? 40 : 24)));

const first = fc.constantFrom(...BEFORE_DATA);
const where = world.chain(each => fc.record({ world: fc.constant(each), from: place(each.pageBytes) }));
const previous = (number: number, from: number, back: number): bigint => {
  const at = BigInt(number) * BigInt(SEGMENT) + BigInt(from);
  const distance = BigInt(back) * 8n;
  return distance < at ? at - distance : 40n;
};

/** Bytes that no such record has: data of another length, a page of a table, a predecessor at no multiple of 8. */
const NO_CREATION = [
  [25, 99],
  [24, 0],
  [8, 1],
] as const;

describe('a record that creates a tablespace', () => {
  it('is never missed, wherever it begins and however pages cut it; at the end of a segment both are suspect or one of them', () => {
    fc.assert(
      fc.property(where, text, fc.integer({ min: 1, max: 2 ** 27 }), fc.constantFrom(0, 1, 2, 3), first, (at, path, back, low, heads) => {
        const segment = pages(at.world);
        const rest = write(segment, at.world, at.from, creation(previous(at.world.number, at.from, back), path, low, heads));
        const found = suspectSpaces(segment);
        if (rest.length === 0) return found !== undefined;
        const next = pages({ ...at.world, number: at.world.number + 1 });
        write(next, at.world, 0, rest);
        return found?.crossesEnd === true || suspectSpaces(next)?.crossesStart === true;
      }),
      { numRuns: 300 },
    );
  });

  it('is not seen in empty pages and in text', () => {
    const quiet = pages({ pageBytes: 8192, number: 70 });
    expect(suspectSpaces(quiet)).toBeUndefined();
    quiet.fill('a record of 5 words, repeated. ', 40);
    expect(suspectSpaces(quiet)).toBeUndefined();
  });

  it('is not seen in numbers that look like the middle of one, wherever pages cut what they stand in', () => {
    const world = { pageBytes: 1024, number: 70 };
    const places = [40, 48, 56, 64, 960, 968, 976, 984, 992, 1000, 1008, 1016, 1048, 1056, 1064];
    for (const at of places) {
      for (const [place, byte] of NO_CREATION) {
        const segment = pages(world);
        const record = creation(previous(world.number, at, 5), '/mnt/fast', 0);
        record[place] = byte;
        write(segment, world, at, record);
        expect(suspectSpaces(segment)).toBeUndefined();
      }
    }
  });

  it('may be in what has not the header of a whole segment', () => {
    const both = { crossesEnd: true, crossesStart: true };
    expect(suspectSpaces(Buffer.alloc(0))).toEqual(both);
    expect(suspectSpaces(Buffer.alloc(SEGMENT))).toEqual(both);
    expect(suspectSpaces(pages({ pageBytes: 8192, number: 1 }).subarray(0, SEGMENT / 2))).toEqual(both);
    const odd = pages({ pageBytes: 8192, number: 1 });
    odd.writeUInt32LE(8000, 36);
    expect(suspectSpaces(odd)).toEqual(both);
  });
});
