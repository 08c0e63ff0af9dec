import type { Price } from './config/types.ts';

const GB = 1e9;

/** What some stored bytes cost a month. */
export const perMonth = (bytes: number, price: Price): number => (bytes / GB) * price.gbMonth;

/** What reading some bytes out of a store costs. */
export const egress = (bytes: number, price: Price): number => (bytes / GB) * price.gbEgress;

/** An amount with the name of its currency: `1.23 EUR`; what is less than a hundredth and not nothing is `< 0.01 EUR`. */
export const formatMoney = (amount: number, currency: string): string =>
  amount > 0 && amount < 0.005 ? `< 0.01 ${currency}` : `${amount.toFixed(2)} ${currency}`;
