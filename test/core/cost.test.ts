import { expect, it } from '@jest/globals';
import { egress, formatMoney, perMonth } from '../../src/core/cost.ts';

const price = { gbMonth: 0.006, gbEgress: 0.01, currency: 'EUR', asOf: '2026-01-15' };

it('a GB is 10^9 bytes', () => {
  expect(perMonth(500e9, price)).toBeCloseTo(3);
  expect(egress(500e9, price)).toBeCloseTo(5);
});

it.each([
  [0, '0.00 EUR'],
  [0.004, '< 0.01 EUR'],
  [1.234, '1.23 EUR'],
])('%d is %s', (amount, text) => expect(formatMoney(amount, 'EUR')).toBe(text));
