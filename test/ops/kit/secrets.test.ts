import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { resolveSecrets } from '../../../src/core/config/index.ts';
import { fileText } from '../../../src/ops/kit/secrets.ts';

it('a value in a file of a kit is read back byte for byte, whatever ends it', () => {
  const ends = fc.constantFrom('', '\n', '\r', '\r\n', '\n\n', '\n\r');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), ends, (text, end) => {
      const value = text + end;
      expect(resolveSecrets('${file:./secrets/A}', 'x', { env: {}, readFile: () => fileText(value) })).toBe(value);
    }),
  );
});
