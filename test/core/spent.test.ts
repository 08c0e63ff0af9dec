import { describe, expect, test } from '@jest/globals';
import { owned, ownedPart, spent } from '../../src/core/spent.ts';

const own = (bytes = 100_000): Buffer => Buffer.allocUnsafeSlow(bytes).fill(7);

describe('the memory of a chunk', () => {
  test('is given back when it is owned and spent', () => {
    const one = owned(own());
    spent(one);
    expect([one.length, one.buffer.byteLength]).toEqual([0, 0]);
  });

  test('is given back, too, when it is larger than its chunk and that was said', () => {
    const kept = owned(own().subarray(0, 10));
    const given = ownedPart(own().subarray(0, 10));
    for (const each of [kept, given]) spent(each);
    expect([kept.length, given.length]).toEqual([10, 0]);
  });

  test('stays where nobody said that it is owned', () => {
    const one = own();
    spent(one);
    expect(one.every(byte => byte === 7)).toBe(true);
  });

  test('stays when it is shared with other chunks, or when only a part of the chunk is spent', () => {
    const small = owned(Buffer.from('pool'));
    spent(small);
    const whole = owned(own());
    spent(whole.subarray(0, 10));
    spent(whole.subarray());
    expect([small.length, whole.length, whole[99_999]]).toEqual([4, 100_000, 7]);
  });

  test('goes back to whoever lent it, once', () => {
    const lender: unknown[] = [];
    const one = owned(own().subarray(0, 10), memory => lender.push(memory));
    spent(one);
    spent(one);
    expect(lender).toEqual([one.buffer]);
    expect(one.length).toBe(10);
  });
});
