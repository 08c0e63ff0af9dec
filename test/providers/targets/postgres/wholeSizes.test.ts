import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { WholeSizes } from '../../../../src/providers/targets/postgres/wholeSizes.ts';

const member = (name: string, bytes: number) => ({ name, bytes, type: '0', link: '' });

const head = (magic: number, held: number, stands: number, big: boolean): Buffer => {
  const bytes = Buffer.alloc(12);
  for (const [n, value] of [magic, held, stands].entries()) big ? bytes.writeUInt32BE(value, 4 * n) : bytes.writeUInt32LE(value, 4 * n);
  return bytes;
};

it('adds what incremental files stand for and takes off what they hold, in whatever pieces they come', () => {
  const file = fc.record({ held: fc.nat(5), stands: fc.nat(1000), big: fc.boolean(), cut: fc.integer({ min: 1, max: 12 }) });
  fc.assert(
    fc.property(fc.array(file, { maxLength: 8 }), files => {
      const sizes = new WholeSizes();
      let expected = 0;
      for (const [n, { held, stands, big, cut }] of files.entries()) {
        const contents = Buffer.concat([head(0xd3ae1f0d, held, stands, big), Buffer.alloc(held * 8192)]);
        sizes.member(member(`base/5/INCREMENTAL.${n}`, contents.length));
        for (let at = 0; at < contents.length; at += at < 24 ? cut : 4096) sizes.bytes(contents.subarray(at, at + (at < 24 ? cut : 4096)));
        expected += stands * 8192 - contents.length;
      }
      expect(sizes.beyond).toBe(expected);
    }),
  );
});

it('counts no other file, not even one of such a name that is none, and no directory', () => {
  const sizes = new WholeSizes();
  for (const [name, magic] of [
    ['base/5/1234', 0xd3ae1f0d],
    ['base/INCREMENTAL.1', 7],
    ['INCREMENTAL.x/1', 0xd3ae1f0d],
  ] as const) {
    sizes.member(member(name, 12));
    sizes.bytes(head(magic, 1, 99, false));
  }
  sizes.member({ ...member('base/INCREMENTAL.1', 0), type: '5' });
  expect(sizes.beyond).toBe(0);
});
