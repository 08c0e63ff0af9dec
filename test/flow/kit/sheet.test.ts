import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { numbered, unnumbered } from '../../../src/flow/kit/sheet.ts';

const armored = (bytes: Uint8Array): string => {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN AGE ENCRYPTED FILE-----', ...lines, '-----END AGE ENCRYPTED FILE-----', ''].join('\n');
};
const some = fc.uint8Array({ minLength: 300, maxLength: 3000 });

describe('the sheet', () => {
  it('comes back, whatever stands around it and in whatever order its pages lie', () => {
    fc.assert(
      fc.property(some, fc.nat(), (bytes, seed) => {
        const text = armored(bytes);
        const lines = numbered(text);
        const at = seed % lines.length;
        const scan = ['DISASTER KIT', '2026 things', ...lines.slice(at), ' page 2 ', ...lines.slice(0, at)].map(line => `\t${line} \r`);
        expect(unnumbered(scan.join('\n'))).toBe(text);
      }),
    );
  });

  it('a line with another letter, or without one, is named', () => {
    fc.assert(
      fc.property(some, fc.nat(), fc.nat(), fc.constantFrom('change', 'drop', 'swap', 'lose'), (bytes, seed, place, how) => {
        const lines = numbered(armored(bytes));
        const at = seed % (lines.length - 1);
        const line = lines[at]!;
        const text = line.split(' ')[1]!;
        const n = line.indexOf(' ') + 1 + (place % text.length);
        const bent = { change: line[n] === 'A' ? 'B' : 'A', drop: '', swap: `${line[n]}x`, lose: undefined }[how];
        const scan = bent === undefined ? lines.filter(each => each !== line) : lines.with(at, line.slice(0, n) + bent + line.slice(n + 1));
        expect(() => unnumbered(scan.join('\n'))).toThrow(
          expect.objectContaining({ exit: 'verifyFailed', message: expect.stringMatching(new RegExp(`: ${at + 1}$`)) }),
        );
      }),
    );
  });

  it('lines that are missing at the end are missed, and ranges are told as such', () => {
    const lines = numbered(armored(Buffer.alloc(1000, 7)));
    const last = lines.at(-1)!;
    expect(() => unnumbered([...lines.slice(0, 3), ...lines.slice(6, -4), last].join('\n'))).toThrow(/: 4 to 6, 19 to 21$/);
  });

  it('a text that is no sheet is left alone', () => {
    for (const text of ['', 'hello\n', armored(Buffer.alloc(100))]) expect(unnumbered(text)).toBe(text);
  });
});
